//! Why connections end.

use std::fmt;

/// What one peer tells the other when it closes a connection.
///
/// On the wire it is QUIC's application error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCode {
    /// The last handle on the connection was dropped without a word.
    Dropped,
    /// The peer leaves the cluster on purpose.
    Leaving,
    /// Both sides dialled at once, and this is the connection that is not kept.
    Duplicate,
    /// The other side sent bytes that break the protocol.
    ProtocolError,
    /// The identity in the certificate has no access.
    Denied,
    /// The two sides have no protocol version or required feature in common.
    VersionMismatch,
    /// The endpoint shuts down.
    Shutdown,
    /// The peer's port was closed and the peer answered no ping: its process is gone.
    Unanswered,
    /// A code of a version that we don't know.
    Other(u32),
}

impl From<CloseCode> for u32 {
    fn from(code: CloseCode) -> Self {
        match code {
            CloseCode::Dropped => 0,
            CloseCode::Leaving => 1,
            CloseCode::Duplicate => 2,
            CloseCode::ProtocolError => 3,
            CloseCode::Denied => 4,
            CloseCode::VersionMismatch => 5,
            CloseCode::Shutdown => 6,
            CloseCode::Unanswered => 7,
            CloseCode::Other(code) => code,
        }
    }
}

impl From<u32> for CloseCode {
    fn from(code: u32) -> Self {
        match code {
            0 => Self::Dropped,
            1 => Self::Leaving,
            2 => Self::Duplicate,
            3 => Self::ProtocolError,
            4 => Self::Denied,
            5 => Self::VersionMismatch,
            6 => Self::Shutdown,
            7 => Self::Unanswered,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped => f.write_str("dropped"),
            Self::Leaving => f.write_str("leaving"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::ProtocolError => f.write_str("protocol error"),
            Self::Denied => f.write_str("denied"),
            Self::VersionMismatch => f.write_str("version mismatch"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Unanswered => f.write_str("unanswered"),
            Self::Other(code) => write!(f, "code {code}"),
        }
    }
}

/// Why a connection is over, as this side saw it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This process closed it, or dropped every handle on it. What had not been acknowledged may be lost.
    #[error("closed by this side")]
    Local,
    /// The peer closed it on purpose; the code says whether dialling again makes sense.
    #[error("closed by the peer: {code} ({reason})")]
    Peer {
        /// The kind of reason.
        code: CloseCode,
        /// The peer's words, for logs. Untrusted text of at most one datagram.
        reason: String,
    },
    /// Nothing was heard for the idle timeout: the peer is dead, stopped, or cut off. What was in flight may have
    /// been processed.
    #[error("nothing heard from the peer for the idle timeout")]
    TimedOut,
    /// The peer's process was replaced and no longer knows the connection: it restarted. Dial again.
    #[error("the peer restarted")]
    Reset,
    /// The transport itself gave up: a TLS alert, a violated QUIC rule. A bug or an attack; dialling again may help.
    #[error("transport failure: {0}")]
    Transport(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_code_survives_the_wire() {
        for code in (0..32).chain([u32::MAX]) {
            assert_eq!(u32::from(CloseCode::from(code)), code);
        }
    }
}
