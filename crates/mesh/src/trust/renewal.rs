//! New certificates for those whose time runs out: for nodes and for clients, of the same name, key and grants.
//!
//! A node asks one that has the authority's key. A client asks the node that it reaches, which asks on for it, with the
//! client's certificate: nobody gets one for another key than the one that its connection has proved.

use super::Trust;
use crate::{
    mesh::Mesh,
    node::Node,
    node_actor::NodeActor,
    session::Session,
    shared::{Role, Shared},
    wire::WireMessage,
};
use mesh_actor::{Context, Handler, Message};
use mesh_net::{Credential, Identity, IdentityError};
use mesh_proto::{
    NodeId, Verb,
    frame::{Control, Features},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

/// How long a node that was asked for a certificate may take: 10 s.
const RENEW_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take in turn to have one made by another: 5 s.
const RENEW_FOR_TIMEOUT: Duration = Duration::from_secs(5);

/// How often one peer is given a new certificate: once in 1 s. Each costs a signature.
const RENEW_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no new certificate. Whoever asked goes on with the one that it has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// No node that holds the authority's key is connected; for a client, no node at all. Try again later.
    #[error("no node that holds the authority's key is connected")]
    NoIssuer,
    /// The node that was asked did not answer, or refused: one does for a second after each, and for who is denied or has
    /// a certificate that has run out; and one of a version of before renews nodes' only. Try again later.
    #[error("{node} gave no certificate")]
    Refused {
        /// The node that was asked.
        node: String,
    },
    /// What came is no certificate for this name and key. The node that was asked is not sound.
    #[error("the certificate that came can't be used")]
    Certificate(#[from] IdentityError),
}

impl Trust {
    /// Signs again what a peer, or another node for its client, has shown.
    fn renewed(&self, credential: &Credential) -> Option<Vec<u8>> {
        let issuer = self.issuer.as_ref().filter(|_| self.may_give(NodeId(credential.peer.id)))?;
        let peer = &credential.peer;
        match issuer.renew(credential.certificate()) {
            Ok(certificate) => {
                tracing::info!(target: "audit", %peer, "certificate is renewed");
                Some(certificate)
            }
            Err(error) => {
                tracing::warn!(target: "audit", %peer, %error, "certificate is not renewed");
                None
            }
        }
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
    pub(crate) fn on_renew(self: &Arc<Self>) {
        if self.peer().role == mesh_net::Role::Node {
            let certificate = self.shared().trust.renewed(self.credential());
            return self.control(&Control::Renewed { certificate });
        }
        let session = Arc::clone(self);
        self.spawn(async move {
            let shared = Arc::clone(session.shared());
            let certificate = shared.renewed_client(session.credential().certificate()).await;
            session.control(&Control::Renewed { certificate });
        });
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
    async fn renew(&self, identity: &Identity) -> Result<Identity, RenewError> {
        let session = match &self.role {
            Role::Member(_) => self.issuers().into_iter().next().ok_or(RenewError::NoIssuer)?,
            Role::Client(uplink) => uplink.session().map_err(|_lost| RenewError::NoIssuer)?,
        };
        let refused = || RenewError::Refused { node: session.peer().name.to_string() };
        if !session.peer().knows(Features::ISSUES) {
            return Err(refused());
        }
        let (ready, waits) = oneshot::channel();
        self.trust.asked.lock().insert(session.peer().id, ready);
        session.control(&Control::Renew);
        let answer = timeout(RENEW_TIMEOUT, waits).await;
        let certificate = answer.ok().and_then(Result::ok).flatten().ok_or_else(refused)?;
        Ok(identity.renewed(&certificate)?)
    }

    /// Has a client's certificate signed again: here, or by a node that can.
    async fn renewed_client(self: &Arc<Self>, certificate: &[u8]) -> Option<Vec<u8>> {
        if self.trust.issuer.is_some() {
            return self.renew_client_here(certificate);
        }
        let mesh = Mesh::of_node(Arc::clone(self));
        for issuer in self.issuers() {
            let Ok(actor) = mesh.node_actor::<RenewFor>(&issuer.peer().name) else { continue };
            let asked = RenewFor { certificate: certificate.to_vec() };
            if let Ok(renewed) = actor.ask(asked).timeout(RENEW_FOR_TIMEOUT).await {
                return renewed;
            }
        }
        None
    }

    fn renew_client_here(&self, certificate: &[u8]) -> Option<Vec<u8>> {
        // Whose time is over, and who is denied, is let in no more: least of all by this.
        match self.membership()?.endpoint.verify_client(certificate) {
            Ok(credential) => self.trust.renewed(&credential),
            Err(reason) => {
                tracing::warn!(target: "audit", reason, "a client's certificate is not renewed");
                None
            }
        }
    }
}

/// Asks a node that has the authority's key to sign a client's certificate again, for the node that the client is
/// connected to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RenewFor {
    /// The client's certificate, DER.
    certificate: Vec<u8>,
}

impl Message for RenewFor {
    type Reply = Option<Vec<u8>>;
}

impl WireMessage for RenewFor {
    const KIND: &'static str = "mesh.renew_client.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl Handler<RenewFor> for NodeActor {
    async fn handle(&mut self, asked: RenewFor, _: &mut Context<Self>) -> Option<Vec<u8>> {
        self.mesh.shared().renew_client_here(&asked.certificate)
    }
}

impl Node {
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
}

impl Mesh {
    /// For a client: asks for a new certificate, of the same name, key and grants, by the node that it reaches, and shows it
    /// from then on where it connects anew. No grant is needed for that. The caller stores it: a program that starts
    /// with the old one once that has run out is let in no more.
    ///
    /// # Errors
    /// [`RenewError`]; at the latest after 10 s.
    ///
    /// # Cancel safety
    /// Cancel safe: a certificate that comes later is not used.
    pub async fn renew(&self, identity: &Identity) -> Result<Identity, RenewError> {
        let renewed = self.shared().renew(identity).await?;
        if let Some(uplink) = self.shared().uplink() {
            uplink.show(&renewed)?;
        }
        Ok(renewed)
    }
}
