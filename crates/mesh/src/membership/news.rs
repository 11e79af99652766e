//! What peers tell, and what they are told.

use super::Membership;
use crate::{session::Session, shared::Shared};
use mesh_net::CloseCode;
use mesh_proto::{
    Entry, Member, MemberState,
    frame::{Control, ROWS_MAX},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// How long a connection that lost against another one may finish what is in flight on it: 5 s.
const RETIRE: Duration = Duration::from_secs(5);

impl Shared {
    /// A peer node has news.
    pub(crate) fn on_news(&self, session: &Arc<Session>, frame: Control) {
        let Some(membership) = self.membership() else { return };
        match frame {
            Control::Members(rows) => membership.on_members(session, rows),
            Control::Published(entries) => membership.on_published(session, entries),
            Control::Withdrawn(names) => membership.on_withdrawn(session, &names),
            Control::Leaving => membership.on_leaving(session),
            _ => {}
        }
    }
}

impl Membership {
    /// A node has said hello. Of two connections to one run of a node, the one that the larger id dialled is
    /// kept; both sides decide alike. The other one finishes what is in flight.
    pub(super) fn admit_node(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        let peer = session.peer();
        let dialled_by_larger = |one: &Session| one.is_dialled() == (self.me.id > peer.id);
        let rival = state.nodes.get(&peer.id).filter(|rival| !rival.is_closed()).cloned();
        let keeps_rival = rival.as_ref().is_some_and(|rival| {
            rival.peer().boot == peer.boot && dialled_by_larger(rival) && !dialled_by_larger(session)
        });
        if keeps_rival {
            drop(state);
            return retire(session);
        }
        state.nodes.insert(peer.id, Arc::clone(session));
        state.lost.remove(&peer.id);
        tracing::info!(peer = %peer.name, boot = peer.boot.0, "peer is connected");
        let rows: Vec<Member> = state.roster.rows().cloned().collect();
        for part in rows.chunks(ROWS_MAX) {
            session.control(&Control::Members(part.to_vec()));
        }
        let names: Vec<Entry> = state.directory.of(self.me.id).cloned().collect();
        for part in names.chunks(ROWS_MAX) {
            session.control(&Control::Published(part.to_vec()));
        }
        drop(state);
        self.told.notify_waiters();
        if let Some(rival) = rival.filter(|rival| !Arc::ptr_eq(rival, session)) {
            retire(&rival);
        }
    }

    pub(super) fn admit_client(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        state.clients.retain(|known| !known.is_closed());
        state.clients.push(Arc::clone(session));
    }

    /// A connection has ended. The member is suspect until it is found again, or `down_after` has passed.
    pub(super) fn lost(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        state.clients.retain(|known| !Arc::ptr_eq(known, session));
        let peer = session.peer();
        let is_current = state.nodes.get(&peer.id).is_some_and(|known| Arc::ptr_eq(known, session));
        if !is_current {
            return;
        }
        state.nodes.remove(&peer.id);
        let has_left = state.roster.get(peer.id).is_none_or(|row| row.state == MemberState::Left);
        if state.is_leaving || has_left {
            return;
        }
        state.lost.insert(peer.id, (peer.boot, Instant::now()));
        if let Some(row) = state.roster.mark(peer.id, peer.boot, MemberState::Suspect) {
            tracing::warn!(member = %row.name, "member is suspect");
            state.tell_nodes(&Control::Members(vec![row]));
        }
        drop(state);
        self.changed.notify_one();
    }

    fn on_members(&self, session: &Arc<Session>, rows: Vec<Member>) {
        let mut state = self.state.lock();
        let before: Vec<_> =
            rows.iter().map(|row| state.roster.get(row.id).map(|known| known.boot)).collect();
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let changed = state.roster.merge(rows);
        for row in &changed {
            let place = ids.iter().position(|id| *id == row.id);
            let known = place.and_then(|place| before[place]);
            let is_another_boot = known.is_some_and(|boot| boot != row.boot);
            let is_gone = matches!(row.state, MemberState::Down | MemberState::Left);
            if row.id != self.me.id && (is_another_boot || is_gone) && row.id != session.peer().id {
                state.directory.forget(row.id);
            }
            if is_gone || is_another_boot {
                state.lost.remove(&row.id);
            }
            if known != Some(row.boot) || is_gone {
                tracing::info!(member = %row.name, addr = %row.addr, state = row.state.as_str(), "member is known");
            }
        }
        if changed.is_empty() {
            return;
        }
        let own = self.me.id;
        let news = Control::Members(changed);
        for (id, other) in &state.nodes {
            // The teller knows already, unless this node has just refuted what it told.
            let is_refuted = matches!(&news, Control::Members(rows) if rows.iter().any(|row| row.id == own));
            if *id != session.peer().id || is_refuted {
                other.control(&news);
            }
        }
        drop(state);
        self.told.notify_waiters();
        self.changed.notify_one();
    }

    fn on_published(&self, session: &Arc<Session>, entries: Vec<Entry>) {
        let peer = session.peer();
        let mut state = self.state.lock();
        for entry in entries {
            if mesh_proto::check_name(&entry.name).is_ok() {
                state.directory.publish(peer.id, peer.boot, entry);
            }
        }
    }

    fn on_withdrawn(&self, session: &Arc<Session>, names: &[String]) {
        let mut state = self.state.lock();
        for name in names {
            state.directory.withdraw(session.peer().id, name);
        }
    }

    fn on_leaving(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        let peer = session.peer();
        state.directory.forget(peer.id);
        if let Some(row) = state.roster.mark(peer.id, peer.boot, MemberState::Left) {
            tracing::info!(member = %row.name, "member has left");
            state.tell_nodes(&Control::Members(vec![row]));
        }
        drop(state);
        self.told.notify_waiters();
    }
}

/// Closes a connection when nothing is in flight on it any more.
fn retire(session: &Arc<Session>) {
    let retired = Arc::clone(session);
    session.spawn(async move {
        let end = Instant::now() + RETIRE;
        while retired.pending().len() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(50)).await;
        }
        // The peer may have asks in flight too; it waits as long at most.
        sleep(Duration::from_millis(500)).await;
        retired.close(CloseCode::Duplicate, "another connection is kept");
    });
}
