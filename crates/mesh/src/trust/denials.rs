//! Denies in the whole mesh: what one node is told by an operator all others are told, keep, and follow.
//!
//! ```text
//! operator ─ Deny ─▶ NODE/mesh ─▶ store, endpoint ─ TellDenials ─▶ NODE/mesh of each other ─▶ store, endpoint
//! ```
//!
//! Every node tells all that it knows to each that it meets, once, and again after each change, until it was
//! acknowledged: so one that was away learns it when it is back, and one that joins when it has joined.

use super::book::{Denial, DenialBook, DenialStore, DenialStoreError, InMemory};
use crate::{
    failure::failure_of, mesh::Mesh, node::Node, node_actor::NodeActor, shared::Shared, wire::WireMessage,
};
use mesh_actor::{AskError, Context, Handler, Later, Message};
use mesh_net::{Denied, DenyList};
use mesh_proto::{Boot, Failure, NodeId, Verb};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::Notify,
    task::{JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

/// How long another node may take to take it in, and so the longest that [`Deny`] takes: 2 s.
const TELL_MAX: Duration = Duration::from_secs(2);

/// The pause before a node is told again that did not acknowledge: 500 ms.
const AGAIN: Duration = Duration::from_millis(500);

/// For how long one is left alone that does not know what it would be told: an hour, or until its next run.
const DEAF_FOR: Duration = Duration::from_secs(3600);

/// Who is denied, as this node knows it.
#[derive(Debug)]
pub(crate) struct Denials {
    store: Arc<dyn DenialStore>,
    state: Mutex<State>,
    /// Rung when there is something to tell.
    changed: Notify,
    /// Rung when another node has acknowledged.
    acknowledged: Notify,
}

#[derive(Debug, Default)]
struct State {
    book: DenialBook,
    /// Who is denied by this node alone.
    own: DenyList,
    /// Counts the changes of the book.
    version: u64,
    /// Up to which version each run of a node has acknowledged.
    told: BTreeMap<NodeId, (Boot, u64)>,
}

impl Default for Denials {
    fn default() -> Self {
        Self::new(Arc::new(InMemory::default()))
    }
}

impl Denials {
    pub(crate) fn new(store: Arc<dyn DenialStore>) -> Self {
        Self { store, state: Mutex::default(), changed: Notify::new(), acknowledged: Notify::new() }
    }

    fn is_told(&self, node: NodeId, boot: Boot, version: u64) -> bool {
        let state = self.state.lock();
        state.told.get(&node).is_some_and(|(known, told)| *known == boot && *told >= version)
    }
}

impl Shared {
    /// Takes in what is news and keeps it, follows it, and has the other nodes told. Answers the version that they have to
    /// know then.
    ///
    /// # Errors
    /// [`DenialStoreError`]: it is followed all the same, for as long as this process lives.
    pub(crate) async fn take_denials(&self, news: Vec<Denial>) -> Result<u64, DenialStoreError> {
        let denials = &self.trust.denials;
        let (store, kept) = (Arc::clone(&denials.store), news.clone());
        let kept = spawn_blocking(move || store.merge(kept)).await;
        let kept = kept.unwrap_or_else(|error| Err(DenialStoreError::new(error.to_string())));
        let (is_news, version) = {
            let mut state = denials.state.lock();
            let is_news = state.book.merge(kept.as_ref().map_or(news, Clone::clone));
            state.version += u64::from(is_news);
            (is_news, state.version)
        };
        if is_news {
            self.follow_denials();
            denials.changed.notify_one();
        }
        kept.map(|_| version)
    }

    /// Replaces whom this node alone denies.
    pub(crate) fn deny_here(&self, list: DenyList) {
        self.trust.denials.state.lock().own = list;
        self.follow_denials();
    }

    fn follow_denials(&self) {
        let Some(membership) = self.membership() else { return };
        let state = self.trust.denials.state.lock();
        let all: Vec<Denied> = state.own.iter().chain(state.book.denied()).cloned().collect();
        tracing::info!(target: "audit", entries = all.len(), "deny list is followed");
        // Under the lock, so that the later list is the one that holds.
        membership.endpoint.deny(DenyList::new(all));
        self.trust.guests.look_again(&membership.endpoint);
    }

    /// What each member knows of this version, once all have acknowledged that can, or the time is up.
    async fn await_denials(&self, version: u64) -> Vec<DenyRow> {
        let denials = &self.trust.denials;
        let end = Instant::now() + TELL_MAX;
        loop {
            let heard = denials.acknowledged.notified();
            tokio::pin!(heard);
            heard.as_mut().enable();
            let (rows, waits) = self.denial_rows(version);
            if !waits || timeout_at(end, heard).await.is_err() {
                return rows;
            }
        }
    }

    fn denial_rows(&self, version: u64) -> (Vec<DenyRow>, bool) {
        let Some(membership) = self.membership() else { return (Vec::new(), false) };
        let (mut rows, mut waits) = (Vec::new(), false);
        for member in membership.rows().into_iter().filter(|row| row.is_active) {
            let has_it =
                member.id == self.me.id || self.trust.denials.is_told(member.id, member.boot, version);
            let is_connected = membership.session_of(member.id).is_ok_and(|session| !session.is_over());
            waits |= !has_it && is_connected;
            let reason = match (has_it, is_connected) {
                (true, _) => "",
                (false, true) => "it has not answered yet, and is told again",
                (false, false) => "it is not connected, and learns it when it is",
            };
            rows.push(DenyRow { node: member.name, has_it, reason: reason.to_owned() });
        }
        (rows, waits)
    }
}

/// Has somebody denied in the whole mesh, or let in again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Deny {
    /// `node/NAME`, `client/NAME`, `serial:HEX` or `sha256:HEX`.
    pub who: String,
    /// False lets it in again.
    pub is_denied: bool,
}

