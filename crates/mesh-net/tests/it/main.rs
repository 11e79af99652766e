//! The one integration-test binary of this crate.
#![expect(clippy::unwrap_used, reason = "tests may, but clippy knows only the functions marked as tests")]

mod adversary; // peers that break the rules, made of raw quinn and rustls
mod claims; // row 12: frames that claim more than they have
mod deny; // who is no longer let in, and certificates that are replaced
mod enroll; // how a machine gets its certificate
mod flood; // row 13: ten thousand first packets a second
mod memory; // what only the network in memory can do
mod pair; // two connected endpoints, over either transport
mod quic; // what only QUIC can do
mod simulated; // QUIC under virtual time, over a network that a seed breaks
mod suite; // what both transports promise
mod threats; // rows of the threat table
