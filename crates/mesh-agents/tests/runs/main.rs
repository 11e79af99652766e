//! Workflows on a mesh of three nodes in memory, with a scripted model and a paused clock.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod cluster;
mod coordinator;
mod script;

mod cancel;
mod failures;
mod outside;
mod placement;
mod quote;
mod seed;
mod spread;
mod stored;
