//! What a scope has in it, and what is to become of it: no store, no clock, no waiting.

use std::collections::{BTreeMap, HashMap};

use mesh_store::{ContentHash, Memory, MemoryChanges, MemoryEvent, MemoryId, MemoryState};
use serde_json::{Map, Value};

use super::cosine::{Vectors, from_bytes, to_bytes};

/// Uses that wait to be written with a change.
const TOUCHED_MAX: usize = 10_000;

/// Everything of one scope, as of one version. Vectors are apart from their memories.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) state: MemoryState,
    pub(super) capacity: usize,
    entries: BTreeMap<MemoryId, Entry>,
    by_hash: HashMap<ContentHash, MemoryId>,
    pub(super) vectors: Vectors,
    touched: HashMap<MemoryId, (i64, u64)>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) memory: Memory,
    pub(super) metadata: Value,
}

/// Something that is to be remembered, checked.
#[derive(Debug, Clone)]
pub(super) struct Newcomer {
    pub(super) content: String,
    pub(super) metadata: Map<String, Value>,
    pub(super) importance_micros: u32,
    pub(super) expires_ms: Option<i64>,
    pub(super) by: String,
    /// Normalized, with its model.
    pub(super) vector: Option<(String, Vec<f32>)>,
}

/// What an addition comes to.
#[derive(Debug)]
pub(super) struct Addition {
    pub(super) changes: MemoryChanges,
    pub(super) id: MemoryId,
    pub(super) is_new: bool,
    pub(super) is_kept: bool,
    pub(super) importance_micros: u32,
    pub(super) evicted: Vec<MemoryId>,
}

impl Index {
    pub(super) fn new(state: MemoryState, memories: Vec<Memory>, capacity: usize) -> Self {
        let mut index = Self { state, capacity, ..Self::default() };
        memories.into_iter().for_each(|memory| index.insert(memory));
        index
    }

    fn insert(&mut self, mut memory: Memory) {
        let id = memory.id;
        self.remove(id);
        self.vectors.insert(id, &from_bytes(&std::mem::take(&mut memory.vector)));
        self.by_hash.insert(memory.hash(), id);
        let metadata = serde_json::from_str(&memory.metadata).unwrap_or_default();
        self.entries.insert(id, Entry { memory, metadata });
    }

