//! Memories as actors, on nodes in memory with a store on the disk.

#![expect(clippy::unwrap_used, reason = "a fixture that breaks fails its test")]

mod grants;
mod home;
mod remember;
mod shared;
mod vectors;
