//! Push/pull, as the machine plays it.

use super::{
    Membership,
    action::Action,
    packet::{Claim, State},
    sync::{Known, Message, ROWS_MAX, Sync, SyncError, better, fill},
};
use crate::{MemberState, NodeId};

impl Membership {
    /// Compares tables with one random member that is connected.
    pub(super) fn sync_with_anybody(&mut self) {
        let is_active = |node: &NodeId| self.table.get(*node).is_some_and(super::Member::is_active);
        let peers: Vec<NodeId> = self.links.connected().filter(is_active).collect();
        if let Some(peer) = peers.get(self.random.below(peers.len())) {
            self.ask(*peer);
        }
    }

    /// Begins to compare tables with a peer.
    pub(super) fn ask(&mut self, peer: NodeId) {
        self.asked.begin(peer);
        let digest = self.digest();
        self.send(peer, Message::Ask { after: None, digest });
    }

    pub(super) fn exchange(&mut self, from: NodeId, message: Message) -> Result<(), SyncError> {
        match message {
            Message::Ask { after, digest } => {
                if after.is_some() || digest != self.digest() {
                    let page = self.page(after);
                    self.send(from, page);
                }
                Ok(())
            }
            Message::Page { after, until, rows } => {
                check_rows(from, &rows)?;
                let goes_on = self.asked.page(from, after, until)?;
                let mine = self.known(after, until);
                let better = better(mine.into_iter(), &rows);
                self.merge(from, rows);
                if !better.is_empty() {
                    self.send(from, Message::Tell { rows: better });
                }
                if goes_on {
                    self.send(from, Message::Ask { after: until, digest: 0 });
                }
                Ok(())
            }
            Message::Tell { rows } => {
                check_rows(from, &rows)?;
                self.merge(from, rows);
                Ok(())
            }
        }
    }

    /// As much as one message holds of what this node knows of the nodes behind `after`.
    fn page(&self, after: Option<NodeId>) -> Message {
        let own = self.own_known();
        let own = Some(own).filter(|own| after.is_none_or(|after| own.claim.id.node > after));
        let mut own = own.into_iter().peekable();
        let mut others = self.table.after(after).map(Known::of).peekable();
        // Both are in order of the ids; so is what comes out.
        let in_order = std::iter::from_fn(|| {
            let is_own_first = match (own.peek(), others.peek()) {
                (Some(own), Some(other)) => own.claim.id.node < other.claim.id.node,
                (own, _) => own.is_some(),
            };
            if is_own_first { own.next() } else { others.next() }
        });
        let (rows, is_cut) = fill(in_order);
        let until = rows.last().filter(|_| is_cut).map(|last| last.claim.id.node);
        Message::Page { after, until, rows }
    }

    /// All that this node knows of the nodes behind `after` up to `until`, itself included.
    fn known(&self, after: Option<NodeId>, until: Option<NodeId>) -> Vec<Known> {
        let is_within = |node: NodeId| until.is_none_or(|until| node <= until);
        let others = self.table.after(after).take_while(|member| is_within(member.node())).map(Known::of);
        let own = self.own_known();
        let is_own_within =
            after.is_none_or(|after| own.claim.id.node > after) && is_within(own.claim.id.node);
        // This node first: where one message does not hold all, it must at least be known itself.
        is_own_within.then_some(own).into_iter().chain(others).collect()
    }

    pub(super) fn own_known(&self) -> Known {
        let id = self.foca.identity().clone();
        let state = if id.has_left { State::Down } else { State::Alive };
        let incarnation = self.incarnation.of(id.renewal);
        Known { claim: Claim { id, incarnation, state }, row: Some(self.row.clone()) }
    }

    fn merge(&mut self, from: NodeId, rows: Vec<Known>) {
        let own = self.foca.identity().clone();
        let is_accused = rows.iter().any(|row| row.claim.id == own && row.claim.state == State::Suspect);
        let (mut fresh, mut claims, mut profiles) = (0, Vec::new(), Vec::new());
        for Known { claim, row } in rows {
            profiles.extend(row.filter(|row| row.node == claim.id.node));
            if self.lets_in(&claim, &mut fresh) {
                claims.push(claim);
            }
        }
        // The rest foca knows already; it would look for each of them in vain.
        claims.retain(|claim| claim.id.node == own.node || self.outside.touched.contains(&claim.id.node));
        self.apply(claims);
        profiles.into_iter().for_each(|row| self.describe(row));
        if is_accused {
            // foca has contradicted by gossip; the accuser is to hear it for certain.
            self.send(from, Message::Tell { rows: vec![self.own_known()] });
        }
    }

    /// Tells a peer that it is suspected, if it is, so that it can contradict.
    pub(super) fn warn(&mut self, peer: NodeId) {
        let member = self.table.get(peer).filter(|member| member.state() == MemberState::Suspect);
        if let Some(known) = member.map(Known::of)
            && self.links.is_connected(peer)
        {
            self.send(peer, Message::Tell { rows: vec![known] });
        }
    }

    fn digest(&self) -> u64 {
        self.table.digest((self.foca.identity(), self.row.version))
    }

    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        self.outside.actions.push_back(Action::Sync { to, message: Sync(message) });
    }
}

fn check_rows(from: NodeId, rows: &[Known]) -> Result<(), SyncError> {
    if rows.len() > ROWS_MAX {
        return Err(SyncError::TooMany { from, rows: rows.len() });
    }
    Ok(())
}
