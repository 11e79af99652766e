//! The mesh's ends of a measurement: a node with counting actors, and a node that drives it.

use std::{
    future,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Result;
use mesh::{ActorSpec, Class, Identity, Node, NodeConfig, Runtimes};
use tokio::runtime::{self, Runtime};

use super::{actor::Counter, client::MeshClient};
use crate::{
    row::Row,
    tls::{Certificates, CertifiedKey},
};

/// Where actors and their callers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the pool, as users' actors do.
    Pool,
    /// On the network's thread, as trusted actors do.
    Network,
}

/// Serves the actors that the row needs until the process ends.
///
/// # Errors
/// If the node can't start.
pub(crate) fn serve(
    certificates: &Certificates,
    place: Place,
    row: Row,
    listening: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<()> {
    let threads = Threads::start()?;
    threads.network.block_on(async {
        let node = threads.node(&certificates.server, Vec::new()).await?;
        let class = match place {
            Place::Pool => Class::Pool,
            Place::Network => Class::Trusted,
        };
        for index in 0..row.actors() {
            let name = actor_name(index);
            let actor = node
                .mesh()
                .spawn(ActorSpec::new(&*name).class(class).mailbox(row.mailbox()), Counter::default);
            node.mesh().publish(&name, &actor)?;
        }
        listening(node.local_addr())?;
        future::pending().await
    })
}

/// Joins the serving node and does `work` there where its callers belong.
///
/// # Errors
/// If the node can't join, or the work fails.
pub(crate) fn drive<T, F>(
    certificates: &Certificates,
    place: Place,
    server: SocketAddr,
    work: impl FnOnce(MeshClient) -> F,
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let threads = Threads::start()?;
    threads.network.block_on(async {
        let node = threads.node(&certificates.client, vec![server.to_string()]).await?;
        let work = work(MeshClient::new(node.mesh().clone()));
        let runtime = match place {
            Place::Pool => &threads.pool,
            Place::Network => &threads.network,
        };
        runtime.spawn(work).await?
    })
}

/// The name of an actor of the serving node.
pub(super) fn actor_name(index: u32) -> String {
    format!("counter-{index}")
}

/// The network's thread and the pool, as a node has them.
struct Threads {
    network: Runtime,
    pool: Runtime,
}

impl Threads {
    fn start() -> Result<Self> {
        Ok(Self {
            network: runtime::Builder::new_current_thread().enable_all().build()?,
            // As many workers as cores that this process may use.
            pool: runtime::Builder::new_multi_thread().enable_all().build()?,
        })
    }

    async fn node(&self, own: &CertifiedKey, seeds: Vec<String>) -> Result<Node> {
        let identity = Identity::from_pem(&own.authority, &own.certificate, &own.key)?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = NodeConfig { listen, seeds, ..NodeConfig::default() };
        let runtimes = Runtimes { network: self.network.handle().clone(), pool: self.pool.handle().clone() };
        Ok(Node::builder(config).start(identity, runtimes).await?)
    }
}
