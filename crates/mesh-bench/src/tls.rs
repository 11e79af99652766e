//! Certificates of one bench, made by the parent and handed to the children.

use anyhow::Result;
use mesh::{Authority, Identity};
use serde::{Deserialize, Serialize};

/// The serving node's name.
pub(crate) const SERVER: &str = "server";

/// The DNS name in the serving node's certificate.
pub(crate) const SERVER_DNS_NAME: &str = "server.node.bench.mesh";

const CLUSTER: &str = "bench";
const CLIENT: &str = "client";

/// Identities of both ends from one authority; every peer that needs TLS uses the same.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Certificates {
    pub(crate) server: CertifiedKey,
    pub(crate) client: CertifiedKey,
}

/// A node's certificate, its private key, and the authority that it trusts, as PEM.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CertifiedKey {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificates {
    /// Makes a fresh authority, and both ends' certificates from it.
    ///
    /// # Errors
    /// If a key can't be generated.
    pub(crate) fn generate() -> Result<Self> {
        let authority = Authority::create(CLUSTER)?;
        let issue = |name| anyhow::Ok(CertifiedKey::of(&authority.issue_node(name)?));
        Ok(Self { server: issue(SERVER)?, client: issue(CLIENT)? })
    }
}

impl CertifiedKey {
    fn of(identity: &Identity) -> Self {
        let pem = identity.to_pem();
        Self { authority: pem.ca, certificate: pem.cert, key: pem.key }
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}
