//! The names of one node.

use super::{Delta, Digest, Known, Publication};
use crate::Boot;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Most names that one node publishes: 262,144. At about 200 bytes for each where it is known they take 50 MB.
pub const NAMES_MAX: usize = 1 << 18;

/// The names of one node, as far as they are known here.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) boot: Boot,
    /// That of its owner; 0 while nothing is known, and for a node that knows no deltas.
    pub(super) version: u64,
    digest: Digest,
    entries: BTreeMap<Arc<str>, Arc<Publication>>,
    /// The parts of a delta that came so far.
    begun: Option<Delta>,
    /// Whether its owner was asked for what is missing, and has not answered.
    is_asked: bool,
    /// The highest version that was heard of: what led to it may have been of no use here at the time.
    newest: u64,
}

/// What became of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counts.
    Applied,
    /// More parts of it are to come.
    Begun,
    /// It tells what is known already, or what a run tells that is over.
    Old,
    /// Something before it is missing, which the owner was asked for already.
    Waits,
    /// Something is missing or wrong: say this to the owner.
    Ask(Known),
}

impl Table {
    pub(super) fn new(boot: Boot) -> Self {
        Self {
            boot,
            version: 0,
            digest: Digest::default(),
            entries: BTreeMap::new(),
            begun: None,
            is_asked: false,
            newest: 0,
        }
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn known(&self) -> Known {
        Known { boot: self.boot, version: self.version, digest: self.digest }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Publication> {
        self.entries.get(name).map(|publication| &**publication)
    }

    pub(super) fn publications(&self) -> impl Iterator<Item = &Publication> {
        self.entries.values().map(|publication| &**publication)
    }

    /// The names that are not among these.
    pub(super) fn names_beside(&self, kept: &[Publication]) -> Vec<Arc<str>> {
        let kept: BTreeSet<&str> = kept.iter().map(|publication| &*publication.entry.name).collect();
        self.entries.keys().filter(|name| !kept.contains(&***name)).cloned().collect()
    }

    /// Another connection: parts on the one before are not waited for, and what was asked there is said anew.
    pub(super) fn begin_anew(&mut self) {
        self.begun = None;
        self.is_asked = true;
    }

    /// Adds a name that is not there.
    pub(super) fn put(&mut self, publication: Arc<Publication>) -> Arc<str> {
        let name: Arc<str> = publication.entry.name.as_str().into();
        self.digest.add(&publication);
        self.entries.insert(Arc::clone(&name), publication);
        name
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<(Arc<str>, Arc<Publication>)> {
        let (name, publication) = self.entries.remove_entry(name)?;
        self.digest.remove(&publication);
        Some((name, publication))
    }

    /// Takes one part; answers the whole delta when it is complete and builds on what is known here.
    pub(super) fn collect(&mut self, part: Delta) -> Result<Delta, Taken> {
        let is_repair = part.from == 0 && part.to == self.version && part.digest != self.digest;
        if part.to <= self.version && !is_repair {
            return Err(Taken::Old);
        }
        self.newest = self.newest.max(part.to);
        if part.from > self.version {
            return Err(self.ask_once());
        }
        if part.part == 0 && part.is_last {
            return Ok(part);
        }
        let begun = self.begun.take();
        let Some(whole) = (if part.part == 0 { Some(part) } else { continued(begun, part) }) else {
            return Err(self.ask_once());
        };
        if whole.is_last {
            return Ok(whole);
        }
        if whole.published.len() + whole.withdrawn.len() > NAMES_MAX {
            return Err(Taken::Waits);
        }
        self.begun = Some(whole);
        Err(Taken::Begun)
    }

    /// The delta is applied: what came out must be what its owner has, and the last that was heard of.
    ///
    /// A whole table that does not come out right is not asked for again at once, since it would go on for ever.
    pub(super) fn finish(&mut self, version: u64, digest: Digest, was_whole: bool) -> Taken {
        self.version = version;
        self.is_asked = was_whole && self.digest != digest;
        let is_right = self.digest == digest && self.newest <= version;
        if is_right { Taken::Applied } else { self.ask_once() }
    }

    fn ask_once(&mut self) -> Taken {
        if std::mem::replace(&mut self.is_asked, true) { Taken::Waits } else { Taken::Ask(self.known()) }
    }
}

/// A delta with its next part; `None` when they do not belong together.
fn continued(begun: Option<Delta>, part: Delta) -> Option<Delta> {
    let mut begun = begun?;
    let follows = (begun.from, begun.to, begun.digest, begun.part.checked_add(1)?)
        == (part.from, part.to, part.digest, part.part);
    if !follows {
        return None;
    }
    begun.part = part.part;
    begun.is_last = part.is_last;
    begun.published.extend(part.published);
    begun.withdrawn.extend(part.withdrawn);
    Some(begun)
}
