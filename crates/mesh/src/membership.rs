//! Who is in the mesh, and a connection to each of them.
//!
//! Every node tells every peer all that it knows when they meet, and what changes afterwards; the roster
//! merges it ([`mesh_proto::Roster`]). Of two nodes the one with the larger id dials, and seeds are dialled by
//! whoever names them, so a mesh of any shape of joins becomes complete. A member whose connection is lost is
//! suspect, is looked for, and is down when it was not found in `down_after`.

use crate::{config::NodeConfig, session::Session, shared::Me};
use mesh_actor::AskError;
use mesh_net::{CloseCode, Endpoint, Role};
use mesh_proto::{Boot, Directory, Entry, Member, MemberState, NodeId, Roster, frame::Control};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::{sync::Notify, time::Instant};

mod dial;
mod news;

pub use dial::JoinFailure;
pub(crate) use dial::{accept, join, keep};

/// This node's part in the membership.
pub(crate) struct Membership {
    pub(crate) me: Me,
    pub(crate) endpoint: Endpoint,
    pub(crate) config: NodeConfig,
    state: Mutex<State>,
    /// Rung when somebody may have to be dialled.
    changed: Notify,
    /// Rung when peers have told of members, or were connected.
    pub(crate) told: Notify,
}

struct State {
    roster: Roster,
    directory: Directory,
    nodes: BTreeMap<NodeId, Arc<Session>>,
    clients: Vec<Arc<Session>>,
    /// Members that this node has lost, and since when.
    lost: HashMap<NodeId, (Boot, Instant)>,
    is_leaving: bool,
}

impl Membership {
    pub(crate) fn new(me: Me, endpoint: Endpoint, config: NodeConfig) -> Self {
        let addr = config.advertise.clone().unwrap_or_else(|| endpoint.local_addr().to_string());
        let own = Member {
            id: me.id,
            name: me.name.to_string(),
            addr,
            boot: me.boot,
            incarnation: 0,
            state: MemberState::Alive,
            labels: config.labels.clone().into_iter().collect(),
            actors: 0,
        };
        let state = State {
            roster: Roster::new(own),
            directory: Directory::default(),
            nodes: BTreeMap::new(),
            clients: Vec::new(),
            lost: HashMap::new(),
            is_leaving: false,
        };
        Self { me, endpoint, config, state: Mutex::new(state), changed: Notify::new(), told: Notify::new() }
    }

    /// What peers are told to dial.
    pub(crate) fn listens(&self) -> String {
        let state = self.state.lock();
        state.roster.get(self.me.id).map(|own| own.addr.clone()).unwrap_or_default()
    }

    /// Every member, as this node sees it.
    pub(crate) fn members(&self) -> Vec<Member> {
        self.state.lock().roster.rows().cloned().collect()
    }

    /// Every published name with its owner's name.
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let state = self.state.lock();
        let owner = |id| state.roster.get(id).map(|row| row.name.clone());
        state.directory.names().filter_map(|(name, id)| Some((name.to_owned(), owner(id)?))).collect()
    }

    /// The node that owns a published name.
    pub(crate) fn owner(&self, name: &str) -> Option<NodeId> {
        self.state.lock().directory.owner(name)
    }

    /// Whether the member of this name is taken for alive.
    pub(crate) fn is_alive(&self, node: &str) -> bool {
        self.state.lock().roster.by_name(node).is_some_and(|row| row.state == MemberState::Alive)
    }

    /// The connection to the node of this name.
    pub(crate) fn session_to(&self, node: &str) -> Result<Arc<Session>, AskError> {
        let state = self.state.lock();
        let Some(member) = state.roster.by_name(node) else {
            let known = state.roster.rows().map(|row| row.name.clone()).collect();
            return Err(AskError::NoSuchNode { node: node.to_owned(), known });
        };
        state.session(member.id).ok_or_else(|| unreachable(node))
    }

    /// Every connection to another node.
    pub(crate) fn node_sessions(&self) -> Vec<Arc<Session>> {
        self.state.lock().nodes.values().filter(|session| !session.is_closed()).cloned().collect()
    }

    /// The connection to a node.
    pub(crate) fn session_of(&self, id: NodeId) -> Result<Arc<Session>, AskError> {
        let state = self.state.lock();
        let name = || state.roster.get(id).map_or_else(|| id.to_string(), |row| row.name.clone());
        state.session(id).ok_or_else(|| unreachable(&name()))
    }

    /// Publishes a name of this node, here and to every peer.
    pub(crate) fn publish(&self, entry: Entry, actors: usize) {
        let mut state = self.state.lock();
        state.directory.publish(self.me.id, self.me.boot, entry.clone());
        state.tell_nodes(&Control::Published(vec![entry]));
        state.renew(actors);
    }

    /// Withdraws a name of this node.
    pub(crate) fn withdraw(&self, name: &str, actors: usize) {
        let mut state = self.state.lock();
        state.directory.withdraw(self.me.id, name);
        state.tell_nodes(&Control::Withdrawn(vec![name.to_owned()]));
        state.renew(actors);
    }

    /// Tells every peer that this node goes, so that nobody looks for it.
    pub(crate) fn leave(&self) {
        let mut state = self.state.lock();
        state.is_leaving = true;
        let left = state.roster.renew(|own| own.state = MemberState::Left);
        state.tell_nodes(&Control::Members(left.into_iter().collect()));
        state.tell_nodes(&Control::Leaving);
    }

    /// Closes every connection.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        let state = self.state.lock();
        for session in state.nodes.values().chain(&state.clients) {
            session.close(code, reason);
        }
    }
}

impl State {
    fn session(&self, id: NodeId) -> Option<Arc<Session>> {
        self.nodes.get(&id).filter(|session| !session.is_closed()).cloned()
    }

    fn tell_nodes(&self, frame: &Control) {
        for session in self.nodes.values() {
            session.control(frame);
        }
    }

    fn renew(&mut self, actors: usize) {
        let renewed = self.roster.renew(|own| own.actors = actors as u64);
        self.tell_nodes(&Control::Members(renewed.into_iter().collect()));
    }
}

fn unreachable(node: &str) -> AskError {
    AskError::Unreachable { node: node.to_owned(), may_have_run: false }
}

/// Whether a peer is another member; anything else is a client.
fn is_node(session: &Session) -> bool {
    session.peer().role == Role::Node
}
