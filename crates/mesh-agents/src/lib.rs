//! Agents and workflows on the mesh.
//!
//! ```text
//!  workflow    pure: a file becomes a plan, a run walks the plan
//!  workflows   the actors that run it: NODE/workflows, and one for each run
//!  swarm       tasks that depend on one another: swarm-NAME, which shares them out, and its workers
//!  Agent       the actor that does the work: a model with a role
//!  Models      what the agents of a node think with
//!  approvals   what people decide before an agent goes on: policies, NODE/approvals, reviews
//!  lifecycle   pure: where an agent stands, and what may follow
//!  durable     agents whose work outlives their process: NODE/runs, and one for each run
//!  Assistant   a durable agent that is a model with tools: turn by turn, until it has an answer
//!  limits      one limit of a provider for the whole mesh
//!  memory      what they remember, one actor for each scope
//! ```
//!
//! - [`workflow`]: a workflow file is read, checked and resolved into a plan, and a run walks that plan.
//! - [`workflows`]: runs as actors, which spread their agents over the mesh.
//! - [`swarm`]: who does what next, by priorities, dependencies, capabilities and leases; on the disk, over the mesh.
//! - [`durable`]: agents whose steps are stored as they are done, and go on where they were left.
//! - [`assistant`]: a model that calls tools until its task is done, as a durable agent.
//! - [`tools`]: what agents may do in the world, as actors with hooks and a ledger.
//! - [`memory`]: what is kept beyond a run, in a store, found by words and by meaning.
//! - [`Agent`]: a model with instructions, as an actor that any node can spawn.
//! - [`approvals`]: what an agent asks of people, and how they answer.
//! - [`limits`]: shares of one limit, leased to nodes.
//!
//! All of it is made with the public API of the mesh. This crate does not open files or sockets but in the built-in tools,
//! does not read the environment, and knows models by [`mesh_models::Provider`] alone.

mod agent;
pub mod approvals;
pub mod assistant;
pub mod durable;
mod idle;
pub mod lifecycle;
pub mod limits;
pub mod memory;
mod models;
mod pieces;
pub mod swarm;
pub mod tools;
pub mod workflow;
pub mod workflows;

pub use agent::{Agent, AgentArgs, Answer, Refusal, Said, Work};
pub use models::Models;

/// Milliseconds, as they travel.
fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
