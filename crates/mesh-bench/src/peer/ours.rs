//! The mesh, through its public API: typed messages, deadlines and supervision on, as a user has it.
//!
//! `ours` is a user's actor on the pool with its callers on the pool; `ours_trusted` is a trusted actor with its
//! callers on the network's thread. Each process is pinned to one core either way, so that its pool has one worker,
//! which shares that core with the network's thread.

mod actor;
mod client;
mod local;
mod node;
mod wire;

pub(crate) use local::Ours;
pub(crate) use node::{Place, drive, serve};
