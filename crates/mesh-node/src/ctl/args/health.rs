//! Arguments of `breakers` and `dead-letters`.

use clap::{Args, Subcommand};

/// Which circuit breakers, or what to do with one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BreakersArgs {
    /// The node's name
    #[arg(value_name = "NODE")]
    pub on: Option<String>,
    /// Look again each second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// What to do with one.
    #[command(subcommand)]
    pub command: Option<BreakersCommand>,
}

/// What can be done with a circuit breaker.
#[derive(Debug, Subcommand)]
pub enum BreakersCommand {
    /// Have a target left alone until it is reset or forced closed
    ForceOpen(BreakerArgs),
    /// Have a target asked whatever fails, until it is reset or forced open
    ForceClose(BreakerArgs),
    /// Forget what was seen of a target, and what was forced
    Reset(BreakerArgs),
}

/// One circuit breaker.
#[derive(Debug, Args)]
pub struct BreakerArgs {
    /// What it guards: NODE/ACTOR, or node:NODE for a node
    #[arg(value_name = "TARGET")]
    pub name: String,
    /// The node whose breaker it is [default: all nodes]
    #[arg(value_name = "NODE")]
    pub on: Option<String>,
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Those that a node keeps, or all nodes
    List {
        /// The node's name
        #[arg(value_name = "NODE")]
        on: Option<String>,
    },
    /// Send them to their actors again: those of a node, or of all nodes, that can be
    Replay {
        /// The node's name
        #[arg(value_name = "NODE")]
        on: Option<String>,
        /// Only this one of the node; may be repeated
        #[arg(long = "id", value_name = "ID", requires = "on")]
        ids: Vec<u64>,
    },
}
