//! Who belongs to the mesh, as a value that merges.
//!
//! A row is ordered by (boot, incarnation, state), and two rosters merge by taking the larger row of
//! each node, so every order of exchange ends in the same roster. Only a node raises its own
//! incarnation: to change what it says of itself, or to refute that it is suspect or down.
//! (The rules of SWIM §4.2, with the run of the process in front.)

use crate::{Boot, NodeId};
use bincode::{Decode, Encode};
use std::collections::BTreeMap;

/// How a member is, from best known to most final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// Somebody has lost it, and looks for it.
    Suspect,
    /// It is taken for dead.
    Down,
    /// It said goodbye.
    Left,
}

impl MemberState {
    /// The word for people and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Left => "left",
        }
    }
}

/// A row of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// The node, by its key.
    pub id: NodeId,
    /// Its name in the cluster.
    pub name: String,
    /// Where it accepts connections.
    pub addr: String,
    /// The run of its process.
    pub boot: Boot,
    /// How often it has changed this row in that run.
    pub incarnation: u64,
    /// How it is.
    pub state: MemberState,
    /// What its operator says of it, for placement.
    pub labels: Vec<(String, String)>,
    /// How many actors it runs.
    pub actors: u64,
}

impl Member {
    fn rank(&self) -> (Boot, u64, MemberState) {
        (self.boot, self.incarnation, self.state)
    }
}

/// No node counts so far by honest means: a row that claims more is not believed, so that each can be refuted.
const INCARNATION_MAX: u64 = 1 << 48;

/// Every member that was ever heard of, the own node included.
#[derive(Debug, Clone)]
pub struct Roster {
    own: NodeId,
    rows: BTreeMap<NodeId, Member>,
}

impl Roster {
    /// A roster that knows its own node only.
    #[must_use]
    pub fn new(own: Member) -> Self {
        Self { own: own.id, rows: BTreeMap::from([(own.id, own)]) }
    }

    /// Takes in rows that a peer told; answers those that changed anything, to be told on.
    ///
    /// A row that declares the own node anything but alive is refuted by a larger incarnation, which is
    /// then among the answer.
    pub fn merge(&mut self, rows: impl IntoIterator<Item = Member>) -> Vec<Member> {
        rows.into_iter().filter_map(|row| self.merge_one(row)).collect()
    }

    /// Changes the state of a member that this node has lost or found, within the boot that it knows.
    /// Answers the row to tell on, or `None` when nothing changed.
    pub fn mark(&mut self, id: NodeId, boot: Boot, state: MemberState) -> Option<Member> {
        let row = self.rows.get_mut(&id).filter(|row| row.boot == boot && row.state < state)?;
        row.state = state;
        Some(row.clone())
    }

    /// Changes the own row, with a larger incarnation; answers it, to be told on.
    pub fn renew(&mut self, change: impl FnOnce(&mut Member)) -> Option<Member> {
        let own = self.rows.get_mut(&self.own)?;
        change(own);
        own.incarnation += 1;
        Some(own.clone())
    }

    /// The row of one member.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&Member> {
        self.rows.get(&id)
    }

    /// The newest row with this name: a node that lost its key comes back with another id.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Member> {
        self.rows.values().filter(|row| row.name == name).max_by_key(|row| row.boot)
    }

    /// Every row, in order of the ids.
    pub fn rows(&self) -> impl Iterator<Item = &Member> {
        self.rows.values()
    }

    fn merge_one(&mut self, row: Member) -> Option<Member> {
        if row.incarnation > INCARNATION_MAX {
            return None;
        }
        if row.id == self.own {
            return self.refute(&row);
        }
        match self.rows.get(&row.id) {
            Some(known) if known.rank() >= row.rank() => None,
            _ => {
                self.rows.insert(row.id, row.clone());
                Some(row)
            }
        }
    }

    fn refute(&mut self, told: &Member) -> Option<Member> {
        let own = self.rows.get_mut(&self.own)?;
        let is_wrong = told.boot == own.boot && told.rank() > own.rank() && own.state == MemberState::Alive;
        if !is_wrong {
            return None;
        }
        own.incarnation = told.incarnation + 1;
        Some(own.clone())
    }
}

#[cfg(test)]
mod tests;
