//! Every scenario over QUIC on loopback, and in memory.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod breakers;
mod cluster;
mod delivery;
mod denials;
mod directory;
mod grants;
mod hand_made;
mod handover;
mod later;
mod nodes;
mod renewal;
mod topics;
mod trees;
mod versions;