    fn remove(&mut self, id: MemoryId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.by_hash.remove(&entry.memory.hash());
            self.vectors.remove(id);
            self.touched.remove(&id);
        }
    }

    /// The memory, unless its time is over.
    pub(super) fn get(&self, id: MemoryId, now_ms: i64) -> Option<&Entry> {
        self.entries.get(&id).filter(|entry| is_alive(&entry.memory, now_ms))
    }

    /// All whose time is not over, oldest first, behind `after`.
    pub(super) fn alive(&self, after: Option<MemoryId>, now_ms: i64) -> impl Iterator<Item = &Entry> {
        let begin = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let entries = self.entries.range((begin, std::ops::Bound::Unbounded));
        entries.map(|(_, entry)| entry).filter(move |entry| is_alive(&entry.memory, now_ms))
    }

    /// The memory of this very content.
    pub(super) fn known(&self, content: &str, now_ms: i64) -> Option<&Entry> {
        let id = *self.by_hash.get(&ContentHash::of(content.as_bytes()))?;
        self.get(id, now_ms)
    }

    /// The memory as it is stored, vector included.
    pub(super) fn whole(&self, id: MemoryId, now_ms: i64) -> Option<Memory> {
        let memory = self.get(id, now_ms)?.memory.clone();
        let vector = self.vectors.get(id).map(to_bytes).unwrap_or_default();
        Some(Memory { vector, ..memory })
    }

    /// What adding comes to. What is known already gets the metadata besides, the later of both ends, and the higher
    /// importance.
    pub(super) fn add(&self, new: &Newcomer, now_ms: i64) -> Addition {
        match self.known(&new.content, now_ms).map(|entry| entry.memory.id) {
            Some(id) => self.merge(id, new, now_ms),
            None => self.add_new(new, now_ms),
        }
    }

    fn merge(&self, id: MemoryId, new: &Newcomer, now_ms: i64) -> Addition {
        let mut memory = self.whole(id, now_ms).expect("it was found just now");
        let mut metadata: Map<String, Value> = serde_json::from_str(&memory.metadata).unwrap_or_default();
        metadata.extend(new.metadata.clone());
        memory.metadata = Value::Object(metadata).to_string();
        memory.importance_micros = memory.importance_micros.max(new.importance_micros);
        memory.expires_ms = memory.expires_ms.zip(new.expires_ms).map(|(old, new)| old.max(new));
        memory.updated_ms = now_ms;
        (memory.accessed_ms, memory.accesses) = (now_ms, memory.accesses + 1);
        let importance_micros = memory.importance_micros;
        let events = vec![event(id, now_ms, &new.by, "merged", "")];
        let changes = MemoryChanges { put: vec![memory], events, ..self.changes(now_ms) };
        Addition { changes, id, is_new: false, is_kept: true, importance_micros, evicted: Vec::new() }
    }

    fn add_new(&self, new: &Newcomer, now_ms: i64) -> Addition {
        let last = self.entries.last_key_value().map(|(id, _)| *id);
        let mut memory = Memory::new(&*new.content, &*new.by, now_ms).behind(last);
        memory.metadata = Value::Object(new.metadata.clone()).to_string();
        (memory.importance_micros, memory.expires_ms) = (new.importance_micros, new.expires_ms);
        let mut changes = self.changes(now_ms);
        if let Some((model, vector)) = &new.vector {
            memory.vector = to_bytes(vector);
            let dimensions = u32::try_from(vector.len()).unwrap_or(u32::MAX);
            changes.model = Some((model.clone(), dimensions));
        }
        let evicted = self.evicted(&memory, now_ms);
        let (id, importance_micros) = (memory.id, memory.importance_micros);
        let is_kept = !evicted.contains(&id);
        let evicted: Vec<MemoryId> = evicted.into_iter().filter(|gone| *gone != id).collect();
        changes.forget.extend(&evicted);
        if is_kept {
            changes.events.push(event(id, now_ms, &new.by, "added", ""));
            changes.put.push(memory);
        }
        Addition { changes, id, is_new: true, is_kept, importance_micros, evicted }
    }

    /// Who goes when one more comes, the newcomer included: those with the lowest scores, of equals who was used longest
    /// ago.
    fn evicted(&self, newcomer: &Memory, now_ms: i64) -> Vec<MemoryId> {
        let alive = self.alive(None, now_ms).map(|entry| &entry.memory);
        let mut scored: Vec<(f64, i64, MemoryId)> = alive
            .chain([newcomer])
            .map(|memory| (score(memory, now_ms), memory.accessed_ms, memory.id))
            .collect();
        let excess = scored.len().saturating_sub(self.capacity.max(1));
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        scored.into_iter().take(excess).map(|(_, _, id)| id).collect()
    }

    /// A change that does away with what is over, and writes down what was used.
    pub(super) fn changes(&self, now_ms: i64) -> MemoryChanges {
        let over = self.entries.values().filter(|entry| !is_alive(&entry.memory, now_ms));
        MemoryChanges {
            seen: self.state.version,
            forget: over.map(|entry| entry.memory.id).collect(),
            touched: self.touched.iter().map(|(id, (at, uses))| (*id, *at, *uses)).collect(),
            ..MemoryChanges::default()
        }
    }

    /// Follows a change that was stored as `version`.
    pub(super) fn apply(&mut self, changes: MemoryChanges, version: u64) {
        self.state.version = version;
        if let Some((model, dimensions)) = changes.model {
            (self.state.model, self.state.dimensions) = (model, dimensions);
        }
        changes.forget.into_iter().for_each(|id| self.remove(id));
        self.touched.clear();
        changes.put.into_iter().for_each(|memory| self.insert(memory));
    }

    /// Notes that a memory was used.
    pub(super) fn touch(&mut self, id: MemoryId, now_ms: i64) {
        let Some(Entry { memory, .. }) = self.entries.get_mut(&id) else { return };
        (memory.accessed_ms, memory.accesses) = (now_ms, memory.accesses + 1);
        if self.touched.len() < TOUCHED_MAX {
            self.touched.insert(id, (memory.accessed_ms, memory.accesses));
        }
    }
}

pub(super) fn event(memory: MemoryId, at_ms: i64, by: &str, what: &str, before: &str) -> MemoryEvent {
    let (by, what, before) = (by.to_owned(), what.to_owned(), before.to_owned());
    MemoryEvent { memory, at_ms, by, what, before }
}

fn is_alive(memory: &Memory, now_ms: i64) -> bool {
    memory.expires_ms.is_none_or(|end| now_ms < end)
}

