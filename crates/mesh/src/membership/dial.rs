//! Finding nodes, and finding them again.

use super::{Membership, Wanted, is_guest, is_node};
use crate::{
    session::{HelloError, Session},
    shared::Shared,
};
use mesh_net::{CloseCode, ConnectError, Connection, Expect};
use mesh_proto::{MemberState, NodeId};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// The pause between two rounds through the seeds.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a node that joins waits for connections to the members that it was told of: 2 s. Most dial it, or it them,
/// within half a second.
const MEETING_MAX: Duration = Duration::from_secs(2);

/// How long one attempt at a member may take, in first round-trip times: 500 ms with the LAN's, a handshake and two
/// retransmissions.
const ATTEMPT_RTTS: u32 = 10;

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
                matches!(
                    error,
                    ConnectError::Certificate { .. }
                        | ConnectError::Protocol { .. }
                        | ConnectError::Version { .. }
                )
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
            sleep(PAUSE).await;
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
        membership.met_itself(seed);
        return Ok(());
    }
    let Some(_greeting) = Greeting::begin(membership, &connection) else {
        membership.until_known(NodeId(connection.peer().id)).await;
        return Ok(());
    };
    let session = Session::establish(shared, connection, true).await;
    let session = session.map_err(|error| JoinFailure::Hello { error })?;
    shared.admitted(&session, Some(seed));
    let (seed, is_guest) = (session.peer().id, is_guest(&session));
    shared.watch(session);
    if is_guest {
        return Ok(());
    }
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
                            greeting.admitted(&session, None);
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

/// Makes one attempt at an address.
pub(super) async fn dial(shared: &Arc<Shared>, wanted: &Wanted) {
    let Some(membership) = shared.membership() else { return };
    let name = wanted.node.map(|node| membership.known_name(node));
    let expect = name.as_deref().map_or(Expect::AnyNode, Expect::Node);
    let addr = &wanted.addr;
    // Short, since another attempt is begun soon: what was lost on the way is not waited for.
    let patience = membership.config.transport.initial_rtt * ATTEMPT_RTTS;
    let connection = match timeout(patience, connect(membership, addr, expect)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(peer = name, %addr, %error, "member does not answer"),
        Err(_elapsed) => return tracing::debug!(peer = name, %addr, "member does not answer in time"),
    };
    if NodeId(connection.peer().id) == shared.me.id {
        return membership.met_itself(addr);
    }
    let Some(_greeting) = Greeting::begin(membership, &connection) else { return };
    match Session::establish(shared, connection, true).await {
        Ok(session) => {
            shared.admitted(&session, Some(addr));
            shared.watch(session);
        }
        Err(error) => tracing::debug!(peer = name, %addr, %error, "member said no hello"),
    }
}

/// The one connection of ours to a node that is about to say hello.
struct Greeting<'a> {
    membership: &'a Membership,
    node: NodeId,
}

impl<'a> Greeting<'a> {
    /// `None` closes a connection that is one too many: attempts run beside each other, and another was faster.
    fn begin(membership: &'a Membership, connection: &Connection) -> Option<Self> {
        let node = NodeId(connection.peer().id);
        let mut state = membership.state.lock();
        if state.session(node).is_some() || !state.greeting.insert(node) {
            connection.close(CloseCode::Duplicate, "another connection was faster");
            return None;
        }
        Some(Self { membership, node })
    }
}

impl Drop for Greeting<'_> {
    fn drop(&mut self) {
        self.membership.state.lock().greeting.remove(&self.node);
    }
}

impl Membership {
    fn known_name(&self, node: NodeId) -> String {
        self.state.lock().name_of(node)
    }

    /// Waits until there is a connection to every member that takes part, so that all of them know this node when it says that it is ready;
    /// at most [`MEETING_MAX`].
    pub(crate) async fn until_connected(&self) {
        let meets = async {
            loop {
                let told = self.told.notified();
                tokio::pin!(told);
                told.as_mut().enable();
                if self.is_connected_to_all() {
                    return;
                }
                told.await;
            }
        };
        if timeout(MEETING_MAX, meets).await.is_err() {
            tracing::info!("some members are not connected yet");
        }
    }

    fn is_connected_to_all(&self) -> bool {
        let state = self.state.lock();
        let mut members = state.swim.members().filter(|member| member.state() == MemberState::Alive);
        members.all(|member| state.session(member.node()).is_some())
    }

    /// Waits until a member has told of itself, and with it of whom it knows; the caller's deadline bounds the wait.
    async fn until_known(&self, id: NodeId) {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.state.lock().swim.member(id).is_some_and(|member| member.profile().is_some()) {
                return;
            }
            told.await;
        }
    }
}

impl Shared {
    /// A peer has said hello: it takes its place among the sessions.
    /// `dialled` is the address that led to it, if this side dialled.
    pub(crate) fn admitted(&self, session: &Arc<Session>, dialled: Option<&str>) {
        let Some(membership) = self.membership() else { return };
        if is_node(session) {
            membership.admit_node(session, dialled);
        } else {
            membership.admit_client(session);
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

#[cfg(test)]
mod tests;
