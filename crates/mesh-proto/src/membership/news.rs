//! What is let through to foca, and what it makes of it.

use super::{
    Membership,
    action::Action,
    config::digits,
    error::DatagramError,
    packet::{Claim, Packet, ROW_BYTES_MAX, State},
    profile::Row,
    table::outranks,
    timers::Due,
};
use crate::{MemberState, NodeId, codec::encode_frame};

use std::mem;

impl Membership {
    pub(super) fn read(&mut self, from: NodeId, bytes: &[u8]) -> Result<(), DatagramError> {
        let packet = Packet::parse(bytes).map_err(|error| DatagramError::Malformed { from, error })?;
        let sender = packet.sender();
        if sender.node != from {
            return Err(DatagramError::WrongSender { from, claimed: sender.node });
        }
        if !packet.named().all(|id| id.is_sound()) {
            return Err(DatagramError::Unsound { from });
        }
        let sender =
            Claim { id: sender.clone(), incarnation: packet.sender_incarnation(), state: State::Alive };
        let mut fresh = 0;
        if self.table.get(from).is_none() && !self.has_room(&mut fresh) {
            return Err(DatagramError::Full { from });
        }
        self.touch(&sender);
        let claims: Vec<Claim> =
            packet.claims.iter().filter(|claim| self.lets_in(claim, &mut fresh)).cloned().collect();
        let handled = if claims.len() == packet.claims.len() {
            self.foca.handle_data(&bytes[..packet.length], &mut self.outside)
        } else {
            self.foca.handle_data(&packet.encode_with(&claims), &mut self.outside)
        };
        self.settle();
        if self.foca.identity().outranks(packet.receiver()) {
            // foca is silent to who means an identity of before; the next probe would fail as this one does.
            self.announce(from);
        }
        packet.rows.into_iter().for_each(|row| self.describe(row));
        handled.map_err(|error| DatagramError::Protocol { from, reason: error.to_string() })
    }

    /// Hands claims to foca that did not come in a datagram.
    pub(super) fn apply(&mut self, claims: Vec<Claim>) {
        let claims = claims.into_iter().map(foca::Member::from);
        let applied = self.foca.apply_many(claims, true, &mut self.outside);
        debug_assert!(applied.is_ok(), "what was decoded can be encoded: {applied:?}");
        self.settle();
    }

    /// Whether foca should hear a claim. `fresh` counts the members that it is about to learn of.
    pub(super) fn lets_in(&mut self, claim: &Claim, fresh: &mut usize) -> bool {
        if !claim.id.is_sound() {
            return false;
        }
        if claim.id.node == self.foca.identity().node {
            return self.hears_of_itself(claim);
        }
        if self.table.get(claim.id.node).is_none() {
            // A death that was forgotten must not come back from those who have yet to forget it.
            let is_gone = claim.state == State::Down || claim.id.has_left;
            if is_gone || !self.has_room(fresh) {
                return false;
            }
        }
        self.touch(claim);
        true
    }

    /// Makes room for one more member, if need be at the cost of the one that has been gone for longest.
    fn has_room(&mut self, fresh: &mut usize) -> bool {
        // Who comes and goes quickly enough would otherwise fill what is still to be told.
        if self.foca.updates_backlog() + *fresh > 2 * self.config.members_max {
            self.refused += 1;
            return false;
        }
        if self.table.len() + *fresh >= self.config.members_max {
            let Some(gone) = self.table.longest_gone() else {
                self.refused += 1;
                return false;
            };
            self.forget(gone);
        }
        *fresh += 1;
        true
    }

    fn touch(&mut self, claim: &Claim) {
        let known = self.table.get(claim.id.node);
        if known.is_none_or(|known| outranks(claim, &known.claim())) {
            self.outside.touched.insert(claim.id.node);
        }
    }

