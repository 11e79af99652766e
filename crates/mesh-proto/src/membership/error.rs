//! What a peer can do wrong.

use crate::{DecodeError, NodeId};

/// Why a datagram was refused. The peer is at fault, if only in its version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// It is longer than any of ours. Nothing was read.
    #[error("a datagram of {bytes} bytes is longer than {} bytes", super::DATAGRAM_BYTES_MAX)]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The bytes are no datagram of ours. Nothing of it was taken in.
    #[error("{from} sent what is no datagram of ours")]
    Malformed {
        /// Who sent it, by certificate.
        from: NodeId,
        /// What was wrong.
        #[source]
        error: DecodeError,
    },
    /// It says that it comes from another node than the certificate does: an attack, or two nodes with one address. Nothing
    /// of it was taken in; the connection should be closed.
    #[error("{from} sent a datagram in the name of {claimed}")]
    WrongSender {
        /// Who sent it, by certificate.
        from: NodeId,
        /// Who it says it is.
        claimed: NodeId,
    },
    /// An identity in it is longer, or was renewed more often, than any can be. Nothing of it was taken in.
    #[error("{from} names an identity that no node has")]
    Unsound {
        /// Who sent it, by certificate.
        from: NodeId,
    },
    /// The sender is new, and this node knows as many living members as it may. Nothing of it was taken in.
    #[error("{from} is unknown, and the table of members is full")]
    Full {
        /// Who sent it, by certificate.
        from: NodeId,
    },
    /// What it asks for breaks SWIM's rules, such as a probe of oneself by a detour. What it told before was taken in.
    #[error("{from} broke the protocol: {reason}")]
    Protocol {
        /// Who sent it, by certificate.
        from: NodeId,
        /// What foca said.
        reason: String,
    },
}
