//! Published names: told by their owner, and asked for where something is missing.

use super::{Membership, State};
use crate::session::Session;
use mesh_proto::{
    Delta, Entry, Known, NodeId, Publication, Taken,
    frame::{Control, Features, ROWS_MAX},
    membership::{Load, Member},
};
use parking_lot::MutexGuard;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

mod listing;
mod told;

pub use listing::Listing;
use told::Counters;
pub use told::NamesTold;

/// How often a peer is told what this node has of its names, so that what went wrong is mended: 10 s.
pub(super) const NAMES_PERIOD: Duration = Duration::from_secs(10);

/// What a node knows of names beside the directory.
#[derive(Debug, Default)]
pub(crate) struct Names {
    counters: Counters,
    /// This node's names that lead to another node, with that node's name.
    pub(crate) lost: watch::Sender<BTreeMap<String, String>>,
}

impl Membership {
    /// Publishes a name of this node, here and to every peer.
    pub(crate) fn publish(&self, publication: Publication, is_on_every_node: bool, load: Load) {
        let mut state = self.state.lock();
        if is_on_every_node {
            state.everywhere.insert(publication.entry.name.clone());
        }
        let delta = state.directory.publish(publication);
        self.tell_names(&state, &delta);
        self.look_for_lost_among(&state, names_of(&delta).iter());
        self.feed(state, |swim, now| swim.set_load(load, now));
    }

    /// Withdraws a name of this node.
    pub(crate) fn withdraw(&self, name: &str, load: Load) {
        let mut state = self.state.lock();
        if let Some(delta) = state.directory.withdraw(name) {
            self.tell_names(&state, &delta);
        }
        state.everywhere.remove(name);
        self.look_for_lost_among(&state, [name.to_owned()].iter());
        self.feed(state, |swim, now| swim.set_load(load, now));
    }

    /// Tells every peer of a change, in the words that it knows.
    fn tell_names(&self, state: &State, delta: &Delta) {
        for session in state.nodes.values() {
            if session.peer().knows(Features::DELTAS) {
                self.names.counters.changes(delta);
                session.control(&Control::NamesChanged(delta.clone()));
                continue;
            }
            if !delta.withdrawn.is_empty() {
                session.control(&Control::Withdrawn(delta.withdrawn.clone()));
            }
            let entries: Vec<Entry> = delta.published.iter().map(|one| one.entry.clone()).collect();
            if !entries.is_empty() {
                session.control(&Control::Published(entries));
            }
        }
    }

    /// A node has connected: it is told what this node has of its names; or all of this node's, if that is all that it knows.
    pub(super) fn greet_with_names(&self, state: &mut State, session: &Session) {
        let peer = session.peer();
        if peer.knows(Features::DELTAS) {
            let known = state.directory.connected(peer.id, peer.boot);
            return session.control(&Control::NamesKnown(known));
        }
        let entries: Vec<Entry> = state.directory.of(self.me.id).map(|one| one.entry.clone()).collect();
        for part in entries.chunks(ROWS_MAX) {
            session.control(&Control::Published(part.to_vec()));
        }
    }

    /// Says to every peer what this node has of its names.
    pub(super) fn compare_names(&self) {
        let state = self.state.lock();
        for session in state.nodes.values().filter(|session| session.peer().knows(Features::DELTAS)) {
            session.control(&Control::NamesKnown(state.directory.known(session.peer().id)));
        }
    }

    /// A peer says what it has of this node's names.
    pub(super) fn on_names_known(&self, session: &Session, known: &Known) {
        let state = self.state.lock();
        if state.is_leaving {
            // It has forgotten this node's names on purpose.
            return;
        }
        let answer = state.directory.answer(known);
        self.names.counters.answered(&answer, &session.peer().name);
        session.control_many(answer.parts.into_iter().map(Control::NamesChanged).collect());
    }

    /// A peer tells of its own names.
    pub(super) fn on_names_changed(&self, session: &Session, delta: Delta) {
        let peer = session.peer();
        let mut state = self.state.lock();
        // Of a whole table, or of one in parts, this part tells not all.
        let names = (delta.from > 0 && delta.part == 0 && delta.is_last).then(|| names_of(&delta));
        let moved = placed_of(&delta);
        match state.directory.take(peer.id, peer.boot, delta) {
            Taken::Ask(known) => session.control(&Control::NamesKnown(known)),
            Taken::Applied => {}
            Taken::Begun | Taken::Old | Taken::Waits => return,
        }
        state.leave_moved(&moved);
        match names {
            Some(names) => self.look_for_lost_among(&state, names.iter()),
            None => self.look_for_lost(&state),
        }
    }

