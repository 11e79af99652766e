//! Which names have a label.

use crate::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Names by one of their labels: a capability, or a kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    by_label: BTreeMap<Arc<str>, BTreeSet<(Arc<str>, NodeId)>>,
}

impl Index {
    pub(super) fn add(&mut self, label: &str, name: &Arc<str>, node: NodeId) {
        let row = (Arc::clone(name), node);
        if let Some(rows) = self.by_label.get_mut(label) {
            rows.insert(row);
        } else {
            self.by_label.insert(label.into(), BTreeSet::from([row]));
        }
    }

    pub(super) fn remove(&mut self, label: &str, name: &Arc<str>, node: NodeId) {
        if let Some(rows) = self.by_label.get_mut(label) {
            rows.remove(&(Arc::clone(name), node));
            if rows.is_empty() {
                self.by_label.remove(label);
            }
        }
    }

    /// Who has the label, in order of names, then of nodes.
    pub(super) fn get(&self, label: &str) -> impl Iterator<Item = (&str, NodeId)> {
        self.by_label.get(label).into_iter().flatten().map(|(name, node)| (&**name, *node))
    }
}
