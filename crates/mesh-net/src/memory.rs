//! The transport without sockets, for tests.
//!
//! ```text
//! MemoryNetwork ── endpoints by address ── links between two of them ── pipes, one per stream
//!               └─ cuts by pair of names ──▲
//! ```
//!
//! What it shares with QUIC, because callers depend on it: ordered bounded streams that a reader can stall, streams that
//! the peer sees with their first bytes, a limit of open streams, close reasons, connections that end at once when closed
//! and after the idle timeout when cut. What it leaves out: time on the way, loss, priorities, certificates (an endpoint
//! is whoever it is said to be).
//!
//! There are no tasks here. Time passes where somebody waits, by tokio's clock, so a paused clock makes an idle timeout
//! instant.

mod end;
mod endpoint;
mod link;
mod network;
mod pipe;

pub(crate) use end::MemoryEnd;
pub(crate) use endpoint::MemoryEndpoint;
pub use network::MemoryNetwork;
pub(crate) use pipe::{PipeReader, PipeWriter};
