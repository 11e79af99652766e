//! What a verified certificate says.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use mesh_proto::GrantSet;

use super::{PeerIdentity, Role};

/// What a peer's certificate says, once its signature was verified: who it is, what it may do, until when.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credential {
    /// Who it is.
    pub peer: PeerIdentity,
    /// What a client may do. A node's is empty, and means nothing: nodes are trusted as nodes.
    pub grants: GrantSet,
    /// The certificate's serial number, in lower-case hexadecimal digits.
    pub serial: String,
    /// The certificate's SHA-256.
    pub fingerprint: [u8; 32],
    /// From when it counts.
    pub not_before: SystemTime,
    /// Until when it counts.
    pub not_after: SystemTime,
    pub(crate) der: Arc<[u8]>,
}

impl Credential {
    /// The certificate, DER: for another node, which will verify it for itself.
    pub fn certificate(&self) -> &[u8] {
        &self.der
    }

    /// A credential without a certificate, for networks in memory: believed as it stands.
    pub(crate) fn in_memory(peer: PeerIdentity, grants: GrantSet) -> Self {
        let PeerIdentity { cluster, role, name, id } = &peer;
        let der: Arc<[u8]> =
            format!("memory {cluster} {} {name} {id:x} {grants}", role.as_str()).into_bytes().into();
        let fingerprint = sha256(&der);
        let not_after = SystemTime::now() + std::time::Duration::from_secs(3600 * 24);
        let serial = format!("{id:x}");
        Self { peer, grants, serial, fingerprint, not_before: SystemTime::UNIX_EPOCH, not_after, der }
    }

    /// Reads what [`in_memory`](Self::in_memory) wrote.
    pub(crate) fn of_memory(der: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(der).ok()?;
        let mut parts = text.split(' ');
        if parts.next() != Some("memory") {
            return None;
        }
        let cluster = parts.next()?.to_owned();
        let role = match parts.next()? {
            "node" => Role::Node,
            "client" => Role::Client,
            _ => return None,
        };
        let name = parts.next()?.to_owned();
        let id = u128::from_str_radix(parts.next()?, 16).ok()?;
        let grants = GrantSet::from_certificate(parts.next()?);
        Some(Self::in_memory(PeerIdentity { cluster, role, name, id }, grants))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("a SHA-256 digest has 32 bytes")
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("peer", &format_args!("{}", self.peer))
            .field("grants", &format_args!("{}", self.grants))
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}
