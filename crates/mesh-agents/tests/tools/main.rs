//! Tools: in one process, on a mesh, and over crashes.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod calls;
#[cfg(target_os = "linux")]
mod command;
mod fetch;
mod files;
mod hooks;
mod kills;
mod ledger;
mod mesh;
mod parts;
