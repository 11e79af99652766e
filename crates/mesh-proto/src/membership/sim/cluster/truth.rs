//! Whether what nodes see is so.

use super::{Cluster, id};
use crate::MemberState;
use std::time::Duration;

impl Cluster {
    /// Waits until all agree with the truth, and answers how long that took.
    ///
    /// # Errors
    /// Who sees what else after `most`; or as [`Self::run`].
    pub fn until_agreed(&mut self, most: Duration) -> Result<Duration, String> {
        let (began, step) = (self.now, Duration::from_millis(100));
        while let Some(difference) = self.difference() {
            if self.now >= began + most {
                return Err(format!("{difference} after {most:?}; seed {}", self.seed));
            }
            self.pass(step).map_err(|error| format!("{error}; seed {}", self.seed))?;
        }
        Ok(self.now - began)
    }

    /// The first difference between the truth and what a node that runs sees.
    #[must_use]
    pub fn difference(&self) -> Option<String> {
        let running: Vec<usize> =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].machine.is_some()).collect();
        running.iter().find_map(|node| {
            let machine = self.nodes[*node].machine.as_ref()?;
            if machine.active() + 1 != running.len() {
                let [active, truth] = [machine.active(), running.len() - 1];
                return Some(format!("node {node} sees {active} of {truth} others"));
            }
            running.iter().filter(|other| *other != node).find_map(|other| {
                let seen = machine
                    .member(id(*other))
                    .map(|seen| (seen.state(), seen.boot(), seen.profile().is_some()));
                let truth = (MemberState::Alive, super::boot(self.nodes[*other].boot), true);
                (seen != Some(truth)).then(|| format!("node {node} sees node {other} as {seen:?}"))
            })
        })
    }
}
