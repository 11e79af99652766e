//! All placed actors, as one node knows them: for each name the newest record that it has heard of.

use super::record::Record;
use mesh_proto::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::Instant;

/// The most placed actors of a mesh, those that were struck out lately included: 65,536.
pub const PLACEMENTS_MAX: usize = 1 << 16;

/// How long what was struck out is remembered: 10 min. A node that was cut off for longer brings it back.
const REMOVED_FOR: Duration = Duration::from_secs(600);

/// Most records in one message, and about most bytes.
const PAGE_RECORDS: usize = 256;
const PAGE_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Table {
    records: BTreeMap<String, Record>,
    /// The sum of all hashes: equal tables have equal ones.
    digest: u64,
    /// Actors by their node.
    seated: HashMap<NodeId, usize>,
    removed: BTreeMap<String, Instant>,
    /// Names whose record is another than when this was taken last.
    changed: BTreeSet<String>,
}

impl Table {
    pub(crate) fn get(&self, name: &str) -> Option<&Record> {
        self.records.get(name)
    }

    /// The record of an actor that is wanted.
    pub(crate) fn live(&self, name: &str) -> Option<&Record> {
        self.get(name).filter(|record| !record.is_removed)
    }

    pub(crate) fn all_live(&self) -> impl Iterator<Item = &Record> {
        self.records.values().filter(|record| !record.is_removed)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= PLACEMENTS_MAX
    }

    /// How many actors have their place on a node.
    pub(crate) fn seated(&self, node: NodeId) -> usize {
        self.seated.get(&node).copied().unwrap_or_default()
    }

    /// Takes a record in if it is newer than what is known; answers whether it is.
    pub(crate) fn take(&mut self, record: Record) -> bool {
        match self.records.get(&record.name) {
            Some(known) if record.age(known).is_le() => return false,
            None if self.is_full() => return false,
            known => {
                if let Some(known) = known.cloned() {
                    self.uncount(&known);
                }
            }
        }
        self.digest = self.digest.wrapping_add(record.hash());
        if record.is_removed {
            self.removed.insert(record.name.clone(), Instant::now());
        } else {
            self.removed.remove(&record.name);
            *self.seated.entry(record.seat.node()).or_default() += 1;
        }
        self.changed.insert(record.name.clone());
        self.records.insert(record.name.clone(), record);
        true
    }

    fn uncount(&mut self, known: &Record) {
        self.digest = self.digest.wrapping_sub(known.hash());
        if !known.is_removed
            && let Some(seated) = self.seated.get_mut(&known.seat.node())
        {
            *seated -= 1;
            if *seated == 0 {
                self.seated.remove(&known.seat.node());
            }
        }
    }

    /// Forgets what was struck out long ago.
    pub(crate) fn expire(&mut self) {
        let now = Instant::now();
        let over: Vec<String> = self
            .removed
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= REMOVED_FOR)
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            self.removed.remove(&name);
            if let Some(record) = self.records.remove(&name) {
                self.uncount(&record);
            }
        }
    }

    /// Names whose record has changed since this was called last.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.changed)
    }

    /// Has a name looked at again.
    pub(crate) fn look_at(&mut self, name: String) {
        self.changed.insert(name);
    }

    /// As many records behind `after` as go into one message, and whether there are more.
    pub(crate) fn page(&self, after: Option<&str>) -> (Vec<Record>, bool) {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let mut rest = self.records.range::<str, _>((from, Unbounded)).map(|(_, record)| record).peekable();
        let page = cut(&mut rest);
        (page.into_iter().cloned().collect(), rest.peek().is_some())
    }

    /// Those of these names, as many as go into one message.
    pub(crate) fn some_of<'a>(&'a self, names: impl Iterator<Item = &'a String>) -> Vec<Record> {
        let mut records = names.filter_map(|name| self.records.get(name)).peekable();
        cut(&mut records).into_iter().cloned().collect()
    }
}

fn cut<'a>(records: &mut std::iter::Peekable<impl Iterator<Item = &'a Record>>) -> Vec<&'a Record> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    while let Some(record) = records.peek() {
        bytes += record.bytes();
        if !page.is_empty() && (page.len() >= PAGE_RECORDS || bytes > PAGE_BYTES) {
            break;
        }
        page.extend(records.next());
    }
    page
}

#[cfg(test)]
mod tests;
