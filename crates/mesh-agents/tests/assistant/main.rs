//! A model with tools: its turns, its limits, and what becomes of it when its process is killed.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod answers;
mod doubt;
mod kills;
mod limits;
mod model;
mod people;
mod record;
mod turns;
