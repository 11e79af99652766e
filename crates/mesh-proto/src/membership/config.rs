//! Settings of membership.

use std::{num::NonZero, sync::Arc, time::Duration};

/// Settings of membership. All nodes of a mesh should have the same, but for the seeds; that they differ slows the mesh
/// down and breaks nothing.
///
/// How long a death takes to be known: the time until somebody probes the dead node (with any number of nodes, one
/// `probe_period` in the mean), `probe_period` more for the answer that does not come, `suspicion`, and about
/// log(nodes) times `gossip_period` to tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipConfig {
    /// Nodes to join through, `HOST:PORT`. They are dialled for ever while they are not connected, so that a partition
    /// heals even when both sides have forgotten each other. Default none: a mesh of one. At most 64.
    pub seeds: Vec<Arc<str>>,
    /// How often each node probes one other (SWIM §3.1). Default 500 ms (WAN 3 s), 50 ms to 1 min. Shorter finds deaths
    /// sooner; each node sends and answers one small datagram a period, in any size of mesh.
    pub probe_period: Duration,
    /// How long the direct answer may take before others are asked to probe. Default 200 ms (WAN 1.5 s), at least 10 ms
    /// and at most half of `probe_period`, which has to hold the indirect way too. Choose the 99th percentile of the
    /// round trip under load.
    pub probe_timeout: Duration,
    /// How many others are asked to probe (SWIM §3.1, `k`). Default 3, 1 to 16. Each multiplies the odds of a false
    /// suspicion by the loss on its path.
    pub indirect_probes: usize,
    /// How long a suspect may contradict before it is down (SWIM §4.2), in a mesh of fewer than 100; half as long again below
    /// 1,000, twice as long below 10,000, and so on (memberlist: with the logarithm of the size). Default 6 s (WAN 20 s), at least
    /// four times `probe_period`, at most 10 min. It must exceed the longest pause that is no death: a stopped process,
    /// a loaded machine.
    pub suspicion: Duration,
    /// How often news is passed on beside what travels on probes. Default 200 ms (WAN 500 ms), 20 ms to 1 min. Without
    /// news nothing is sent.
    pub gossip_period: Duration,
    /// To how many at a time. Default 3 (WAN 4), 1 to 16.
    pub gossip_fanout: usize,
    /// How often all rows are compared with a random member, in a mesh of up to 100. Default 10 s (WAN 30 s), 1 s to 1 h.
    /// Equal tables cost 30 bytes. It bounds how long a node can miss what gossip lost, or a profile too long for it.
    pub sync_period: Duration,
    /// The same above 100 members. Default 30 s (WAN 60 s), 1 s to 1 h.
    pub sync_period_large: Duration,
    /// How often members that should be connected and are not are dialled. Default 250 ms (WAN 1 s), 50 ms to 1 min. Of
    /// two nodes the larger id dials; the smaller joins in after two periods.
    pub dial_period: Duration,
    /// How long a member that is down is dialled as often as one that takes part, by about 16 others. Default 10 min (WAN
    /// 1 h), 1 s to 30 days. A partition that heals within it is whole again one `dial_period` later; afterwards one that is down is dialled
    /// each `search_period`.
    pub seek_for: Duration,
    /// How often the seeds that are not connected are dialled, and one member that is down. Default 5 s (WAN 15 s), 100 ms
    /// to 10 min. It bounds how long a partition outlasts its cause.
    pub search_period: Duration,
    /// Least time between two tellings of the own profile. Default 1 s (WAN 5 s), 100 ms to 1 h. What changes in between
    /// is told once.
    pub profile_period: Duration,
    /// How long members that are down or have left stay listed, and are looked for. Default 1 h (WAN 24 h), 1 min to 30
    /// days; it must be far longer than news takes to reach everybody. When the table is full, the oldest go earlier.
    pub forget_after: Duration,
    /// Most members that are known, dead ones included; about 500 bytes each, up to 2 KiB with all labels. Default
    /// 10,000, 2 to 60,000. Who comes when all of them live is not known to this node.
    pub members_max: usize,
    /// A timer this late means that this process stood still, and not the others: suspicions are prolonged by as much.
    /// (Lifeguard §IV: who is slow must not accuse.) Default 500 ms (WAN 1 s), 10 ms to 1 min.
    pub pause: Duration,
}

/// Every setting that is out of its range. The caller's mistake; nothing was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct MembershipConfigError {
    /// `key: what is wrong`, for each.
    pub problems: Vec<String>,
}

const MS: fn(u64) -> Duration = Duration::from_millis;
const SECS: fn(u64) -> Duration = Duration::from_secs;

impl MembershipConfig {
    /// For one site: round trips of a few milliseconds.
    #[must_use]
    pub fn lan() -> Self {
        Self {
            seeds: Vec::new(),
            probe_period: MS(500),
            probe_timeout: MS(200),
            indirect_probes: 3,
            suspicion: SECS(6),
            gossip_period: MS(200),
            gossip_fanout: 3,
            sync_period: SECS(10),
            sync_period_large: SECS(30),
            dial_period: MS(250),
            seek_for: SECS(600),
            search_period: SECS(5),
            profile_period: SECS(1),
            forget_after: SECS(60 * 60),
            members_max: 10_000,
            pause: MS(500),
        }
    }

