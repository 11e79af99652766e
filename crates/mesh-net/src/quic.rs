//! The transport over QUIC.
//!
//! Everything that names quinn or rustls lives below this module (and `identity`, which reads certificates).

pub(crate) mod endpoint;
mod enrolling;
mod failure;
pub(crate) mod joining;
mod protocol;
mod settings;
pub(crate) mod tls;

pub(crate) use failure::{close_reason, code, read_error, write_error};
