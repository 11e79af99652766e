//! Who is in the mesh, and a connection to each of them.
//!
//! SWIM decides who is a member, and how it is ([`mesh_proto::membership`]); this module is its driver. It carries its
//! datagrams and its push/pull over the peers' own connections, dials whom it asks for, and keeps of two connections to
//! one node the same at both ends. Published names are told by their owner to every peer ([`mesh_proto::Directory`]), and count while their owner takes part.

use crate::{config::NodeConfig, monitor::DownReason, session::Session, shared::Me};
use futures::future::join_all;
use mesh_actor::AskError;
use mesh_net::{CloseCode, Endpoint, Role};
use mesh_proto::{
    Boot, Directory, MemberState, NodeId, Topics,
    frame::Control,
    membership::{Load, Member, Membership as Swim, MembershipError, Own, Profile},
};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

mod dial;
mod drive;
mod names;
mod news;
mod seats;
mod topics;

pub use dial::JoinFailure;
pub(crate) use dial::{accept, join};
pub(crate) use drive::drive;
use names::{Everywhere, Names, is_guest};
pub use names::{Listing, NamesTold};
pub(crate) use seats::Row;

/// Why the connections of a node that leaves end.
const LEAVES: &str = "the node leaves";

/// This node's part in the membership.
pub(crate) struct Membership {
    pub(crate) me: Me,
    pub(crate) endpoint: Endpoint,
    pub(crate) config: NodeConfig,
    /// What peers are told to dial.
    addr: Arc<str>,
    started: Instant,
    state: Mutex<State>,
    pub(crate) names: Names,
    /// Rung when something may be due earlier, or somebody is to be dialled.
    due: Notify,
    /// Rung when members are others than before, or were connected.
    pub(crate) told: Notify,
}

struct State {
    swim: Swim,
    directory: Directory,
    topics: Topics,
    everywhere: Everywhere,
    nodes: BTreeMap<NodeId, Arc<Session>>,
    clients: Vec<Arc<Session>>,
    /// Whom SWIM wants dialled.
    dials: VecDeque<Wanted>,
    /// Nodes to which a connection that this side dialled is about to say hello.
    greeting: HashSet<NodeId>,
    is_leaving: bool,
}

/// An address to dial, and the node that must answer there; at a seed any may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    node: Option<NodeId>,
    addr: Arc<str>,
}

impl Membership {
    /// # Errors
    /// [`MembershipError`] when a setting is out of its range.
    pub(crate) fn new(me: Me, endpoint: Endpoint, config: NodeConfig) -> Result<Self, MembershipError> {
        let addr = config.advertise.clone().unwrap_or_else(|| endpoint.local_addr().to_string());
        let addr: Arc<str> = addr.into();
        let mut settings = config.membership.clone();
        settings.seeds = config.seeds.iter().map(|seed| seed.as_str().into()).collect();
        let labels = config.labels.clone().into_iter().collect();
        let profile = Profile { name: me.name.to_string(), labels, load: Load::default() };
        let own = Own { node: me.id, boot: me.boot, addr: Arc::clone(&addr), profile };
        // Two nodes draw differently, and so do two runs of one.
        let seed = u64::try_from(me.id.0 & u128::from(u64::MAX)).unwrap_or(0) ^ me.boot.0;
        let state = State {
            swim: Swim::new(settings, own, seed, Duration::ZERO)?,
            directory: Directory::new(me.id, me.boot),
            everywhere: Everywhere::new(),
            topics: Topics::default(),
            nodes: BTreeMap::new(),
            clients: Vec::new(),
            dials: VecDeque::new(),
            greeting: HashSet::new(),
            is_leaving: false,
        };
        Ok(Self {
            me,
            endpoint,
            config,
            addr,
            started: Instant::now(),
            state: Mutex::new(state),
            names: Names::default(),
            due: Notify::new(),
            told: Notify::new(),
        })
    }

    /// What peers are told to dial.
    pub(crate) fn listens(&self) -> String {
        self.addr.to_string()
    }

    /// Every member, as this node sees it, itself included.
    pub(crate) fn members(&self) -> Vec<crate::mesh::MemberInfo> {
        let state = self.state.lock();
        let (_, _, own) = state.swim.own();
        let mut members = vec![info(self.me.id, own, &self.addr, MemberState::Alive)];
        members.extend(state.swim.members().filter_map(|member| {
            let mut info = info(member.node(), member.profile()?, member.addr(), member.state());
            info.name = state.name_of(member.node());
            Some(info)
        }));
        members.extend(state.nodes.values().filter(|session| is_guest(session)).map(guest));
        members.sort_by(|one, other| one.name.cmp(&other.name));
        members
    }

    /// Whether the member of this name is taken for alive.
    pub(crate) fn is_alive(&self, node: &str) -> bool {
        self.state.lock().swim.by_name(node).is_some_and(|member| member.state() == MemberState::Alive)
    }

