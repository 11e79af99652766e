//! A client's way into the mesh: through one node at a time, and through another when that one is lost or leaves.

use crate::{
    client::{ClientConfig, ClientError},
    mesh::Mesh,
    node_actor::{self, ListMembers},
    session::Session,
    shared::Shared,
};
use mesh_actor::AskError;
use mesh_net::{CloseCode, ConnectError, Endpoint, Expect, Identity, IdentityError};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long one address may stay silent before the next is tried beside it: 250 ms, as RFC 8305 has it.
const STAGGER: Duration = Duration::from_millis(250);

/// Pauses between two rounds through all addresses: from 50 ms, twice as long each time, up to 2 s.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often the node is asked for the other members: 30 s.
const LEARN_PERIOD: Duration = Duration::from_secs(30);

/// Addresses that are remembered: 32. Who finds none of them alive is not helped by more.
const LEARNED_MAX: usize = 32;

/// The node through which a client reaches the mesh, and those that could take its place.
pub(crate) struct Uplink {
    endpoint: Endpoint,
    config: ClientConfig,
    given: Vec<String>,
    /// Addresses of members, as the node told.
    learned: Mutex<Vec<String>>,
    current: Mutex<Option<Arc<Session>>>,
    /// Rung when there is another node.
    pub(crate) moved: Notify,
    /// Rung when the node leaves, or the client ends.
    stirred: Notify,
    is_closed: AtomicBool,
}

