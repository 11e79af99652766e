//! A mesh in one thread, in time that is only counted: for tests, and for figures.
//!
//! Every node is a [`Membership`](super::Membership); between them are connections that are made by dials and lost after
//! two seconds of silence, datagrams that are lost and delayed, and a control stream that is only delayed. All chance comes
//! from one seed, so a run that went wrong is run again by its seed. What happens to the mesh is data ([`Operation`]).
//! Each node's tellings are held against the promise of [`Change`](super::Change) while it runs.

mod chaos;
mod cluster;
pub mod figures;
mod ledger;
mod naming;
mod network;
mod scenario;

pub use chaos::chaos;
pub use cluster::{Cluster, Traffic};
pub use network::Conditions;
pub use scenario::Operation;

#[cfg(test)]
mod tests;