    /// For sites far apart: round trips of up to a second, and more loss.
    #[must_use]
    pub fn wan() -> Self {
        Self {
            probe_period: SECS(3),
            probe_timeout: MS(1500),
            suspicion: SECS(20),
            gossip_period: MS(500),
            gossip_fanout: 4,
            sync_period: SECS(30),
            sync_period_large: SECS(60),
            dial_period: SECS(1),
            seek_for: SECS(60 * 60),
            search_period: SECS(15),
            profile_period: SECS(5),
            forget_after: SECS(24 * 60 * 60),
            pause: SECS(1),
            ..Self::lan()
        }
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`MembershipConfigError`] with all of those that are out of it.
    pub fn validate(&self) -> Result<(), MembershipConfigError> {
        let hour = SECS(60 * 60);
        let durations = [
            ("probe_period", self.probe_period, MS(50), SECS(60)),
            ("probe_timeout", self.probe_timeout, MS(10), self.probe_period / 2),
            ("suspicion", self.suspicion, self.probe_period * 4, SECS(600)),
            ("gossip_period", self.gossip_period, MS(20), SECS(60)),
            ("sync_period", self.sync_period, SECS(1), hour),
            ("sync_period_large", self.sync_period_large, SECS(1), hour),
            ("dial_period", self.dial_period, MS(50), SECS(60)),
            ("seek_for", self.seek_for, SECS(1), hour * 24 * 30),
            ("search_period", self.search_period, MS(100), SECS(600)),
            ("profile_period", self.profile_period, MS(100), hour),
            ("forget_after", self.forget_after, SECS(60), hour * 24 * 30),
            ("pause", self.pause, MS(10), SECS(60)),
        ];
        let counts = [
            ("seeds", self.seeds.len(), 0, 64),
            ("indirect_probes", self.indirect_probes, 1, 16),
            ("gossip_fanout", self.gossip_fanout, 1, 16),
            ("members_max", self.members_max, 2, 60_000),
        ];
        let late = durations.iter().filter(|(_, is, least, most)| is < least || is > most);
        let mut problems: Vec<String> = late
            .map(|(key, is, least, most)| format!("{key}: {is:?} is not in {least:?}..={most:?}"))
            .collect();
        let odd = counts.iter().filter(|(_, is, least, most)| is < least || is > most);
        problems.extend(odd.map(|(key, is, least, most)| format!("{key}: {is} is not in {least}..={most}")));
        if problems.is_empty() { Ok(()) } else { Err(MembershipConfigError { problems }) }
    }

    /// How often tables are compared in a mesh of this size.
    pub(crate) fn sync_period_of(&self, members: usize) -> Duration {
        if members > 100 { self.sync_period_large } else { self.sync_period }
    }

    /// foca's settings in a mesh whose size has so many `digits`.
    pub(crate) fn foca(&self, digits: u32) -> foca::Config {
        let count = |is: usize| NonZero::new(is).unwrap_or(NonZero::<usize>::MIN);
        foca::Config {
            probe_period: self.probe_period,
            probe_rtt: self.probe_timeout,
            num_indirect_probes: count(self.indirect_probes),
            // SWIM §5: a multiple of the logarithm reaches everybody with high probability; 4 is memberlist's factor.
            max_transmissions: NonZero::new(u8::try_from(4 * digits.max(1)).unwrap_or(u8::MAX))
                .unwrap_or(NonZero::<u8>::MIN),
            suspect_to_down_after: self.suspicion * digits.max(2) / 2,
            // Dead members are forgotten by our own table, which has a bound.
            remove_down_after: None,
            max_packet_size: count(super::DATAGRAM_BYTES_MAX),
            notify_down_members: true,
            // Push/pull and the search for the lost do more than these, and reliably.
            periodic_announce: None,
            periodic_announce_to_down_members: None,
            periodic_gossip: Some(foca::PeriodicParams {
                frequency: self.gossip_period,
                num_members: count(self.gossip_fanout),
            }),
        }
    }
}

/// How many decimal digits the size of a mesh has, which is how foca's settings follow it.
pub(crate) fn digits(members: usize) -> u32 {
    members.checked_ilog10().unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_are_in_range() {
        assert_eq!(MembershipConfig::lan().validate(), Ok(()));
        assert_eq!(MembershipConfig::wan().validate(), Ok(()));
    }

    #[test]
    fn every_setting_out_of_range_is_told() {
        let odd = MembershipConfig { probe_timeout: SECS(1), members_max: 1, ..MembershipConfig::lan() };
        let problems = odd.validate().unwrap_err().problems;
        assert_eq!(
            problems,
            ["probe_timeout: 1s is not in 10ms..=250ms", "members_max: 1 is not in 2..=60000"]
        );
    }
}
