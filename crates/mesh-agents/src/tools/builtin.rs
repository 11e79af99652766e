//! The tools that a node can offer without any code of its user's.
//!
//! | tool | does | held by |
//! |---|---|---|
//! | `read_file`, `write_file`, `list_files` | files of one folder | [`Jail`]: opened from folder to folder, no link is followed |
//! | `http_fetch` | GET | [`Fetch`]: no address that is not public, checked after each resolution and redirect |
//! | `run_command` | named programs | [`Commands`]: Landlock, seccomp, namespaces, limits; Linux only |
//!
//! What they are given comes from models: every path, address and argument is checked where it is used, and nothing of
//! them reaches a shell.

mod address;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod confine;
mod fetch;
mod files;
mod jail;
#[cfg(target_os = "linux")]
mod limits;
mod path;

pub use address::is_public;
#[cfg(target_os = "linux")]
pub use command::{CommandArgs, CommandLimits, CommandOutput, Commands, InForce, NoSandbox};
pub use fetch::{Fetch, FetchArgs, FetchLimits, Fetched, Resolve, SystemResolver};
pub use files::{ListArgs, ListFiles, Listed, ReadArgs, ReadFile, Text, WriteArgs, WriteFile, Wrote};
pub use jail::Jail;