    /// A claim about this node; answers whether foca can deal with it.
    fn hears_of_itself(&mut self, claim: &Claim) -> bool {
        let own = self.foca.identity().clone();
        if claim.id.boot > own.boot {
            if self.superseded.is_none_or(|known| known < claim.id.boot) {
                self.superseded = Some(claim.id.boot);
                self.outside.actions.push_back(Action::Superseded { boot: claim.id.boot });
            }
            return false;
        }
        if claim.id.outranks(&own) {
            // Others believe in a later identity of this run than it has: it takes one later still, or is never heard.
            if let Some(next) = claim.id.renewed().or_else(|| own.renewed())
                && !own.has_left
            {
                let next = super::Identity { renewal: next.renewal.max(claim.id.renewal + 1), ..own };
                self.renew(next);
            }
            return false;
        }
        // An older identity of this node is declared dead by foca; where it is, there is nothing to say.
        claim.id == own || claim.state != State::Down
    }

    fn renew(&mut self, next: super::Identity) {
        let renewal = next.renewal;
        if self.foca.change_identity(next, &mut self.outside).is_ok() {
            self.outside.renewed = Some(renewal);
        }
    }

    /// Brings the table up to what foca has come to think, and tells what that means.
    pub(super) fn settle(&mut self) {
        if let Some(renewal) = self.outside.renewed.take() {
            // With a new identity foca waits for a first word from others; it knows enough of them.
            let awake = self.foca.apply_many(std::iter::empty(), false, &mut self.outside);
            debug_assert!(awake.is_ok(), "nothing was applied: {awake:?}");
            self.outside.actions.push_back(Action::Renewed { renewal });
        }
        let touched = mem::take(&mut self.outside.touched);
        if touched.is_empty() {
            return;
        }
        let own = self.foca.identity().node;
        let is_news = |id: NodeId| id != own && touched.contains(&id);
        let members = self.foca.iter_membership_state().filter(|member| is_news(member.id().node));
        for claim in members.map(Claim::from).collect::<Vec<_>>() {
            self.observe(claim);
        }
        self.resize();
    }

    fn observe(&mut self, claim: Claim) {
        let node = claim.id.node;
        let changes = self.table.observe(claim, self.outside.now);
        let state = self.table.get(node).map(super::Member::state);
        if state.is_none_or(|state| state == MemberState::Left) {
            self.links.unwant(node);
        } else if self.links.want(node, state == Some(MemberState::Down))
            && !self.outside.timers.is_set(&Due::Dial)
        {
            self.outside.timers.set(Due::Dial, self.outside.now);
        }
        let is_accused = changes.iter().any(|change| change.state == MemberState::Suspect);
        self.outside.actions.extend(changes.into_iter().map(Action::Changed));
        // One who accuses warns; those who have it from hearsay leave that to it.
        if is_accused && self.outside.timers.accuses(node) {
            self.warn(node);
        }
    }

    /// foca's counts and times follow the logarithm of the mesh's size.
    fn resize(&mut self) {
        let is = digits(self.table.active() + 1);
        if is != self.digits && self.foca.set_config(self.config.foca(is)).is_ok() {
            self.digits = is;
        }
    }

    /// Takes in what a member says of itself, and passes it on when it is new.
    pub(super) fn describe(&mut self, row: Row) {
        if row.profile.check().is_err() {
            return;
        }
        let node = row.node;
        let mut bytes = Vec::new();
        encode_frame(&row, &mut bytes);
        if self.table.describe(row) {
            self.outside.actions.push_back(Action::Profile { node });
            self.carry(&bytes);
        }
    }

    pub(super) fn carry(&mut self, row: &[u8]) {
        let has_room = self.foca.custom_broadcast_backlog() <= 2 * self.config.members_max;
        if row.len() <= ROW_BYTES_MAX && has_room {
            let carried = self.foca.add_broadcast(row);
            debug_assert!(carried.is_ok(), "it was just encoded: {carried:?}");
        }
    }

    /// Strikes a member that is gone from the list.
    pub(super) fn forget(&mut self, node: NodeId) {
        let Some(member) = self.table.remove(node) else { return };
        let boot = member.boot();
        let removed = self.foca.handle_timer(foca::Timer::RemoveDown(member.id), &mut self.outside);
        debug_assert!(removed.is_ok(), "removing cannot fail: {removed:?}");
        self.links.unwant(node);
        self.outside.actions.push_back(Action::Forgotten { node, boot });
    }
}
