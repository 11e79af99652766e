//! Agents whose work outlives their process, on a SQLite store.
//!
//! The store has threads of its own, for which a paused clock would not wait: these tests wait for events, in real time,
//! and each wait has an end.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod node;
mod script;

mod alone;
mod control;
mod hooks;
mod taking_up;
mod tasks;
mod working;
