//! The binaries mesh-node and meshctl, and a node as any program can be one.
//!
//! ```text
//! file < MESH_* < flags ─▶ NodeSettings ─┐
//!             state folder ─▶ NodeState ─┼─▶ Node::run ─▶ mesh ─▶ ready file, until a signal
//!     the binary's own kinds of actors ──┘
//! ```
//!
//! A program of one's own is a node in three lines: [`Node::from_args`], a [`Node::register`] for each kind of actor
//! that it brings, and [`Node::run`]. The binary `mesh-node` is just that with the standard kinds. [`ctl`] is `meshctl`.
//!
//! Files, the environment, arguments, signals, logging and exit codes are here and nowhere else; how nodes find one
//! another and how messages get to actors is the affair of the crate `mesh`.

mod approvals;
mod args;
mod bearer;
mod certify;
pub mod config;
pub mod ctl;
mod environment;
mod error;
mod gateway;
mod guard;
pub mod lab;
mod logging;
mod mcp;
mod memory;
mod model;
mod name;
mod node;
mod own_client;
mod ready;
mod signals;
mod standard;
mod state;
mod store;
mod threads;
mod token;
mod tools;

pub use args::NodeArgs;
pub use error::NodeError;
pub use model::{BadModel, models};
pub use node::Node;
pub use ready::Ready;
pub use state::{NodeState, StateError, StateFolder, client_identity};
pub use threads::runtime;
