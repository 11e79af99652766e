//! What all parts of one node, or of one client, share.

use crate::{
    failure::ended, membership::Membership, parking::Parking, pending::Pending, placement::Placement,
    port::Local, registry::Registry, session::Session, stream_out::StreamOut, tasks::Tasks,
    topics::Followers, trust::Trust, uplink::Uplink,
};
use futures::FutureExt;
use mesh_actor::{AskError, ExitReason, System};
use mesh_proto::{ActorId, ActorPath, Boot, InvalidPath, NodeId, membership::Load};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
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
    /// Streams of topics.
    pub(crate) followers: Followers,
    /// Placed actors.
    pub(crate) placement: Placement,
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
    Client(Arc<Uplink>),
}

impl Shared {
    pub(crate) fn membership(&self) -> Option<&Membership> {
        match &self.role {
            Role::Member(membership) => Some(membership),
            Role::Client(_) => None,
        }
    }

    pub(crate) fn uplink(&self) -> Option<&Uplink> {
        match &self.role {
            Role::Member(_) => None,
            Role::Client(uplink) => Some(uplink),
        }
    }

    /// Whether this is a client that will have no connection any more.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.uplink().is_some_and(Uplink::is_cut_off)
    }

    /// What the hello tells of where this process accepts connections.
    pub(crate) fn listens(&self) -> Option<String> {
        self.membership().map(Membership::listens)
    }

    /// Where messages for `path` go.
    pub(crate) fn place(&self, path: &str) -> Result<Place, AskError> {
        let membership = match &self.role {
            Role::Member(membership) => membership,
            Role::Client(uplink) => return uplink.session().map(Place::There),
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

    /// As [`Shared::place`], but waits a moment for the connection to a member that is alive and was only just met; a
    /// client, for another node when its own was lost.
    ///
    /// Cancel safe.
    pub(crate) async fn place_soon(&self, path: &str) -> Result<Place, AskError> {
        let end = Instant::now() + CONNECT_PATIENCE;
        loop {
            let told = match &self.role {
                Role::Member(membership) => membership.told.notified(),
                Role::Client(uplink) => uplink.moved.notified(),
            };
            let lost = match self.place(path) {
                Err(lost @ AskError::Unreachable { .. }) => lost,
                placed => return placed,
            };
            if !self.may_come_soon(&lost) || timeout_at(end, told).await.is_err() {
                return Err(lost);
            }
        }
    }

    /// Whether a connection that is missing now is being made.
    fn may_come_soon(&self, lost: &AskError) -> bool {
        match (&self.role, lost) {
            (Role::Member(membership), AskError::Unreachable { node, .. }) => membership.is_alive(node),
            (Role::Member(_), _) => false,
            (Role::Client(_), _) => true,
        }
    }

    fn here(&self, name: &str) -> Result<Place, AskError> {
        let port = self.ports.read().get(name).cloned();
        let port = port.or_else(|| self.followers.port(name));
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
            membership.unsubscribe(|subscription| subscription.name == name);
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
