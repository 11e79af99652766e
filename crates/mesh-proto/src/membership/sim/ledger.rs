//! Holds what one run of one node tells against the promise of `Change`.

use crate::{
    Boot, MemberState, NodeId,
    membership::{Change, Reason},
};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<NodeId, (Boot, MemberState)>);

impl Ledger {
    /// Takes note of a telling; answers what is wrong with it.
    pub(super) fn note(&mut self, change: &Change) -> Result<(), String> {
        use MemberState::{Alive, Down, Left, Suspect};
        let before = self.0.get(&change.node).copied();
        let same = before.filter(|(boot, _)| *boot == change.boot).map(|(_, state)| state);
        let is_gone = |state| matches!(state, Down | Left);
        let is_right = match (change.state, change.reason) {
            (Alive, Reason::Joined) => {
                before.is_none_or(|(boot, state)| boot < change.boot && is_gone(state))
            }
            (Alive, Reason::Renewed) => same == Some(Down),
            (Alive, Reason::Refuted) => same == Some(Suspect),
            (Suspect, Reason::Unanswered) => same == Some(Alive),
            (Down, Reason::Silent | Reason::Restarted) | (Left, Reason::Goodbye) => {
                matches!(same, Some(Alive | Suspect))
            }
            _ => false,
        };
        self.0.insert(change.node, (change.boot, change.state));
        if is_right { Ok(()) } else { Err(format!("{change:?} after {before:?}")) }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.0.remove(&node);
    }
}