    /// The connection to the node of this name.
    pub(crate) fn session_to(&self, node: &str) -> Result<Arc<Session>, AskError> {
        let state = self.state.lock();
        if let Some(member) = state.swim.by_name(node) {
            return state.session(member.node()).ok_or_else(|| unreachable(node));
        }
        // A peer's name is in its certificate, long before its profile has come.
        let met = state.nodes.values().find(|session| *session.peer().name == *node && !session.is_closed());
        met.cloned().ok_or_else(|| {
            let known = state.swim.members().map(|member| state.name_of(member.node()));
            let known = known.chain([self.me.name.to_string()]).collect();
            AskError::NoSuchNode { node: node.to_owned(), known }
        })
    }

    /// The clients that are connected.
    #[cfg(test)]
    pub(crate) fn client_sessions(&self) -> Vec<Arc<Session>> {
        self.state.lock().clients.clone()
    }

    /// Every connection to another node.
    pub(crate) fn node_sessions(&self) -> Vec<Arc<Session>> {
        self.state.lock().nodes.values().filter(|session| !session.is_closed()).cloned().collect()
    }

    /// The connection to a node.
    pub(crate) fn session_of(&self, id: NodeId) -> Result<Arc<Session>, AskError> {
        let state = self.state.lock();
        state.session(id).ok_or_else(|| unreachable(&state.name_of(id)))
    }

    /// Waits until a run of a node is over: it was declared dead, has left, or another run has taken its place.
    ///
    /// Cancel safe.
    pub(crate) async fn end_of(&self, id: NodeId, boot: Boot) -> DownReason {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let (row, is_there) = {
                let state = self.state.lock();
                let is_connected = state.session(id).is_some_and(|session| session.peer().boot == boot);
                let row = state.swim.member(id).map(|member| (member.boot(), member.state()));
                (row, is_connected || id == self.me.id)
            };
            match row {
                // Who knows no SWIM is there as long as its connection.
                None if !is_there => return DownReason::NodeDown,
                Some((known, MemberState::Left)) if known == boot => return DownReason::NodeLeft,
                Some((known, state)) if known > boot || (known == boot && state == MemberState::Down) => {
                    return DownReason::NodeDown;
                }
                _ => told.await,
            }
        }
    }

    /// Tells every peer that this node goes, so that nobody looks for it.
    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();
        state.is_leaving = true;
        state.dials.clear();
        state.tell_nodes(&Control::Leaving);
        for client in &state.clients {
            client.control(&Control::Leaving);
        }
        self.feed(state, Swim::leave);
    }

    /// Finishes what is in flight on every connection, and closes it; at most `patience`. Clients first: what they sent
    /// goes on over the others.
    pub(crate) async fn retire_all(&self, patience: Duration) {
        let (nodes, clients) = {
            let state = self.state.lock();
            (state.nodes.values().cloned().collect::<Vec<_>>(), state.clients.clone())
        };
        for sessions in [clients, nodes] {
            let open = sessions.iter().filter(|session| !session.is_over());
            let retires = open.map(|session| session.retire_within(patience, CloseCode::Leaving, LEAVES));
            join_all(retires).await;
        }
    }

    /// Closes every connection.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        let state = self.state.lock();
        for session in state.nodes.values().chain(&state.clients) {
            session.close(code, reason);
        }
    }

    /// Lets SWIM have something, and does what it asks for.
    fn feed<R>(&self, mut state: MutexGuard<'_, State>, event: impl FnOnce(&mut Swim, Duration) -> R) -> R {
        let result = event(&mut state.swim, self.started.elapsed());
        let is_news = state.perform();
        self.release(state, is_news);
        // What is due may be another by now.
        self.due.notify_one();
        result
    }
}

impl State {
    fn session(&self, id: NodeId) -> Option<Arc<Session>> {
        self.nodes.get(&id).filter(|session| !session.is_closed()).cloned()
    }

    /// A peer's name as its certificate says, else what it says of itself, else its id.
    fn name_of(&self, id: NodeId) -> String {
        if let Some(session) = self.nodes.get(&id) {
            return session.peer().name.to_string();
        }
        let profile = self.swim.member(id).and_then(Member::profile);
        profile.map_or_else(|| id.to_string(), |profile| profile.name.clone())
    }

    fn tell_nodes(&self, frame: &Control) {
        for session in self.nodes.values() {
            session.control(frame);
        }
    }
}

fn info(id: NodeId, profile: &Profile, addr: &str, state: MemberState) -> crate::mesh::MemberInfo {
    crate::mesh::MemberInfo {
        name: profile.name.clone(),
        id: id.to_string(),
        state: state.as_str(),
        addr: addr.to_owned(),
        labels: profile.labels.iter().cloned().collect(),
        actors: profile.load.actors,
    }
}

/// The row of a peer that knows no SWIM: it is alive as long as it is connected.
fn guest(session: &Arc<Session>) -> crate::mesh::MemberInfo {
    let peer = session.peer();
    let profile = Profile { name: peer.name.to_string(), ..Profile::default() };
    info(peer.id, &profile, &peer.listens, MemberState::Alive)
}

fn unreachable(node: &str) -> AskError {
    AskError::Unreachable { node: node.to_owned(), may_have_run: false }
}

/// Whether a peer is another member; anything else is a client.
fn is_node(session: &Session) -> bool {
    session.peer().role == Role::Node
}
