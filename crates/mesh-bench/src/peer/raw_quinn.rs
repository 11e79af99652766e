//! quinn by hand: the most that the mesh could reach on this machine.
//!
//! Mutual TLS, a current-thread runtime at each end, frames without a codec, no deadlines, no tracing. A lone
//! caller writes and reads its own stream; many callers share one through a batching writer and a demultiplexing
//! reader; small tells are batched by hand to 64 KiB; bulk goes out as chunks on a unidirectional stream that the
//! receiver counts without assembling.

mod client;
mod dialogue;
mod frame;
mod sender;
mod server;
mod settings;
mod shared;

pub(crate) use client::connect;
pub(crate) use server::serve;
