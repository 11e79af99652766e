//! Finding nodes, and finding them again.

use super::{Membership, is_node};
use crate::{
    session::{HelloError, Session},
    shared::Shared,
};
use mesh_net::{ConnectError, Connection, Expect};
use mesh_proto::{MemberState, NodeId};
use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

/// The pause between two attempts to find a member: 250 ms. Attempts run beside each other.
const REDIAL: Duration = Duration::from_millis(250);

/// A member that is down is looked for once in this many rounds, for ever: partitions heal by themselves.
const ROUNDS_FOR_THE_DOWN: u32 = 8;

/// Why one attempt at one seed failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinFailure {
    /// The name has no address.
    #[error("{seed} has no address: {reason}")]
    Unresolved {
        /// The seed as it was given.
        seed: String,
        /// What the resolver said.
        reason: String,
    },
    /// Nothing came back before the join's time was up.
    #[error("{seed} did not answer within {waited:?}")]
    Silent {
        /// The seed as it was given.
        seed: String,
        /// How long the join may take.
        waited: Duration,
    },
    /// No connection.
    #[error("{error}")]
    Connect {
        /// Why.
        error: ConnectError,
    },
    /// A connection, but no hello.
    #[error("{error}")]
    Hello {
        /// Why.
        error: HelloError,
    },
}

impl JoinFailure {
    /// Whether another attempt can help without an operator.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Connect { error } => {
                matches!(error, ConnectError::Certificate { .. } | ConnectError::Protocol { .. })
            }
            Self::Unresolved { .. } | Self::Silent { .. } | Self::Hello { .. } => false,
        }
    }
}

/// Joins through the first seed that answers.
pub(crate) async fn join(
    shared: &Arc<Shared>,
    membership: &Membership,
) -> Result<(), Vec<(String, JoinFailure)>> {
    let config = &membership.config;
    let mut failures: Vec<(String, JoinFailure)> = Vec::new();
    let attempt = async {
        loop {
            failures.clear();
            for seed in &config.seeds {
                match dial_seed(shared, membership, seed).await {
                    Ok(()) => return true,
                    Err(failure) => failures.push((seed.clone(), failure)),
                }
            }
            if failures.iter().all(|(_, failure)| failure.is_final()) {
                return false;
            }
            sleep(REDIAL).await;
        }
    };
    let joined = timeout(config.join_timeout, attempt).await;
    if joined == Ok(true) {
        return Ok(());
    }
    if failures.is_empty() {
        let late = |seed: &String| {
            (seed.clone(), JoinFailure::Silent { seed: seed.clone(), waited: config.join_timeout })
        };
        failures = config.seeds.iter().map(late).collect();
    }
    Err(failures)
}

async fn dial_seed(shared: &Arc<Shared>, membership: &Membership, seed: &str) -> Result<(), JoinFailure> {
    let connection = connect(membership, seed, Expect::AnyNode).await?;
    if NodeId(connection.peer().id) == shared.me.id {
        // A node that is among its own seeds starts the mesh.
        return Ok(());
    }
    let session = Session::establish(shared, connection, true).await;
    let session = session.map_err(|error| JoinFailure::Hello { error })?;
    shared.admitted(&session);
    let seed = session.peer().id;
    shared.watch(session);
    // Who has joined knows at least its seed, and whom that knows.
    membership.until_known(seed).await;
    Ok(())
}

async fn connect(membership: &Membership, addr: &str, expect: Expect<'_>) -> Result<Connection, JoinFailure> {
    let addrs: Vec<SocketAddr> = match tokio::net::lookup_host(addr).await {
        Ok(addrs) => addrs.collect(),
        Err(error) => {
            return Err(JoinFailure::Unresolved { seed: addr.to_owned(), reason: error.to_string() });
        }
    };
    let reason = "the name resolves to nothing".to_owned();
    let mut failure = JoinFailure::Unresolved { seed: addr.to_owned(), reason };
    for addr in addrs {
        match membership.endpoint.connect(addr, expect).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = JoinFailure::Connect { error },
        }
    }
    Err(failure)
}

/// Accepts peers until the endpoint closes.
pub(crate) async fn accept(shared: Arc<Shared>) {
    let Some(membership) = shared.membership() else { return };
    while let Some(accepted) = membership.endpoint.accept().await {
        match accepted {
            Ok(connection) => {
                let shared = Arc::clone(&shared);
                // One slow hello must not delay the next peer.
                let greeting = Arc::clone(&shared);
                shared.tasks.spawn(async move {
                    match Session::establish(&greeting, connection, false).await {
                        Ok(session) => {
                            greeting.admitted(&session);
                            greeting.watch(session);
                        }
                        Err(error) => tracing::info!(%error, "peer said no hello"),
                    }
                });
            }
            Err(error) => tracing::info!(%error, "peer was not accepted"),
        }
    }
}

