//! What a node does for the trust among the others: it issues certificates, if it can, renews its own, and follows who is
//! denied in the mesh.

use crate::{
    node::Node,
    session::Session,
    shared::{Role, Shared},
};
use mesh_net::{Endpoint, Identity, IdentityError, Issuer, Registrar};
use mesh_proto::{EnrollReply, EnrollRequest, NodeId, frame::Features};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::oneshot, time::Instant};

mod access;
mod book;
mod denials;
mod renewal;

pub(crate) use access::Access;
use access::Guests;
pub use book::{DENIALS_MAX, Denial, DenialBook, DenialStore, DenialStoreError};
pub(crate) use denials::{Denials, TellDenials, tell_denials};
pub use denials::{Deny, DenyRow};
pub use renewal::RenewError;
pub(crate) use renewal::RenewFor;

/// This process's part in the trust of the mesh.
#[derive(Default)]
pub(crate) struct Trust {
    issuer: Option<Arc<Issuer>>,
    /// Who waits for a certificate from which node.
    asked: Mutex<HashMap<NodeId, oneshot::Sender<Option<Vec<u8>>>>>,
    given: Mutex<HashMap<NodeId, Instant>>,
    guests: Guests,
    denials: Denials,
    refusals: AtomicU64,
}

impl Trust {
    pub(crate) fn new(issuer: Option<Arc<Issuer>>, denials: Denials) -> Self {
        Self { issuer, denials, ..Self::default() }
    }

    /// What this process knows beyond the base, as its hello to a peer of this role says. Clients are given certificates by
    /// every node: it has them made where the key is.
    pub(crate) fn features(&self, to: mesh_net::Role) -> Features {
        let issues = self.issuer.is_some() || to == mesh_net::Role::Client;
        if issues { Features::ALL | Features::ISSUES } else { Features::ALL }
    }

    /// Counts a message or a channel that was denied.
    pub(crate) fn denied(&self) -> u64 {
        self.refusals.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Shared {
    /// Connected nodes that hold the authority's key.
    fn issuers(&self) -> Vec<Arc<Session>> {
        let sessions = self.membership().map(|membership| membership.node_sessions()).unwrap_or_default();
        sessions.into_iter().filter(|session| session.peer().knows(Features::ISSUES)).collect()
    }
}

impl Node {
    /// From now on, new connections show this certificate. Open ones stay as they are.
    ///
    /// # Errors
    /// [`IdentityError`] when it can't be used for TLS.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.endpoint().map_or(Ok(()), |endpoint| endpoint.set_identity(identity))
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
