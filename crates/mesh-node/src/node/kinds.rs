//! Which kinds a node's settings want, and which its binary has.

use std::collections::BTreeSet;

use crate::config::{NodeSettings, Problem};

/// The agents of this node whose kind its binary does not have.
pub(super) fn unknown_kinds(
    settings: &NodeSettings,
    kinds: &BTreeSet<&str>,
    file: Option<&str>,
) -> Vec<Problem> {
    let known: Vec<&str> = kinds.iter().copied().collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let place = |index| match file {
        Some(file) => format!("{file}: agents[{index}].kind"),
        None => format!("agents[{index}].kind"),
    };
    let agents = settings.agents.iter().enumerate();
    agents
        // One file may serve nodes of several binaries.
        .filter(|(_, agent)| agent.is_for(&settings.labels) && !kinds.contains(agent.kind.as_str()))
        .map(|(index, agent)| {
            Problem::new(place(index), format!("this node has no kind {:?}; there are: {known}", agent.kind))
        })
        .collect()
}