/// What a memory is worth keeping: 0.6 for its importance, 0.4 for having been used lately.
fn score(memory: &Memory, now_ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a score is no clock")]
    let age_hours = now_ms.saturating_sub(memory.accessed_ms).max(0) as f64 / 3_600_000.0;
    0.6 * f64::from(memory.importance_micros) / 1e6 + 0.4 / (1.0 + age_hours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1")]
    fn newcomer(content: &str, importance: f64) -> Newcomer {
        Newcomer {
            content: content.to_owned(),
            metadata: Map::new(),
            importance_micros: (importance * 1e6) as u32,
            expires_ms: None,
            by: "here".to_owned(),
            vector: None,
        }
    }

    fn add(index: &mut Index, new: &Newcomer, now_ms: i64) -> Addition {
        let addition = index.add(new, now_ms);
        let version = index.state.version + 1;
        index.apply(addition.changes.clone(), version);
        addition
    }

    fn index(capacity: usize) -> Index {
        Index::new(MemoryState::default(), Vec::new(), capacity)
    }

    fn contents(index: &Index, now_ms: i64) -> Vec<&str> {
        index.alive(None, now_ms).map(|entry| &*entry.memory.content).collect()
    }

    #[test]
    fn a_duplicate_merges_its_metadata_and_keeps_the_higher_importance() {
        let mut index = index(10);
        let with = |importance, key: &str, value: i64| {
            let mut new = newcomer("tide", importance);
            new.metadata.insert(key.to_owned(), value.into());
            new.expires_ms = Some(value * HOUR);
            new
        };
        let first = add(&mut index, &with(0.9, "a", 5), 0);
        let second = add(&mut index, &with(0.2, "b", 3), 1);
        assert_eq!((second.id, second.is_new, second.importance_micros), (first.id, false, 900_000));
        let entry = index.get(first.id, 2).unwrap();
        assert_eq!(entry.metadata, serde_json::json!({"a": 5, "b": 3}));
        assert_eq!((entry.memory.expires_ms, entry.memory.accesses), (Some(5 * HOUR), 1));
        // For ever is longer than any time.
        add(&mut index, &newcomer("tide", 0.1), 3);
        assert_eq!(index.get(first.id, 4).unwrap().memory.expires_ms, None);
    }

    #[test]
    fn at_full_capacity_the_least_important_and_longest_unused_goes() {
        let mut index = index(3);
        add(&mut index, &newcomer("old and important", 0.9), 0);
        add(&mut index, &newcomer("old", 0.3), 0);
        add(&mut index, &newcomer("newer", 0.3), 5 * HOUR);
        let addition = add(&mut index, &newcomer("newest", 0.3), 6 * HOUR);
        assert_eq!(addition.evicted.len(), 1);
        assert_eq!(contents(&index, 6 * HOUR), ["old and important", "newer", "newest"]);
        // 0.6 * 0.9 + 0.4 / 7 and 0.6 * 0.3 + 0.4 / 2
        let worst = index.alive(None, 0).map(|entry| score(&entry.memory, 6 * HOUR)).fold(1.0, f64::min);
        assert!((worst - 0.38).abs() < 1e-9, "{worst}");
    }

    #[test]
    fn a_newcomer_that_is_worth_the_least_is_not_kept() {
        let mut index = index(2);
        add(&mut index, &newcomer("a", 0.8), 0);
        add(&mut index, &newcomer("b", 0.8), 0);
        let addition = add(&mut index, &newcomer("c", 0.1), 1);
        assert!(!addition.is_kept && addition.evicted.is_empty() && addition.changes.put.is_empty());
        assert_eq!(contents(&index, 1), ["a", "b"]);
    }

    #[test]
    fn what_is_used_stays_longer() {
        let mut index = index(2);
        let used = add(&mut index, &newcomer("used", 0.5), 0).id;
        add(&mut index, &newcomer("unused", 0.5), 0);
        index.touch(used, 9 * HOUR);
        let addition = add(&mut index, &newcomer("new", 0.5), 10 * HOUR);
        assert_eq!(contents(&index, 10 * HOUR), ["used", "new"]);
        assert_eq!(addition.changes.touched, [(used, 9 * HOUR, 1)], "the use is written with the change");
    }

    #[test]
    fn what_is_over_is_not_there_and_makes_room() {
        let mut index = index(2);
        let short = Newcomer { expires_ms: Some(10), ..newcomer("short", 1.0) };
        let gone = add(&mut index, &short, 0).id;
        add(&mut index, &newcomer("long", 0.1), 0);
        assert!(index.get(gone, 9).is_some() && index.get(gone, 10).is_none());
        let addition = add(&mut index, &newcomer("new", 0.1), 10);
        assert!(addition.evicted.is_empty() && addition.changes.forget == [gone]);
        // The same content again is a new memory.
        assert!(index.add(&newcomer("short", 0.5), 10).is_new);
    }
}
