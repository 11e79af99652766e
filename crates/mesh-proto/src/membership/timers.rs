//! What is to happen when. Each thing has one place, so there are never more timers than members and a few.

use super::identity::Identity;
use crate::NodeId;
use std::{collections::BTreeMap, time::Duration};

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    Foca(foca::Timer<Identity>),
    Sync,
    Dial,
    Search,
    Tell,
}

/// The places of the timers that are there once. The order is foca's wish for timers of the same instant: the probe of one
/// period has ended before the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Indirect,
    Probe,
    Suspicion(NodeId),
    Gossip,
    Sync,
    Dial,
    Search,
    Tell,
}

#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeMap<Place, (Duration, Due)>);

impl Timers {
    /// Plans one of our own, in place of what was planned for it.
    pub(crate) fn set(&mut self, due: Due, at: Duration) {
        let place = match &due {
            Due::Foca(_) => return,
            Due::Sync => Place::Sync,
            Due::Dial => Place::Dial,
            Due::Search => Place::Search,
            Due::Tell => Place::Tell,
        };
        self.0.insert(place, (at, due));
    }

    pub(crate) fn set_foca(&mut self, timer: foca::Timer<Identity>, at: Duration) {
        let place = match &timer {
            // A new one means that the old one's token is worth nothing any more, or that it has fired.
            foca::Timer::ProbeRandomMember(_) => Place::Probe,
            foca::Timer::SendIndirectProbe { .. } => Place::Indirect,
            foca::Timer::PeriodicGossip(_) => Place::Gossip,
            foca::Timer::ChangeSuspectToDown { member_id, .. } => Place::Suspicion(member_id.node),
            // Not switched on; and forgetting is the table's.
            foca::Timer::PeriodicAnnounce(_)
            | foca::Timer::PeriodicAnnounceDown(_)
            | foca::Timer::RemoveDown(_) => return,
        };
        let due = Due::Foca(timer);
        // A suspect is probed again and fails again, and foca asks anew: the first time counts.
        let is_the_same =
            matches!(place, Place::Suspicion(_)) && self.0.get(&place).is_some_and(|known| known.1 == due);
        if !is_the_same {
            self.0.insert(place, (at, due));
        }
    }

    pub(crate) fn is_set(&self, due: &Due) -> bool {
        self.0.values().any(|(_, known)| known == due)
    }

    /// Whether this node itself waits for a suspect to contradict.
    pub(crate) fn accuses(&self, node: NodeId) -> bool {
        self.0.contains_key(&Place::Suspicion(node))
    }

    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.0.values().map(|(at, _)| *at).min()
    }

    /// Takes the first of those that are due.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Due> {
        let (place, _) =
            self.0.iter().filter(|(_, (at, _))| *at <= now).min_by_key(|(place, (at, _))| (*at, **place))?;
        let place = *place;
        self.0.remove(&place).map(|(_, due)| due)
    }

    /// Puts everything off: this process stood still.
    pub(crate) fn delay(&mut self, by: Duration) {
        self.0.values_mut().for_each(|(at, _)| *at += by);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Boot;

    const SECOND: Duration = Duration::from_secs(1);

    fn suspicion(incarnation: u16) -> foca::Timer<Identity> {
        let member_id =
            Identity { node: NodeId(2), boot: Boot(1), renewal: 0, has_left: false, addr: "b:1".into() };
        foca::Timer::ChangeSuspectToDown { member_id, incarnation, token: 0 }
    }

    #[test]
    fn a_second_failed_probe_does_not_prolong_a_suspicion() {
        let mut timers = Timers::default();
        timers.set_foca(suspicion(4), SECOND);
        timers.set_foca(suspicion(4), SECOND * 2);
        assert_eq!(timers.next_at(), Some(SECOND));
        timers.set_foca(suspicion(5), SECOND * 3);
        assert_eq!(timers.next_at(), Some(SECOND * 3), "a refuted one is another one");
    }

    #[test]
    fn what_is_due_comes_in_order_of_time_and_at_one_instant_in_focas() {
        let mut timers = Timers::default();
        timers.set(Due::Sync, SECOND);
        timers.set_foca(foca::Timer::ProbeRandomMember(0), SECOND * 2);
        timers.set_foca(suspicion(1), SECOND * 2);
        timers.set(Due::Dial, SECOND * 9);
        let order: Vec<Due> = std::iter::from_fn(|| timers.take(SECOND * 3)).collect();
        assert_eq!(order, [Due::Sync, Due::Foca(foca::Timer::ProbeRandomMember(0)), Due::Foca(suspicion(1))]);
    }
}