/// Keeps a connection to every member, and declares dead whom it cannot find, until the node leaves.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let Some(membership) = shared.membership() else { return };
    let mut dials: JoinSet<String> = JoinSet::new();
    let mut dialling: HashSet<String> = HashSet::new();
    let mut tick = interval(REDIAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0u32;
    loop {
        tokio::select! {
            _ = tick.tick() => round = round.wrapping_add(1),
            () = membership.changed.notified() => {}
            Some(ended) = dials.join_next() => {
                if let Ok(addr) = ended {
                    dialling.remove(&addr);
                }
                continue;
            }
        }
        membership.expire();
        membership.count_actors(shared.system.len());
        for (name, addr) in membership.wanted(round.is_multiple_of(ROUNDS_FOR_THE_DOWN)) {
            if dialling.insert(addr.clone()) {
                let shared = Arc::clone(&shared);
                dials.spawn(async move {
                    dial(&shared, &name, &addr).await;
                    addr
                });
            }
        }
    }
}

async fn dial(shared: &Arc<Shared>, name: &str, addr: &str) {
    let Some(membership) = shared.membership() else { return };
    let expect = if name.is_empty() { Expect::AnyNode } else { Expect::Node(name) };
    let connection = match connect(membership, addr, expect).await {
        Ok(connection) => connection,
        Err(error) => return tracing::debug!(peer = name, %addr, %error, "member does not answer"),
    };
    if NodeId(connection.peer().id) == shared.me.id {
        return;
    }
    match Session::establish(shared, connection, true).await {
        Ok(session) => {
            shared.admitted(&session);
            shared.watch(session);
        }
        Err(error) => tracing::debug!(peer = name, %addr, %error, "member said no hello"),
    }
}

impl Membership {
    /// Whom to dial now, as name and address; a seed has no name yet.
    fn wanted(&self, is_round_for_the_down: bool) -> Vec<(String, String)> {
        let state = self.state.lock();
        if state.is_leaving {
            return Vec::new();
        }
        let mut wanted = Vec::new();
        for row in state.roster.rows() {
            let is_ours = row.id == self.me.id || state.session(row.id).is_some();
            // Of two nodes the larger dials; one that was lost is looked for by both.
            let is_my_part = self.me.id > row.id || state.lost.contains_key(&row.id);
            let is_due = match row.state {
                MemberState::Alive | MemberState::Suspect => is_my_part,
                MemberState::Down => is_round_for_the_down,
                MemberState::Left => false,
            };
            if !is_ours && is_due {
                wanted.push((row.name.clone(), row.addr.clone()));
            }
        }
        if state.nodes.is_empty() && is_round_for_the_down {
            wanted.extend(self.config.seeds.iter().map(|seed| (String::new(), seed.clone())));
        }
        wanted
    }

    /// Waits until a member is on the roster; the caller's deadline bounds the wait.
    async fn until_known(&self, id: NodeId) {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.state.lock().roster.get(id).is_some() {
                return;
            }
            told.await;
        }
    }

    /// Declares dead whom this node has looked for in vain.
    fn expire(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let overdue: Vec<_> = state
            .lost
            .iter()
            .filter(|(_, (_, since))| now.duration_since(*since) >= self.config.down_after)
            .map(|(id, (boot, _))| (*id, *boot))
            .collect();
        for (id, boot) in overdue {
            state.lost.remove(&id);
            if let Some(row) = state.roster.mark(id, boot, MemberState::Down) {
                tracing::warn!(member = %row.name, "member is down");
                state.directory.forget(id);
                state.tell_nodes(&mesh_proto::frame::Control::Members(vec![row]));
            }
        }
        drop(state);
        self.told.notify_waiters();
    }

    fn count_actors(&self, actors: usize) {
        let mut state = self.state.lock();
        if state.roster.get(self.me.id).is_some_and(|own| own.actors != actors as u64) {
            state.renew(actors);
        }
    }
}

impl Shared {
    /// A peer has said hello: it takes its place among the sessions.
    pub(crate) fn admitted(&self, session: &Arc<Session>) {
        if let Some(membership) = self.membership() {
            if is_node(session) { membership.admit_node(session) } else { membership.admit_client(session) }
        }
    }

    /// Waits for the end of a session in the background, and tells the membership.
    pub(crate) fn watch(self: &Arc<Self>, session: Arc<Session>) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            let reason = session.ended().await;
            tracing::debug!(peer = %session.peer().name, %reason, "connection has ended");
            if let Some(membership) = shared.membership() {
                membership.lost(&session);
            }
        });
    }
}
