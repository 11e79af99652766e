//! One limit for many nodes: in memory, and in simulated time.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod provider;
mod shared;
