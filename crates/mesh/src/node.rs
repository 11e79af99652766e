//! A member of the mesh in this process.

use crate::{
    breakers::{self, BreakerNews, Breakers},
    config::NodeConfig,
    membership::{self, JoinFailure, Membership},
    mesh::Mesh,
    node_actor::{self, NodeActor},
    parking::Parking,
    pending::Pending,
    placement::{self, EpochSource, OldestMember, Placement},
    registry::{Registry, Spawnable},
    shared::{Me, Reclaimer, Role, Shared},
    tasks::Tasks,
    trust::{self, DenialStore, DenialStoreError, Denials, Trust},
};
use mesh_actor::{ActorSpec, Class, Runtimes, System};
use mesh_net::{BindError, CloseCode, DenyList, Endpoint, Identity, Issuer, PeerIdentity};
use mesh_proto::NodeId;
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

/// How long the connections of a node that leaves may take to finish what is in flight on them: 2 s.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running node. Dropped without [`Node::leave`], it ends at once, and its peers find it dead.
pub struct Node {
    mesh: Mesh,
}

/// How a node is to be started.
#[derive(Debug)]
pub struct NodeBuilder {
    config: NodeConfig,
    registry: Registry,
    issuer: Option<Arc<Issuer>>,
    denied: DenyList,
    denials: Denials,
    epochs: Arc<dyn EpochSource>,
}

/// Why a node could not be started. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartNodeError {
    /// The configuration has mistakes; all of them are listed.
    #[error("the configuration is wrong: {}", .problems.join("; "))]
    Config {
        /// Every mistake, as `key: what is wrong`.
        problems: Vec<String>,
    },
    /// The port could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The identity is a client's; a node needs one of its own.
    #[error("the identity of {name} is a client's, not a node's")]
    NotANode {
        /// Its name.
        name: String,
    },
    /// No seed let the node join.
    #[error("could not join: {}", listed(.failures))]
    Join {
        /// Every seed with its reason.
        failures: Vec<(String, JoinFailure)>,
    },
    /// Who is denied in the mesh can't be read.
    #[error(transparent)]
    Denials(#[from] DenialStoreError),
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    Runtime,
}

fn listed(failures: &[(String, JoinFailure)]) -> String {
    let told = failures.iter().map(|(seed, failure)| match failure.to_string() {
        // Most of them name it themselves.
        failure if failure.contains(seed.as_str()) => failure,
        failure => format!("{seed}: {failure}"),
    });
    told.collect::<Vec<_>>().join("; ")
}

impl Node {
    /// A node with these settings.
    #[must_use]
    pub fn builder(config: NodeConfig) -> NodeBuilder {
        NodeBuilder {
            config,
            registry: Registry::default(),
            issuer: None,
            denied: DenyList::default(),
            denials: Denials::default(),
            epochs: Arc::new(OldestMember),
        }
    }

    /// The mesh, seen from this node.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared().me.name
    }

    /// Its id: 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        self.shared().me.id.to_string()
    }

    /// Its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.shared().me.cluster
    }

    /// Where it accepts connections.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        self.shared().membership().map_or(unspecified, |membership| membership.endpoint.local_addr())
    }

    /// What others are told to dial.
    #[must_use]
    pub fn advertised(&self) -> String {
        self.shared().membership().map(Membership::listens).unwrap_or_default()
    }

    /// Waits until somebody asks this node to leave (`meshctl drain`, [`Drain`](crate::Drain)). The process is to call
    /// [`Node::leave`] then.
    ///
    /// # Cancel safety
    /// Cancel safe: the request is still there at the next call.
    pub async fn asked_to_leave(&self) {
        self.shared().leave_asked.notified().await;
    }

    /// Leaves: tells everybody, lets the actors finish their mailboxes for at most `drain_timeout`, then closes.
    pub async fn leave(self) {
        let shared = Arc::clone(self.shared());
        let Some(membership) = shared.membership() else { return };
        placement::hand_over(&shared, membership.config.drain_timeout).await;
        membership.leave();
        if let Err(still) = shared.system.drain(membership.config.drain_timeout).await {
            tracing::warn!(%still, "actors had not finished when the node left");
        }
        if let Err(still) = shared.system.shutdown(Duration::from_secs(1)).await {
            tracing::warn!(%still, "actors did not end");
        }
        membership.retire_all(FAREWELL).await;
        membership.close(CloseCode::Leaving, "the node leaves");
        membership.endpoint.close();
        membership.endpoint.wait_idle(Duration::from_secs(1)).await;
        shared.tasks.abort();
    }

    fn shared(&self) -> &Arc<Shared> {
        self.mesh.shared()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(membership) = self.shared().membership() {
            membership.endpoint.close();
        }
        self.shared().tasks.abort();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.name()).field("addr", &self.local_addr()).finish()
    }
}

impl NodeBuilder {
    /// Lets actors of this type be spawned here, by anyone who names `kind`.
    #[must_use]
    pub fn register<A: Spawnable>(mut self, kind: &str) -> Self {
        self.registry.register::<A>(kind);
        self
    }

    /// Gives the actors that are spawned here by kind a value of this process, as a connection or a client: they find
    /// it by its type, as [`SpawnContext::extension`](crate::SpawnContext::extension). A second value of one type
    /// replaces the first.
    #[must_use]
    pub fn extension<T: std::any::Any + Send + Sync>(mut self, value: Arc<T>) -> Self {
        self.registry.extend(value);
        self
    }