/// What one member knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyRow {
    /// Its name.
    pub node: String,
    /// Whether it has it, durably, and follows it.
    pub has_it: bool,
    /// If not, why.
    pub reason: String,
}

impl Message for Deny {
    type Reply = Result<Vec<DenyRow>, Failure>;
}

impl WireMessage for Deny {
    const KIND: &'static str = "mesh.deny.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl Handler<Later<Deny>> for NodeActor {
    async fn handle(&mut self, later: Later<Deny>, _: &mut Context<Self>) {
        let (asked, answer) = later.take();
        let shared = Arc::clone(self.mesh.shared());
        let tasks = Arc::clone(&shared);
        // Two nodes may be told at once, and each of them waits for the other.
        tasks.tasks.spawn(async move { answer.send(deny(&shared, &asked).await) });
    }
}

async fn deny(shared: &Arc<Shared>, asked: &Deny) -> Result<Vec<DenyRow>, Failure> {
    let here = &shared.me.name;
    let bad = |reason: String| {
        let path = format!("{here}/{}", crate::node_actor::NAME);
        failure_of(&AskError::BadMessage { path, kind: Deny::KIND.to_owned(), reason }, here)
    };
    let who: Denied = asked.who.parse().map_err(|error: mesh_net::InvalidDenied| bad(error.to_string()))?;
    let news = {
        let mut book = shared.trust.denials.state.lock().book.clone();
        let before = book.rows();
        book.say(who.clone(), asked.is_denied, SystemTime::now());
        book.rows().into_iter().filter(|row| !before.contains(row)).collect()
    };
    tracing::warn!(target: "audit", %who, is_denied = asked.is_denied, "an operator has changed the deny list");
    let version = shared.take_denials(news).await.map_err(|error| bad(error.to_string()))?;
    Ok(shared.await_denials(version).await)
}

/// Tells another node all that was said. Answers whether it is kept there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TellDenials {
    rows: Vec<Denial>,
}

impl Message for TellDenials {
    type Reply = bool;
}

