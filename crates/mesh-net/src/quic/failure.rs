//! quinn's errors in our words.

use std::net::SocketAddr;

use quinn::{ConnectionError, TransportErrorCode, VarInt};

use super::protocol;
use crate::close::{CloseCode, CloseReason};
use crate::endpoint::ConnectError;
use crate::stream::{ReadError, WriteError};

// QUIC carries TLS alerts as transport error 0x100 + alert (RFC 9001 §4.8); numbers from RFC 8446 §6.
const ALERT_BAD_CERTIFICATE: u64 = 0x100 + 42;
const ALERT_UNKNOWN_AUTHORITY: u64 = 0x100 + 48;
const ALERT_DECRYPT_ERROR: u64 = 0x100 + 51;
const ALERT_CERTIFICATE_REQUIRED: u64 = 0x100 + 116;
const ALERT_NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;

pub(crate) fn close_reason(error: ConnectionError) -> CloseReason {
    match error {
        ConnectionError::ApplicationClosed(close) => CloseReason::Peer {
            code: CloseCode::from(code(close.error_code)),
            reason: String::from_utf8_lossy(&close.reason).into_owned(),
        },
        ConnectionError::LocallyClosed => CloseReason::Local,
        ConnectionError::TimedOut => CloseReason::TimedOut,
        ConnectionError::Reset => CloseReason::Reset,
        other @ (ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::CidsExhausted) => CloseReason::Transport(other.to_string()),
    }
}

/// Why a handshake with `addr` failed.
pub(crate) fn connect_error(addr: SocketAddr, error: ConnectionError) -> ConnectError {
    let (code, reason) = match &error {
        ConnectionError::TransportError(ours) => (ours.code, ours.reason.clone()),
        ConnectionError::ConnectionClosed(theirs) => {
            (theirs.error_code, String::from_utf8_lossy(&theirs.reason).into_owned())
        }
        ConnectionError::VersionMismatch => {
            return ConnectError::Protocol { addr, reason: "no common QUIC version".to_owned() };
        }
        ConnectionError::TimedOut => return ConnectError::TimedOut { addr },
        _ => return ConnectError::Lost { addr, reason: close_reason(error) },
    };
    match u64::from(code) {
        _ if code == TransportErrorCode::CONNECTION_REFUSED => ConnectError::Refused { addr },
        ALERT_NO_APPLICATION_PROTOCOL => {
            let reason = format!("this node speaks {}, the peer none of it ({error})", protocol::spoken());
            ConnectError::Protocol { addr, reason }
        }
        ALERT_BAD_CERTIFICATE..=ALERT_UNKNOWN_AUTHORITY
        | ALERT_DECRYPT_ERROR
        | ALERT_CERTIFICATE_REQUIRED => ConnectError::Certificate { addr, reason },
        _ => ConnectError::Lost { addr, reason: close_reason(error) },
    }
}

pub(crate) fn write_error(error: quinn::WriteError) -> WriteError {
    match error {
        quinn::WriteError::Stopped(stop) => WriteError::Stopped { code: code(stop) },
        quinn::WriteError::ConnectionLost(lost) => WriteError::Closed(close_reason(lost)),
        // Finishing and resetting consume the half, and 0-RTT is off: neither can be met.
        other @ (quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected) => {
            WriteError::Closed(CloseReason::Transport(other.to_string()))
        }
    }
}

pub(crate) fn read_error(error: quinn::ReadError) -> ReadError {
    match error {
        quinn::ReadError::Reset(reset) => ReadError::Reset { code: code(reset) },
        quinn::ReadError::ConnectionLost(lost) => ReadError::Closed(close_reason(lost)),
        // Stopping consumes the half, reads are ordered, and 0-RTT is off: none can be met.
        other @ (quinn::ReadError::ClosedStream
        | quinn::ReadError::IllegalOrderedRead
        | quinn::ReadError::ZeroRttRejected) => ReadError::Closed(CloseReason::Transport(other.to_string())),
    }
}

/// Our codes are 32 bits wide; a larger one can only come from a peer that is not ours.
pub(crate) fn code(code: VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}
