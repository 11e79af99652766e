//! What has changed in this node's own table, as far as it is remembered.

use super::{
    delta::{Answer, Known, Need, cut},
    table::Table,
};
use std::collections::{BTreeSet, VecDeque};

/// Changes that are remembered: 4,096. A peer that was away for more of them is told the whole table.
const CHANGES_MAX: usize = 4_096;

/// The names that changed last, one for each version; the last is that of the table's version.
#[derive(Debug, Clone)]
pub(super) struct Log {
    names: VecDeque<Box<str>>,
    changes_max: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { names: VecDeque::new(), changes_max: CHANGES_MAX }
    }
}

impl Log {
    #[cfg(test)]
    pub(super) fn of(changes_max: usize) -> Self {
        Self { changes_max, ..Self::default() }
    }

    pub(super) fn note(&mut self, version: u64, name: &str) {
        debug_assert!(version >= self.names.len() as u64, "each change has its version");
        self.names.push_back(name.into());
        if self.names.len() > self.changes_max {
            self.names.pop_front();
        }
    }

    /// What a peer that has this much of `table` lacks.
    pub(super) fn answer(&self, known: &Known, table: &Table) -> Answer {
        let need = self.need(known, table);
        let parts = match need {
            Need::Nothing => Vec::new(),
            Need::Changes => self.changes_since(known.version, table),
            Need::Whole | Need::Repair => cut(0, table, table.publications().cloned().collect(), Vec::new()),
        };
        Answer { need, parts }
    }

    fn need(&self, known: &Known, table: &Table) -> Need {
        if known.boot != table.boot || known.version == 0 {
            let has_nothing = table.version == 0 && known.is_empty();
            return if has_nothing { Need::Nothing } else { Need::Whole };
        }
        match table.version.checked_sub(known.version) {
            Some(0) if known.digest == table.digest() => Need::Nothing,
            // It has the version and yet not the names; or a version that was never there.
            Some(0) | None => Need::Repair,
            Some(behind) if behind <= self.names.len() as u64 => Need::Changes,
            Some(_) => Need::Whole,
        }
    }

    fn changes_since(&self, version: u64, table: &Table) -> Vec<super::Delta> {
        let behind = usize::try_from(table.version - version).unwrap_or(usize::MAX).min(self.names.len());
        // A name that changed twice is told once, as it is now.
        let names: BTreeSet<&str> = self.names.iter().rev().take(behind).map(|name| &**name).collect();
        let (mut published, mut withdrawn) = (Vec::new(), Vec::new());
        for name in names {
            match table.get(name) {
                Some(publication) => published.push(publication.clone()),
                None => withdrawn.push(name.to_owned()),
            }
        }
        cut(version, table, published, withdrawn)
    }
}