impl Uplink {
    pub(crate) fn new(endpoint: Endpoint, given: Vec<String>, config: ClientConfig) -> Self {
        Self {
            endpoint,
            config,
            given,
            learned: Mutex::default(),
            current: Mutex::default(),
            moved: Notify::new(),
            stirred: Notify::new(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// The name of the node that is, or was last, reached.
    pub(crate) fn node_name(&self) -> Arc<str> {
        self.current.lock().as_ref().map_or_else(|| "".into(), |session| Arc::clone(&session.peer().name))
    }

    /// The connection, if there is one that can be used.
    ///
    /// # Errors
    /// [`AskError::Unreachable`] with the node that was lost.
    pub(crate) fn session(&self) -> Result<Arc<Session>, AskError> {
        let current = self.current.lock();
        let usable = current.as_ref().filter(|session| !session.is_over() && !session.is_retired());
        let node = || current.as_ref().map_or(String::new(), |session| session.peer().name.to_string());
        usable.cloned().ok_or_else(|| AskError::Unreachable { node: node(), may_have_run: false })
    }

    /// Whether there is no connection, and will be none any more.
    pub(crate) fn is_cut_off(&self) -> bool {
        let is_last = !self.config.moves || self.is_closed.load(Ordering::Acquire);
        is_last && self.current.lock().as_ref().is_none_or(|session| session.is_over())
    }

    /// The node says that it leaves.
    pub(crate) fn on_leaving(&self, session: &Arc<Session>) {
        session.peer_leaves();
        self.stirred.notify_one();
    }

    /// Ends the client at once.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.stirred.notify_one();
        self.endpoint.close();
        // A session knows its client: without this, neither would ever be freed.
        self.current.lock().take();
    }

    /// Ends the client when what it has sent has arrived, and what it asked is answered; at most `patience`.
    pub(crate) async fn finish(&self, patience: Duration) {
        self.is_closed.store(true, Ordering::Release);
        self.stirred.notify_one();
        let session = self.current.lock().clone();
        if let Some(session) = session.filter(|session| !session.is_closed()) {
            session.retire_within(patience, CloseCode::Leaving, "the client ends").await;
        }
        self.endpoint.close();
        self.endpoint.wait_idle(Duration::from_millis(200)).await;
    }

    /// Connects to the first node that answers.
    ///
    /// # Errors
    /// [`ClientError`] of the last address.
    pub(crate) async fn connect(&self, shared: &Arc<Shared>) -> Result<(), ClientError> {
        let mut last = ClientError::NoAddress;
        for addr in &self.given {
            match reach(shared, &self.endpoint, addr, self.config.connect_timeout).await {
                Ok(session) => {
                    self.move_to(shared, session);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn move_to(&self, shared: &Arc<Shared>, session: Arc<Session>) {
        shared.watch(Arc::clone(&session));
        let before = self.current.lock().replace(session);
        self.moved.notify_waiters();
        if let Some(before) = before {
            before.retire(CloseCode::Leaving, "the client has moved to another node");
        }
    }

    /// From now on, new connections show this certificate.
    pub(crate) fn show(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.endpoint.set_identity(identity)
    }

    /// The addresses of nodes other than the current one.
    pub(crate) fn alternatives(&self) -> Vec<String> {
        let current = self.current.lock().as_ref().map(|session| session.remote_addr().to_string());
        let others = self.candidates().into_iter().filter(|addr| Some(addr) != current.as_ref());
        others.collect()
    }

    /// The addresses to try when the current node is lost: the others first.
    fn candidates(&self) -> Vec<String> {
        let lost = self.current.lock().as_ref().map(|session| session.remote_addr());
        let mut addrs = self.given.clone();
        addrs.extend(self.learned.lock().iter().filter(|addr| !self.given.contains(addr)).cloned());
        // The sort is stable: the order of the given ones stays.
        addrs.sort_by_key(|addr| lost.is_some_and(|lost| *addr == lost.to_string()));
        addrs
    }
}

/// Keeps a client connected until it ends.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let Some(uplink) = shared.uplink() else { return };
    while !uplink.is_closed.load(Ordering::Acquire) {
        let current = uplink.current.lock().clone();
        let Some(session) = current else { return };
        if session.is_over() || session.is_peer_leaving() {
            move_on(&shared, uplink, &session).await;
            continue;
        }
        tokio::select! {
            () = session.closes() => {}
            () = uplink.stirred.notified() => {}
            () = learn(&shared, uplink, &session) => {}
        }
    }
}

/// Finds another node, however long that takes.
async fn move_on(shared: &Arc<Shared>, uplink: &Uplink, from: &Arc<Session>) {
    let mut pause = PAUSE_MIN;
    while !uplink.is_closed.load(Ordering::Acquire) {
        if let Some(session) = first_to_answer(shared, uplink, from).await {
            tracing::info!(from = %from.peer().name, to = %session.peer().name, "client reaches the mesh through another node");
            return uplink.move_to(shared, session);
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = uplink.stirred.notified() => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Tries every address, each a little after the one before; who answers first is taken, and the others are given up.
async fn first_to_answer(shared: &Arc<Shared>, uplink: &Uplink, from: &Arc<Session>) -> Option<Arc<Session>> {
    let mut attempts = JoinSet::new();
    for (addr, place) in uplink.candidates().into_iter().zip(0..) {
        let (shared, endpoint, limit) =
            (Arc::clone(shared), uplink.endpoint.clone(), uplink.config.connect_timeout);
        attempts.spawn(async move {
            sleep(STAGGER * place).await;
            reach(&shared, &endpoint, &addr, limit).await
        });
    }
    while let Some(ended) = attempts.join_next().await {
        let Ok(Ok(session)) = ended else { continue };
        // The node that leaves still answers.
        let is_itself = session.peer().id == from.peer().id && session.peer().boot == from.peer().boot;
        if is_itself && from.is_peer_leaving() {
            session.close(CloseCode::Duplicate, "this node leaves");
            continue;
        }
        give_up(attempts).await;
        return Some(session);
    }
    None
}

/// Leaves nothing open of attempts that another was faster than.
async fn give_up(mut attempts: JoinSet<Result<Arc<Session>, ClientError>>) {
    attempts.abort_all();
    while let Some(ended) = attempts.join_next().await {
        if let Ok(Ok(session)) = ended {
            session.close(CloseCode::Duplicate, "another node was faster");
        }
    }
}

/// Asks for the members' addresses, now and again; never ends.
async fn learn(shared: &Arc<Shared>, uplink: &Uplink, session: &Arc<Session>) {
    let mesh = Mesh::of_node(Arc::clone(shared));
    let path = format!("{}/{}", session.peer().name, node_actor::NAME);
    loop {
        if let Ok(node) = mesh.recipient::<ListMembers>(&path)
            // A client that may not read the members has the addresses that it was given.
            && let Ok(members) = node.ask(ListMembers {}).await
        {
            let alive = members.members.into_iter().filter(|member| member.state == "alive");
            *uplink.learned.lock() = alive.map(|member| member.addr).take(LEARNED_MAX).collect();
        }
        sleep(LEARN_PERIOD).await;
    }
}

async fn reach(
    shared: &Arc<Shared>,
    endpoint: &Endpoint,
    addr: &str,
    limit: Duration,
) -> Result<Arc<Session>, ClientError> {
    let unreached = |reason| ClientError::Unreached { addr: addr.to_owned(), reason };
    let addrs = tokio::net::lookup_host(addr)
        .await
        .map_err(|error| unreached(format!("the name has no address: {error}")))?;
    let mut last = unreached("the name resolves to nothing".to_owned());
    for socket_addr in addrs {
        last = match timeout(limit, endpoint.connect(socket_addr, Expect::AnyNode)).await {
            Ok(Ok(connection)) => match Session::establish(shared, connection, true).await {
                Ok(session) => return Ok(session),
                Err(error) => unreached(error.to_string()),
            },
            Ok(Err(error @ ConnectError::Certificate { .. })) => {
                ClientError::Untrusted { addr: addr.to_owned(), reason: error.to_string() }
            }
            Ok(Err(error)) => unreached(error.to_string()),
            Err(_elapsed) => unreached(format!("no answer in {} s", limit.as_secs_f32())),
        };
    }
    Err(last)
}
