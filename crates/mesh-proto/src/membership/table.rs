//! Every member as this node sees it: what foca last said of each, and what each says of itself.

use super::{
    action::{Change, Reason},
    identity::Identity,
    packet::{Claim, State},
    profile::{Profile, Row},
    random::mix,
};
use crate::{Boot, MemberState, NodeId};
use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
    time::Duration,
};

/// Another node, as this one sees it.
#[derive(Debug, Clone)]
pub struct Member {
    pub(crate) id: Identity,
    pub(crate) incarnation: u16,
    pub(crate) row: Option<Row>,
    state: MemberState,
    /// Since when it is so.
    since: Duration,
    /// Whether this run of it was ever told to take part. (Its death may be the first that is heard of it.)
    was_told: bool,
}

impl Member {
    /// The node, by its key.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.id.node
    }

    /// The run of its process.
    #[must_use]
    pub fn boot(&self) -> Boot {
        self.id.boot
    }

    /// Where it accepts connections, `HOST:PORT`.
    #[must_use]
    pub fn addr(&self) -> &Arc<str> {
        &self.id.addr
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> MemberState {
        self.state
    }

    /// Whether it takes part: alive or suspect.
    #[must_use]
    pub fn is_active(&self) -> bool {
        is_active(self.state)
    }

    /// What this run of it says of itself, or `None` when that has not come yet.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        self.row.as_ref().map(|row| &row.profile)
    }

    pub(crate) fn claim(&self) -> Claim {
        let state = match self.state {
            MemberState::Alive => State::Alive,
            MemberState::Suspect => State::Suspect,
            MemberState::Down | MemberState::Left => State::Down,
        };
        Claim { id: self.id.clone(), incarnation: self.incarnation, state }
    }

    pub(crate) fn version(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.version)
    }
}

fn is_active(state: MemberState) -> bool {
    matches!(state, MemberState::Alive | MemberState::Suspect)
}

/// Whether a claim says more than another one of the same node (SWIM §4.2, with the identity in front).
pub(crate) fn outranks(claim: &Claim, other: &Claim) -> bool {
    let rank = |claim: &Claim| (claim.state == State::Down, claim.incarnation, claim.state);
    claim.id.outranks(&other.id) || (claim.id == other.id && rank(claim) > rank(other))
}

/// All members but the own node.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<NodeId, Member>,
    active: usize,
}

impl Table {
    pub(crate) fn get(&self, node: NodeId) -> Option<&Member> {
        self.rows.get(&node)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.rows.values()
    }

    pub(crate) fn after(&self, node: Option<NodeId>) -> impl Iterator<Item = &Member> {
        let from = node.map_or(Unbounded, Excluded);
        self.rows.range((from, Unbounded)).map(|(_, member)| member)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many are alive or suspect.
    pub(crate) fn active(&self) -> usize {
        self.active
    }

    /// Takes over what foca says of a member; answers what that means.
    pub(crate) fn observe(&mut self, claim: Claim, now: Duration) -> Vec<Change> {
        let state = match claim.state {
            // Goodbye is believed at the first word.
            _ if claim.id.has_left => MemberState::Left,
            State::Alive => MemberState::Alive,
            State::Suspect => MemberState::Suspect,
            State::Down => MemberState::Down,
        };
        let before = self.rows.remove(&claim.id.node);
        let changes = changes(before.as_ref(), &claim.id, state);
        let was_active = before.as_ref().is_some_and(Member::is_active);
        let (row, state, since, was_told) = match before {
            // Who was down before its goodbye was heard stays down.
            Some(old) if old.id.boot == claim.id.boot => {
                let state = if !old.is_active() && state == MemberState::Left { old.state } else { state };
                (old.row, state, if old.state == state { old.since } else { now }, old.was_told)
            }
            _ => (None, state, now, false),
        };
        let was_told = was_told || is_active(state);
        let member = Member { id: claim.id, incarnation: claim.incarnation, row, state, since, was_told };
        self.active = self.active + usize::from(member.is_active()) - usize::from(was_active);
        self.rows.insert(member.id.node, member);
        changes
    }

    /// Takes in a row when it is newer; answers whether it was.
    pub(crate) fn describe(&mut self, row: Row) -> bool {
        let known = self.rows.get_mut(&row.node);
        // Only of the run that is known: else a large boot, made up, would shut out the true ones.
        let Some(member) =
            known.filter(|member| member.id.boot == row.boot && member.version() < row.version)
        else {
            return false;
        };
        member.row = Some(row);
        true
    }

    pub(crate) fn remove(&mut self, node: NodeId) -> Option<Member> {
        let removed = self.rows.remove(&node)?;
        self.active -= usize::from(removed.is_active());
        Some(removed)
    }

    /// Members that have been gone since `until` or longer.
    pub(crate) fn gone_since(&self, until: Duration) -> Vec<NodeId> {
        let gone = self.rows.values().filter(|member| !member.is_active() && member.since <= until);
        gone.map(Member::node).collect()
    }

    /// The member that has been gone for longest.
    pub(crate) fn longest_gone(&self) -> Option<NodeId> {
        let gone = self.rows.values().filter(|member| !member.is_active());
        gone.min_by_key(|member| (member.since, member.id.node)).map(Member::node)
    }

    /// A number that is the same for equal tables, `own` included, and hardly for others. Who is gone does not count: each
    /// node forgets them in its own time.
    pub(crate) fn digest(&self, own: (&Identity, u64)) -> u64 {
        let rows = self.rows.values().filter(|member| member.is_active());
        let rows =
            rows.map(|member| digest_of(&member.id, member.version(), member.state == MemberState::Suspect));
        rows.fold(digest_of(own.0, own.1, false), |sum, row| sum ^ row)
    }
}

fn digest_of(id: &Identity, version: u64, is_suspect: bool) -> u64 {
    let [low, high] = [id.node.0 & u128::from(u64::MAX), id.node.0 >> 64]
        .map(|half| u64::try_from(half).expect("half of 128 bits is 64"));
    let words = [low, high, id.boot.0, u64::from(id.renewal), version, u64::from(is_suspect)];
    words.into_iter().fold(0, |sum, word| mix(sum ^ word).wrapping_add(1))
}

fn changes(before: Option<&Member>, id: &Identity, state: MemberState) -> Vec<Change> {
    let change =
        |boot, state, reason| Change { node: id.node, boot, addr: Arc::clone(&id.addr), state, reason };
    let mut changes = Vec::new();
    let known = match before {
        Some(old) if old.id.boot != id.boot => {
            if old.is_active() {
                let addr = Arc::clone(&old.id.addr);
                let down = change(old.id.boot, MemberState::Down, Reason::Restarted);
                changes.push(Change { addr, ..down });
            }
            None
        }
        known => known.filter(|old| old.was_told).map(|old| old.state),
    };
    let was_active = known.is_some_and(is_active);
    if is_active(state) && !was_active {
        let reason = if known.is_none() { Reason::Joined } else { Reason::Renewed };
        changes.push(change(id.boot, MemberState::Alive, reason));
    }
    let reason = match (known, state) {
        (Some(MemberState::Suspect), MemberState::Alive) => Reason::Refuted,
        (old, MemberState::Suspect) if old != Some(MemberState::Suspect) => Reason::Unanswered,
        (_, MemberState::Down) if was_active => Reason::Silent,
        (_, MemberState::Left) if was_active => Reason::Goodbye,
        _ => return changes,
    };
    changes.push(change(id.boot, state, reason));
    changes
}
