//! What all parts of one node, or of one client, share.

use crate::{
    failure::ended, membership::Membership, parking::Parking, pending::Pending, port::Local,
    registry::Registry, session::Session, stream_out::StreamOut, tasks::Tasks, trust::Trust,
};
use futures::FutureExt;
use mesh_actor::{AskError, ExitReason, System};
use mesh_proto::{ActorId, ActorPath, Boot, InvalidPath, NodeId, frame::Control, membership::Load};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, timeout_at},
};

mod reclaimer;

pub(crate) use reclaimer::Reclaimer;

/// This process, as others know it.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) id: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) boot: Boot,
    pub(crate) cluster: Arc<str>,
}

/// How long a message waits for the connection to a member that is alive: 1 s. Of two that have just met, one dials.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// Where messages for a path go from here.
pub(crate) enum Place {
    /// To an actor of this node.
    Here(Arc<dyn Local>),
    /// To a peer.
    There(Arc<Session>),
}

/// The state of one node or client.
pub(crate) struct Shared {
    pub(crate) me: Me,
    pub(crate) network: Handle,
    pub(crate) system: System,
    /// Published actors of this node, by name.
    pub(crate) ports: RwLock<BTreeMap<String, Arc<dyn Local>>>,
    pub(crate) registry: Registry,
    /// Asks of dynamic callers in this process to actors in this process.
    pub(crate) pending: Pending,
    /// Their streams.
    pub(crate) running: Mutex<HashMap<u64, Arc<StreamOut>>>,
    /// Streams that are kept for readers who were cut off.
    pub(crate) parking: Arc<Parking>,
    pub(crate) tasks: Tasks,
    pub(crate) reclaimer: Reclaimer,
    pub(crate) trust: Trust,
    pub(crate) role: Role,
    /// Rung when somebody has asked this node to leave.
    pub(crate) leave_asked: Notify,
    /// How often a peer's port is probed.
    pub(crate) loss_probe: Duration,
}

/// What this process is in the mesh.
pub(crate) enum Role {
    /// A member, with its part in the membership.
    Member(Box<Membership>),
    /// A client: everything goes through the one node that it reached.
    Client { uplink: OnceLock<Arc<Session>> },
}

impl Shared {
    pub(crate) fn membership(&self) -> Option<&Membership> {
        match &self.role {
            Role::Member(membership) => Some(membership),
            Role::Client { .. } => None,
        }
    }

    /// What the hello says that this process can do.
    pub(crate) fn features(&self) -> u64 {
        self.trust.features() | Control::REATTACHES
    }

    /// Whether this is a client whose one connection is over.
    pub(crate) fn is_cut_off(&self) -> bool {
        matches!(&self.role, Role::Client { uplink } if uplink.get().is_none_or(|session| session.is_closed()))
    }

    /// What the hello tells of where this process accepts connections.
    pub(crate) fn listens(&self) -> Option<String> {
        self.membership().map(Membership::listens)
    }

    /// Where messages for `path` go.
    pub(crate) fn place(&self, path: &str) -> Result<Place, AskError> {
        let membership = match &self.role {
            Role::Member(membership) => membership,
            Role::Client { uplink } => {
                let session = uplink.get();
                let node = session.map_or(String::new(), |session| session.peer().name.to_string());
                let open = session.filter(|session| !session.is_closed());
                let unreachable = || AskError::Unreachable { node, may_have_run: false };
                return open.map(|session| Place::There(Arc::clone(session))).ok_or_else(unreachable);
            }
        };
        let bad = |error: InvalidPath| AskError::BadPath { reason: error.to_string() };
        let parsed: ActorPath = path.parse().map_err(bad)?;
        match parsed.node() {
            Some(node) if *node == *self.me.name => self.here(parsed.name()),
            None if self.ports.read().contains_key(parsed.name()) => self.here(parsed.name()),
            Some(node) => membership.session_to(node).map(Place::There),
            None => {
                let owner = membership.owner(parsed.name()).ok_or_else(|| no_such_actor(path))?;
                membership.session_of(owner).map(Place::There)
            }
        }
    }

    /// As [`Shared::place`], but waits a moment for the connection to a member that is alive and was only just met.
    ///
    /// Cancel safe.
    pub(crate) async fn place_soon(&self, path: &str) -> Result<Place, AskError> {
        let end = Instant::now() + CONNECT_PATIENCE;
        loop {
            let told = self.membership().map(|membership| membership.told.notified());
            let placed = self.place(path);
            match (placed, told) {
                (Err(AskError::Unreachable { node, may_have_run }), Some(told)) => {
                    let is_alive = self.membership().is_some_and(|membership| membership.is_alive(&node));
                    if !is_alive || timeout_at(end, told).await.is_err() {
                        return Err(AskError::Unreachable { node, may_have_run });
                    }
                }
                (placed, _) => return placed,
            }
        }
    }

    fn here(&self, name: &str) -> Result<Place, AskError> {
        let port = self.ports.read().get(name).cloned();
        port.map(Place::Here).ok_or_else(|| no_such_actor(&format!("{}/{name}", self.me.name)))
    }

    /// How busy this node is.
    pub(crate) fn load(&self) -> Load {
        let actors = self.system.list();
        let queued = actors.iter().map(|actor| u64::from(actor.len)).sum();
        Load { actors: actors.len() as u64, queued }
    }

    /// The path with its node, for errors and logs.
    pub(crate) fn full_path(&self, path: &str) -> String {
        if path.contains('/') { path.to_owned() } else { format!("{}/{path}", self.me.name) }
    }

    pub(crate) fn actor_id(&self, serial: u64) -> ActorId {
        ActorId { node: self.me.id, boot: self.me.boot, serial }
    }

    /// Frees a name whose actor has ended, if nobody has come to it yet: who waited for that end may take the name.
    pub(crate) fn withdraw_ended(&self, name: &str) {
        let known = self.ports.read().get(name).cloned();
        if let Some(port) = known
            && let Some(exit) = port.ended().now_or_never()
        {
            self.withdraw(name, &port, exit);
        }
    }

    /// A published actor has ended, or is withdrawn: closes every channel to it.
    pub(crate) fn withdraw(&self, name: &str, port: &Arc<dyn Local>, exit: ExitReason) {
        {
            let mut ports = self.ports.write();
            if ports.get(name).is_none_or(|known| known.serial() != port.serial()) {
                return;
            }
            ports.remove(name);
        }
        if let Some(membership) = self.membership() {
            membership.withdraw(name, self.load());
        }
        port.close(&ended(&format!("{}/{name}", self.me.name), &self.me.name, exit));
    }
}

pub(crate) fn no_such_actor(path: &str) -> AskError {
    AskError::NoSuchActor { path: path.to_owned() }
}

/// A number for this run of the process, larger than that of any run before it: microseconds since 1970.
pub(crate) fn boot_now() -> Boot {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Boot(u64::try_from(since).unwrap_or(u64::MAX))
}