    pub(super) fn on_published(&self, session: &Session, entries: Vec<Entry>) {
        let peer = session.peer();
        let mut state = self.state.lock();
        for entry in entries {
            if mesh_proto::check_name(&entry.name).is_ok() {
                state.directory.note(peer.id, peer.boot, entry);
            }
        }
        self.look_for_lost(&state);
    }

    pub(super) fn on_withdrawn(&self, session: &Session, names: &[String]) {
        let mut state = self.state.lock();
        names.iter().for_each(|name| state.directory.strike(session.peer().id, name));
        self.look_for_lost(&state);
    }

    /// Every published name with its owner's name.
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let state = self.state.lock();
        let names = state.directory.names(|node| self.takes_part(&state, node));
        names.map(|(name, node)| (name.to_owned(), self.name_of(&state, node))).collect()
    }

    /// The node that owns a published name.
    pub(crate) fn owner(&self, name: &str) -> Option<NodeId> {
        let state = self.state.lock();
        state.directory.owner(name, |node| self.takes_part(&state, node))
    }

    /// The names of all nodes that have published `name`, its owner first.
    pub(crate) fn owners(&self, name: &str) -> Vec<String> {
        let state = self.state.lock();
        let owners = state.directory.owners(name, |node| self.takes_part(&state, node));
        owners.into_iter().map(|node| self.name_of(&state, node)).collect()
    }

    /// How much was told of this node's names.
    pub(crate) fn names_told(&self) -> NamesTold {
        self.names.counters.read()
    }

    /// Whether the names of a node count: it is a member, or is connected and knows no SWIM.
    pub(super) fn takes_part(&self, state: &State, node: NodeId) -> bool {
        node == self.me.id
            || state.swim.member(node).is_some_and(Member::is_active)
            || state.nodes.get(&node).is_some_and(is_guest)
    }

    pub(super) fn name_of(&self, state: &State, node: NodeId) -> String {
        if node == self.me.id { self.me.name.to_string() } else { state.name_of(node) }
    }

    /// Tells which of this node's names lead elsewhere now, if they are others than before.
    pub(super) fn look_for_lost(&self, state: &State) {
        let lost = state.directory.lost(|node| self.takes_part(state, node));
        let mut names: BTreeSet<String> = lost.into_iter().map(|(name, _)| name.to_owned()).collect();
        names.extend(self.names.lost.borrow().keys().cloned());
        self.look_for_lost_among(state, names.iter());
    }

    /// As [`Self::look_for_lost`], where only these names are others than before.
    fn look_for_lost_among<'a>(&self, state: &State, names: impl Iterator<Item = &'a String>) {
        let me = &self.me.name;
        self.names.lost.send_if_modified(|known| {
            let mut is_news = false;
            for name in names {
                let owner = self.lost_to(state, name);
                if known.get(name) == owner.as_ref() {
                    continue;
                }
                is_news = true;
                if let Some(owner) = owner {
                    tracing::warn!(%name, %owner, loser = %me, "a name leads to the older of two owners");
                    known.insert(name.clone(), owner);
                } else {
                    tracing::info!(%name, owner = %me, "a name is lost to no other node any more");
                    known.remove(name);
                }
            }
            is_news
        });
    }

    /// The node to which a name of this node leads, if that is another one, and nobody means it so.
    fn lost_to(&self, state: &State, name: &str) -> Option<String> {
        if state.everywhere.contains(name) {
            return None;
        }
        state.directory.publication(self.me.id, name)?;
        let owner = state.directory.owner(name, |node| self.takes_part(state, node))?;
        (owner != self.me.id).then(|| self.name_of(state, owner))
    }

    /// What is to be told of a locked state when it is free again.
    pub(super) fn release(&self, state: MutexGuard<'_, State>, is_news: bool) {
        if is_news {
            self.look_for_lost(&state);
        }
        drop(state);
        if is_news {
            self.told.notify_waiters();
        }
    }
}

/// Whether a peer node takes part by its connection alone.
pub(super) fn is_guest(session: &Arc<Session>) -> bool {
    !session.peer().knows(Features::SWIM) && !session.is_closed()
}

/// The names under which a peer has an actor that was placed there.
fn placed_of(delta: &Delta) -> Vec<String> {
    let placed = delta.published.iter().filter(|publication| publication.epoch() > 0);
    placed.map(|publication| publication.entry.name.clone()).collect()
}

fn names_of(delta: &Delta) -> Vec<String> {
    let published = delta.published.iter().map(|publication| &publication.entry.name);
    published.chain(&delta.withdrawn).cloned().collect()
}

/// Names of which no conflict is told.
pub(super) type Everywhere = BTreeSet<String>;
