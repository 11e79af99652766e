//! Who is in the mesh, and a connection to each of them.
//!
//! SWIM decides who is a member, and how it is ([`mesh_proto::membership`]); this module is its driver. It carries its
//! datagrams and its push/pull over the peers' own connections, dials whom it asks for, and keeps of two connections to
//! one node the same at both ends. Published names are told by their owner to every peer, and count while their owner takes part.

use crate::{config::NodeConfig, monitor::DownReason, session::Session, shared::Me};
use mesh_actor::AskError;
use mesh_net::{CloseCode, Endpoint, Role};
use mesh_proto::{
    Boot, Directory, Entry, MemberState, NodeId,
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
mod news;

pub use dial::JoinFailure;
pub(crate) use dial::{accept, join};
pub(crate) use drive::drive;

/// This node's part in the membership.
pub(crate) struct Membership {
    pub(crate) me: Me,
    pub(crate) endpoint: Endpoint,
    pub(crate) config: NodeConfig,
    /// What peers are told to dial.
    addr: Arc<str>,
    started: Instant,
    state: Mutex<State>,
    /// Rung when something may be due earlier, or somebody is to be dialled.
    due: Notify,
    /// Rung when members are others than before, or were connected.
    pub(crate) told: Notify,
}

struct State {
    swim: Swim,
    directory: Directory,
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
            directory: Directory::default(),
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
        members.sort_by(|one, other| one.name.cmp(&other.name));
        members
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

    /// Whether the names of a node count.
    fn takes_part(&self, state: &State, node: NodeId) -> bool {
        node == self.me.id || state.swim.member(node).is_some_and(Member::is_active)
    }

    fn name_of(&self, state: &State, node: NodeId) -> String {
        if node == self.me.id { self.me.name.to_string() } else { state.name_of(node) }
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
            let row = self.state.lock().swim.member(id).map(|member| (member.boot(), member.state()));
            match row {
                Some((known, MemberState::Left)) if known == boot => return DownReason::NodeLeft,
                Some((known, state)) if known > boot || (known == boot && state == MemberState::Down) => {
                    return DownReason::NodeDown;
                }
                _ => told.await,
            }
        }
    }

    /// Publishes a name of this node, here and to every peer.
    pub(crate) fn publish(&self, entry: Entry, load: Load) {
        let mut state = self.state.lock();
        state.directory.publish(self.me.id, self.me.boot, entry.clone());
        state.tell_nodes(&Control::Published(vec![entry]));
        self.feed(state, |swim, now| swim.set_load(load, now));
    }

    /// Withdraws a name of this node.
    pub(crate) fn withdraw(&self, name: &str, load: Load) {
        let mut state = self.state.lock();
        state.directory.withdraw(self.me.id, name);
        state.tell_nodes(&Control::Withdrawn(vec![name.to_owned()]));
        self.feed(state, |swim, now| swim.set_load(load, now));
    }

    /// Tells every peer that this node goes, so that nobody looks for it.
    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();
        state.is_leaving = true;
        state.dials.clear();
        state.tell_nodes(&Control::Leaving);
        self.feed(state, Swim::leave);
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
        drop(state);
        // What is due may be another by now.
        self.due.notify_one();
        if is_news {
            self.told.notify_waiters();
        }
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

fn unreachable(node: &str) -> AskError {
    AskError::Unreachable { node: node.to_owned(), may_have_run: false }
}

/// Whether a peer is another member; anything else is a client.
fn is_node(session: &Session) -> bool {
    session.peer().role == Role::Node
}
