//! Swarms on nodes in memory, with a store on the disk.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod acts;
mod ground;
mod lives;
mod loss;
mod refusals;
mod sharing;
mod turns;
