//! The whole mesh, as people and scripts meet it, and the rules of the tree. One binary, so that it links once.

mod approvals;
mod assistant;
mod backpressure;
mod examples;
mod faults;
mod gateway;
mod identity;
mod mcp;
mod memory;
mod mesh;
mod placement;
mod refusals;
mod rolling;
mod runs;
mod streams;
mod swarm;
mod threats;
mod tidy;
mod tools;
mod topics;
mod workflows;