impl WireMessage for TellDenials {
    const KIND: &'static str = "mesh.denials.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl Handler<Later<TellDenials>> for NodeActor {
    async fn handle(&mut self, later: Later<TellDenials>, _: &mut Context<Self>) {
        let (TellDenials { rows }, answer) = later.take();
        let shared = Arc::clone(self.mesh.shared());
        let tasks = Arc::clone(&shared);
        tasks.tasks.spawn(async move {
            let taken = shared.take_denials(rows).await;
            if let Err(error) = &taken {
                tracing::error!(%error, "what another node denies is followed, and forgotten with this process");
            }
            answer.send(taken.is_ok());
        });
    }
}

/// Tells the other nodes who is denied, until the node ends.
pub(crate) async fn tell_denials(shared: Arc<Shared>) {
    let Some(membership) = shared.membership() else { return };
    let denials = &shared.trust.denials;
    let mut jobs: JoinSet<Told> = JoinSet::new();
    // Who is being told, or is left alone for a while: until when.
    let mut resting: BTreeMap<(NodeId, Boot), Instant> = BTreeMap::new();
    let mut tick = interval(AGAIN);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = denials.changed.notified() => {}
            () = membership.told.notified() => {}
            Some(told) = jobs.join_next() => {
                if let Ok(Told { node, boot, version, heard }) = told {
                    resting.insert((node, boot), Instant::now() + heard.pause());
                    if heard == Heard::Kept {
                        denials.state.lock().told.insert(node, (boot, version));
                        denials.acknowledged.notify_waiters();
                    }
                }
            }
        }
        let (rows, version) = {
            let state = denials.state.lock();
            (state.book.rows(), state.version)
        };
        if rows.is_empty() {
            continue;
        }
        let now = Instant::now();
        resting.retain(|_, until| *until > now);
        for session in membership.node_sessions() {
            let (node, boot) = (session.peer().id, session.peer().boot);
            if resting.contains_key(&(node, boot)) || denials.is_told(node, boot, version) {
                continue;
            }
            resting.insert((node, boot), now + TELL_MAX + AGAIN);
            let (mesh, name) = (Mesh::of_node(Arc::clone(&shared)), session.peer().name.to_string());
            let rows = rows.clone();
            jobs.spawn(async move {
                let heard = tell(&mesh, &name, rows).await;
                Told { node, boot, version, heard }
            });
        }
    }
}

struct Told {
    node: NodeId,
    boot: Boot,
    version: u64,
    heard: Heard,
}

/// What a node that was told made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Kept,
    /// It did not answer, or could not keep it.
    NotNow,
    /// It is of a version of before, which follows its own file alone: to tell it again changes nothing.
    Never,
}

impl Heard {
    /// How long it is left alone then.
    fn pause(self) -> Duration {
        match self {
            Self::Kept => Duration::ZERO,
            Self::NotNow => AGAIN,
            Self::Never => DEAF_FOR,
        }
    }
}

async fn tell(mesh: &Mesh, node: &str, rows: Vec<Denial>) -> Heard {
    let asked = match mesh.node_actor::<TellDenials>(node) {
        Ok(actor) => actor.ask(TellDenials { rows }).timeout(TELL_MAX).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(true) => Heard::Kept,
        Ok(false) => Heard::NotNow,
        Err(AskError::UnknownKind { .. }) => {
            tracing::warn!(node, "this node is of a version that is not told who is denied");
            Heard::Never
        }
        Err(error) => {
            tracing::debug!(node, %error, "a node has not heard yet who is denied");
            Heard::NotNow
        }
    }
}

impl Node {
    /// From now on, peers on this list are not let in *by this node*, nor are messages of such clients that other nodes
    /// speak for, and their open connections are closed at once. It replaces the last such list, and counts beside what is
    /// denied in the whole mesh ([`Deny`]).
    pub fn deny(&self, list: DenyList) {
        self.mesh().shared().deny_here(list);
    }

    /// Reads what is denied in the mesh from this node's store again, as after an operator has changed it by hand, follows
    /// it, and tells the others.
    ///
    /// # Errors
    /// [`DenialStoreError`]: what was denied before still is.
    ///
    /// # Cancel safety
    /// Cancel safe: what was read is then followed at the next call.
    pub async fn reread_denials(&self) -> Result<(), DenialStoreError> {
        self.mesh().shared().take_denials(Vec::new()).await.map(drop)
    }
}
