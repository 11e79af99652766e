//! What a node does for the trust among the others: it issues certificates, if it can, and renews its own.

use crate::{
    node::Node,
    session::Session,
    shared::{Role, Shared},
};
use mesh_net::{DenyList, Endpoint, Identity, IdentityError, Issuer, Registrar};
use mesh_proto::{
    EnrollReply, EnrollRequest, NodeId,
    frame::{Control, Features},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

mod access;

pub(crate) use access::Access;
use access::Guests;

/// How long a node that was asked for a certificate may take: 10 s.
const RENEW_TIMEOUT: Duration = Duration::from_secs(10);

/// How often one peer is given a new certificate: once in 1 s. Each costs a signature.
const RENEW_PAUSE: Duration = Duration::from_secs(1);

/// This process's part in the trust of the mesh.
#[derive(Default)]
pub(crate) struct Trust {
    issuer: Option<Arc<Issuer>>,
    /// Who waits for a certificate from which node.
    asked: Mutex<HashMap<NodeId, oneshot::Sender<Option<Vec<u8>>>>>,
    given: Mutex<HashMap<NodeId, Instant>>,
    guests: Guests,
    denials: AtomicU64,
}

/// Why a node has no new certificate. It goes on with the one that it has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// No node that holds the authority's key is connected. Try again later.
    #[error("no node that holds the authority's key is connected")]
    NoIssuer,
    /// The node that was asked did not answer, or refused. Try again later.
    #[error("{node} gave no certificate")]
    Refused {
        /// The node that was asked.
        node: String,
    },
    /// What came is no certificate for this node's name and key. The node that was asked is not sound.
    #[error("the certificate that came can't be used")]
    Certificate(#[from] IdentityError),
}

impl Trust {
    pub(crate) fn new(issuer: Option<Arc<Issuer>>) -> Self {
        Self { issuer, ..Self::default() }
    }

    /// What this process knows beyond the base, as its hello says.
    pub(crate) fn features(&self) -> Features {
        if self.issuer.is_some() { Features::ALL | Features::ISSUES } else { Features::ALL }
    }

    /// Counts a message or a channel that was denied.
    pub(crate) fn denied(&self) -> u64 {
        self.denials.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn may_give(&self, to: NodeId) -> bool {
        let now = Instant::now();
        let mut given = self.given.lock();
        given.retain(|_, since| now.duration_since(*since) < RENEW_PAUSE);
        given.insert(to, now).is_none()
    }
}

impl Session {
    /// A peer asks for a new certificate: it gets one for the name and the key that its connection has proved.
    pub(crate) fn on_renew(&self) {
        let trust = &self.shared().trust;
        let peer = self.peer();
        let certificate =
            trust.issuer.as_ref().filter(|_| peer.role == mesh_net::Role::Node && trust.may_give(peer.id));
        let certificate =
            certificate.and_then(|issuer| match issuer.renew(self.credential().certificate()) {
                Ok(certificate) => {
                    tracing::info!(target: "audit", peer = %peer.name, "certificate is renewed");
                    Some(certificate)
                }
                Err(error) => {
                    tracing::warn!(target: "audit", peer = %peer.name, %error, "certificate is not renewed");
                    None
                }
            });
        self.control(&Control::Renewed { certificate });
    }

    pub(crate) fn on_renewed(&self, certificate: Option<Vec<u8>>) {
        let asked = self.shared().trust.asked.lock().remove(&self.peer().id);
        if let Some(asked) = asked {
            // Who asked may have given up.
            let _ = asked.send(certificate);
        }
    }
}

impl Shared {
    /// Connected nodes that hold the authority's key.
    fn issuers(&self) -> Vec<Arc<Session>> {
        let sessions = self.membership().map(|membership| membership.node_sessions()).unwrap_or_default();
        sessions.into_iter().filter(|session| session.peer().knows(Features::ISSUES)).collect()
    }

    async fn renew(&self, identity: &Identity) -> Result<Identity, RenewError> {
        let session = self.issuers().into_iter().next().ok_or(RenewError::NoIssuer)?;
        let (ready, waits) = oneshot::channel();
        self.trust.asked.lock().insert(session.peer().id, ready);
        session.control(&Control::Renew);
        let answer = timeout(RENEW_TIMEOUT, waits).await;
        let refused = || RenewError::Refused { node: session.peer().name.to_string() };
        let certificate = answer.ok().and_then(Result::ok).flatten().ok_or_else(refused)?;
        Ok(identity.renewed(&certificate)?)
    }
}

impl Node {
    /// From now on, peers on this list are not let in, nor are messages of such clients that other nodes speak for, and
    /// their open connections are closed at once.
    pub fn deny(&self, list: DenyList) {
        if let Some(endpoint) = self.endpoint() {
            endpoint.deny(list);
            self.mesh().shared().trust.guests.look_again(endpoint);
        }
    }

    /// From now on, new connections show this certificate. Open ones stay as they are.
    ///
    /// # Errors
    /// [`IdentityError`] when it can't be used for TLS.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.endpoint().map_or(Ok(()), |endpoint| endpoint.set_identity(identity))
    }

    /// Asks a connected node that holds the authority's key for a new certificate, of the same name and key. The caller
    /// stores it, and shows it by [`set_identity`](Self::set_identity).
    ///
    /// # Errors
    /// [`RenewError`]; at the latest after 10 s.
    ///
    /// # Cancel safety
    /// Cancel safe: a certificate that comes later is not used.
    pub async fn renew(&self, identity: &Identity) -> Result<Identity, RenewError> {
        self.mesh().shared().renew(identity).await
    }

    fn endpoint(&self) -> Option<&Endpoint> {
        match &self.mesh().shared().role {
            Role::Member(membership) => Some(&membership.endpoint),
            Role::Client { .. } => None,
        }
    }
}

/// Serves enrolments at a node's endpoint: by its issuer, or by saying who issues.
pub(crate) fn serve_enrolments(shared: &Arc<Shared>) {
    let Some(membership) = shared.membership() else { return };
    membership.endpoint.set_registrar(match &shared.trust.issuer {
        Some(issuer) => Arc::clone(issuer) as Arc<dyn Registrar>,
        None => Arc::new(Elsewhere { shared: Arc::downgrade(shared) }),
    });
}

/// What a node without the authority's key tells who wants to enrol.
struct Elsewhere {
    shared: Weak<Shared>,
}

impl Registrar for Elsewhere {
    fn answer(&self, _: &EnrollRequest, _: &[u8; 32]) -> EnrollReply {
        let elsewhere = self.shared.upgrade().map(|shared| {
            let issuers = shared.issuers();
            issuers.iter().map(|session| session.listens().to_owned()).collect()
        });
        EnrollReply::Refused {
            code: "NO_AUTHORITY".to_owned(),
            message: "this node does not hold the authority's key".to_owned(),
            elsewhere: elsewhere.unwrap_or_default(),
        }
    }
}