    /// Lets the node issue certificates: to who brings a token, and to nodes whose certificate runs out. Only for a node
    /// that holds the authority's key; others say who does.
    #[must_use]
    pub fn issuer(mut self, issuer: Arc<Issuer>) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Peers that are not let in by this node, from the first moment. [`Node::deny`] replaces the list.
    #[must_use]
    pub fn deny(mut self, denied: DenyList) -> Self {
        self.denied = denied;
        self
    }

    /// Where the node keeps who is denied in the whole mesh ([`Deny`](crate::Deny)), and finds it when it starts. By default
    /// it keeps that for as long as it runs, and has it from the others when it is back.
    #[must_use]
    pub fn denials(mut self, store: Arc<dyn DenialStore>) -> Self {
        self.denials = Denials::new(store);
        self
    }

    /// Where the epochs of placed actors come from: by default from the oldest live member ([`OldestMember`]). All nodes of a
    /// mesh have to be given the same.
    #[must_use]
    pub fn epochs(mut self, source: Arc<dyn EpochSource>) -> Self {
        self.epochs = source;
        self
    }

    /// Binds the port, and joins if there are seeds.
    ///
    /// # Errors
    /// [`StartNodeError`]; nothing is left running.
    pub async fn start(self, identity: Identity, runtimes: Runtimes) -> Result<Node, StartNodeError> {
        let network = runtimes.network.clone();
        let starts = network.spawn(async move {
            let peer_id = identity.peer_id().clone();
            self.checked(&peer_id)?;
            let endpoint = Endpoint::bind(self.config.listen, &identity, &self.config.transport)?;
            self.run(endpoint, peer_id, runtimes).await
        });
        starts.await.unwrap_or(Err(StartNodeError::Runtime))
    }

    /// Starts on an endpoint that was made elsewhere: in memory, for tests.
    ///
    /// # Errors
    /// As [`NodeBuilder::start`].
    pub async fn start_on(
        self,
        endpoint: Endpoint,
        peer_id: PeerIdentity,
        runtimes: Runtimes,
    ) -> Result<Node, StartNodeError> {
        let network = runtimes.network.clone();
        let starts = network.spawn(async move {
            self.checked(&peer_id)?;
            self.run(endpoint, peer_id, runtimes).await
        });
        starts.await.unwrap_or(Err(StartNodeError::Runtime))
    }

    fn checked(&self, peer_id: &PeerIdentity) -> Result<(), StartNodeError> {
        let problems = self.config.problems();
        if !problems.is_empty() {
            return Err(StartNodeError::Config { problems });
        }
        if peer_id.role != mesh_net::Role::Node {
            return Err(StartNodeError::NotANode { name: peer_id.name.clone() });
        }
        Ok(())
    }

    async fn run(
        self,
        endpoint: Endpoint,
        peer_id: PeerIdentity,
        runtimes: Runtimes,
    ) -> Result<Node, StartNodeError> {
        let me = Me {
            id: NodeId(peer_id.id),
            name: peer_id.name.as_str().into(),
            boot: crate::shared::boot_now(),
            cluster: peer_id.cluster.as_str().into(),
        };
        let network = runtimes.network.clone();
        let (loss_probe, stream_parking) = (self.config.transport.loss_probe, self.config.stream_parking);
        let breakers = Breakers::new(self.config.breakers.clone());
        let membership = Membership::new(me.clone(), endpoint, self.config)
            .map_err(|error| StartNodeError::Config { problems: vec![error.to_string()] })?;
        let shared = Arc::new(Shared {
            me,
            network: network.clone(),
            system: System::new(runtimes),
            ports: Default::default(),
            registry: self.registry,
            pending: Pending::default(),
            running: Default::default(),
            parking: Parking::new(stream_parking),
            breakers,
            tasks: Tasks::new(network),
            reclaimer: Reclaimer::default(),
            followers: Default::default(),
            placement: Placement::new(self.epochs),
            trust: Trust::new(self.issuer, self.denials),
            role: Role::Member(Box::new(membership)),
            leave_asked: Default::default(),
            loss_probe,
        });
        // Before anybody is let in.
        shared.deny_here(self.denied);
        shared.take_denials(Vec::new()).await?;
        shared.followers.serve(&shared);
        let mesh = Mesh::of_node(Arc::clone(&shared));
        let node = Node { mesh: mesh.clone() };
        let spec = ActorSpec::new(node_actor::NAME).class(Class::Trusted).on_every_node();
        let actor = mesh.spawn(spec, {
            let mesh = mesh.clone();
            move || NodeActor { mesh: mesh.clone() }
        });
        mesh.publish(node_actor::NAME, &actor)
            .expect("the node's own actor has sound kinds and is the first");
        mesh.subscribe::<BreakerNews>(breakers::TOPIC, node_actor::NAME)
            .expect("the node's own actor was just published, and subscribes first");
        shared.tasks.spawn(breakers::tell_others(Arc::clone(&shared)));
        trust::serve_enrolments(&shared);
        shared.tasks.spawn(membership::accept(Arc::clone(&shared)));
        shared.tasks.spawn(shared.reclaimer.run());
        shared.tasks.spawn(Arc::clone(&shared.parking).expire());
        if let Some(membership) = shared.membership()
            && !membership.config.seeds.is_empty()
        {
            let joined = membership::join(&shared, membership).await;
            joined.map_err(|failures| StartNodeError::Join { failures })?;
        }
        // Only now: SWIM dials the seeds too.
        shared.tasks.spawn(membership::drive(Arc::clone(&shared)));
        shared.tasks.spawn(trust::tell_denials(Arc::clone(&shared)));
        shared.tasks.spawn(placement::drive(Arc::clone(&shared)));
        if let Some(membership) = shared.membership() {
            membership.until_connected().await;
        }
        Ok(node)
    }
}
