//! Frames between authenticated peers, over QUIC and in memory.
//!
//! ```text
//! try_push ─▶ Outbox ─drive─▶ SendHalf ══ TLS 1.3, mutual ══▶ RecvHalf ─▶ FrameReader ─▶ one call per frame
//!             bounded          window                          window       bounded
//! ```
//!
//! An [`Endpoint`] dials and accepts [`Connection`]s. Both sides of a connection have proved by certificate that they
//! belong to the same cluster, and [`Connection::peer`] says who the other is. Bytes travel on one-way streams, each
//! ordered, each with its own window, so that a reader that stops delays nobody else. [`MemoryNetwork`] is the same
//! without sockets: for tests with a paused clock, with partitions and killed nodes.
//!
//! Everything is bounded: what a peer can make us hold ([`TransportConfig`]), what waits to be sent ([`Outbox`]), how
//! large a frame may be ([`FrameReader`]). There is no switch that turns certificates off. Who has none yet can ask for
//! one ([`enroll()`]), and do nothing else.
//!
//! This crate knows nothing of actors, message types or mailboxes, and reads no files. It is the only one that names
//! quinn and rustls.

mod close;
mod config;
mod connection;
mod endpoint;
mod enroll;
mod frame;
mod identity;
mod memory;
mod name;
mod outbox;
mod probe;
mod quic;
mod stream;
mod told;

pub use close::{CloseCode, CloseReason};
pub use config::{ConfigProblem, TransportConfig, TransportConfigError};
pub use connection::{Connection, OpenError};
pub use endpoint::{BindError, ConnectError, Endpoint, Expect};
pub use enroll::{
    EnrollError, InvalidToken, Issuer, JoinToken, LedgerError, Registrar, TokenId, TokenKey, TokenLedger,
    TokenOffer, enroll,
};
pub use frame::{Frame, FrameError, FrameReader};
pub use identity::{
    Authority, Credential, Denied, DenyList, Identity, IdentityError, IdentityPem, InvalidDenied, Lives,
    PeerIdentity, Role,
};
pub use memory::MemoryNetwork;
pub use name::{NameError, check_name};
pub use outbox::{Batch, Closed, Outbox, PushError};
pub use probe::Probe;
pub use stream::{ABANDONED, ReadError, RecvHalf, SendHalf, WriteError};
