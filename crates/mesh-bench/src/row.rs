//! The rows of the table: which workload, with which peers, for how long.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{peer::PeerName, workload::STUCK};

/// One workload with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Row {
    /// Local tells until the last is handled.
    L1 { producers: u32, workers: u32 },
    /// Local asks, one at a time.
    L2,
    /// Remote asks, one at a time.
    R1,
    /// Remote asks from many callers.
    R2 { callers: u32 },
    /// Remote tells of 64 bytes until the receiver has counted all.
    R3,
    /// Remote tells of 64 KiB until the receiver has counted all.
    R4,
    /// A sender as fast as its API lets it, beside an actor that takes 1 ms a message.
    R5,
    /// Asks to one actor while 1 MiB messages stream to another on the same node.
    R6,
    /// From the death of the remote process to the failure of the asks in flight.
    R7,
    /// From a crash under supervision to the first answered call.
    R8,
    /// Starting local actors, and what an idle one weighs.
    R9,
    /// Asks to the neighbour of 300 actors that never return.
    S300,
}

impl Row {
    /// Every row, in the order of the table.
    pub(crate) const ALL: [Self; 16] = [
        Self::L1 { producers: 1, workers: 1 },
        Self::L1 { producers: 8, workers: 1 },
        Self::L1 { producers: 1, workers: 2 },
        Self::L1 { producers: 8, workers: 2 },
        Self::L2,
        Self::R1,
        Self::R2 { callers: 64 },
        Self::R2 { callers: 256 },
        Self::R3,
        Self::R4,
        Self::R5,
        Self::R6,
        Self::R7,
        Self::R8,
        Self::R9,
        Self::S300,
    ];

    /// The row's name in the table and in JSON.
    pub(crate) fn id(self) -> String {
        match self {
            Self::L1 { producers, workers: 1 } => format!("L1_{producers}"),
            Self::L1 { producers, workers } => format!("L1_{producers}_{workers}w"),
            Self::L2 => "L2".into(),
            Self::R1 => "R1".into(),
            Self::R2 { callers } => format!("R2_{callers}"),
            Self::R3 => "R3".into(),
            Self::R4 => "R4".into(),
            Self::R5 => "R5".into(),
            Self::R6 => "R6".into(),
            Self::R7 => "R7".into(),
            Self::R8 => "R8".into(),
            Self::R9 => "R9".into(),
            Self::S300 => "S300".into(),
        }
    }

    /// The peers that can do this row, in the order in which they take turns.
    pub(crate) fn peers(self) -> &'static [PeerName] {
        match self {
            Self::L1 { .. } | Self::L2 | Self::R9 => &[PeerName::Ours, PeerName::Ractor, PeerName::TokioMpsc],
            Self::R3 => &[PeerName::Ours, PeerName::OursTrusted, PeerName::RawQuinn, PeerName::RawQuinnUni],
            Self::R1 | Self::R2 { .. } | Self::R4 | Self::R6 => {
                &[PeerName::Ours, PeerName::OursTrusted, PeerName::RawQuinn]
            }
            Self::R5 => &[PeerName::Ours, PeerName::RawQuinn],
            Self::R7 | Self::R8 | Self::S300 => &[PeerName::Ours],
        }
    }

    /// The figure under which the receiver's peak memory over idle is told, where it matters.
    pub(crate) fn receiver_memory(self) -> Option<&'static str> {
        match self {
            Self::R5 => Some("R5_receiver_mib"),
            Self::S300 => Some("S300_receiver_mib"),
            _ => None,
        }
    }

    /// Actors that the serving node needs.
    pub(crate) fn actors(self) -> u32 {
        if self == Self::S300 { STUCK + 1 } else { 2 }
    }

    /// Messages that the mailboxes of our actors hold: the default, but more in R3, where a sender that never waits for
    /// its receiver is measured.
    pub(crate) fn mailbox(self) -> u32 {
        if self == Self::R3 { 8192 } else { 1024 }
    }

    /// True for rows within one process.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::L1 { .. } | Self::L2 | Self::R8 | Self::R9)
    }

    /// Worker threads of a local row's runtime; 1 means a current-thread runtime.
    pub(crate) fn workers(self) -> u32 {
        match self {
            Self::L1 { workers, .. } => workers,
            _ => 1,
        }
    }

    /// Length of the timed part of a row, before `--seconds` has its say. Rows of a fixed amount ignore it.
    pub(crate) fn default_length(self) -> Duration {
        Duration::from_secs(if self == Self::R5 { 10 } else { 3 })
    }
}

/// What `--only` accepts: a row, a family of rows, or one figure of a row.
#[derive(Clone, Debug)]
pub(crate) struct RowFilter(String);

impl RowFilter {
    /// True if `row` is asked for.
    pub(crate) fn admits(&self, row: Row) -> bool {
        let id = row.id();
        let is_family =
            |short: &str, long: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('_'));
        // `L1_1` names one row although `L1_1_2w` begins with it, so an exact name wins.
        let names_a_row = Row::ALL.iter().any(|other| other.id() == self.0);
        if names_a_row { id == self.0 } else { is_family(&self.0, &id) || is_family(&id, &self.0) }
    }
}

impl FromStr for RowFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let filter = Self(text.to_owned());
        if Row::ALL.iter().any(|row| filter.admits(*row)) {
            return Ok(filter);
        }
        let known: Vec<String> = Row::ALL.iter().map(|row| row.id()).collect();
        Err(format!("no such row; rows are {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(filter: &str) -> Vec<String> {
        let filter: RowFilter = filter.parse().unwrap();
        Row::ALL.into_iter().filter(|row| filter.admits(*row)).map(Row::id).collect()
    }

    #[test]
    fn a_family_admits_all_its_rows() {
        assert_eq!(admitted("R2"), ["R2_64", "R2_256"]);
        assert_eq!(admitted("L1"), ["L1_1", "L1_8", "L1_1_2w", "L1_8_2w"]);
    }

    #[test]
    fn an_exact_name_admits_that_row_alone() {
        assert_eq!(admitted("L1_1"), ["L1_1"]);
        assert_eq!(admitted("R1"), ["R1"]);
    }

    #[test]
    fn a_figure_admits_the_row_that_yields_it() {
        assert_eq!(admitted("R5_sender_mib"), ["R5"]);
    }

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<String> = Row::ALL.iter().map(|row| row.id()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), Row::ALL.len());
    }
}
