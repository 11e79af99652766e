//! The command line of `runs`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::super::args::timeout;

/// What can be done with the runs of durable agents.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// The runs of a node's store, or of all nodes
    List(ListArgs),
    /// A run with its steps, checkpoints, tool calls and journal
    Show {
        /// The run
        run: String,
        /// As it was in this checkpoint
        #[arg(long, value_name = "CHECKPOINT")]
        at: Option<String>,
    },
    /// Start a run of a durable agent
    Start(StartArgs),
    /// Have a run hold after the step at which it is
    Pause {
        /// The run
        run: String,
    },
    /// Take up a run where it was left: paused, failed, or left by a node that died
    Resume {
        /// The run
        run: String,
        /// Where [default: where it was last, or the node that meshctl speaks to]
        #[arg(long, value_name = "NODE")]
        on: Option<String>,
        /// Wait at most so long until it is at rest
        #[arg(long, value_name = "TIME", value_parser = timeout)]
        wait: Option<Duration>,
    },
    /// End a run, without waiting for the step at which it is
    Cancel {
        /// The run
        run: String,
    },
    /// Make another run that goes on from a checkpoint of this one
    Fork(ForkArgs),
    /// Delete a run that is at rest
    Delete {
        /// The run
        run: String,
    },
    /// Print all that the store has of a run, as one JSON document
    Export {
        /// The run
        run: String,
    },
}

/// Which runs to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The node's name
    #[arg(value_name = "NODE")]
    pub on: Option<String>,
    /// Only those that stand here, as paused
    #[arg(long, value_name = "STATE")]
    pub status: Option<String>,
    /// Only those of this kind of agent
    #[arg(long, value_name = "KIND")]
    pub agent: Option<String>,
    /// Only those that have this tag
    #[arg(long)]
    pub tag: Option<String>,
}

/// A run that is to be.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The kind of durable agent
    #[arg(value_name = "KIND")]
    pub agent: String,
    /// What it is to do
    #[arg(long, value_name = "TEXT")]
    pub task: String,
    /// Where [default: the node that meshctl speaks to]
    #[arg(long, value_name = "NODE")]
    pub on: Option<String>,
    /// The run's id [default: a new one]
    #[arg(long, value_name = "RUN")]
    pub id: Option<String>,
    /// A word to find it by; may be repeated
    #[arg(long)]
    pub tag: Vec<String>,
    /// Begin anew with a run that is there already, whatever it has done
    #[arg(long)]
    pub afresh: bool,
    /// Wait at most so long until it is at rest
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    pub wait: Option<Duration>,
}

/// A run that is to go its own way.
#[derive(Debug, Args)]
pub struct ForkArgs {
    /// The run
    pub run: String,
    /// From where [default: its latest checkpoint]
    #[arg(long, value_name = "CHECKPOINT")]
    pub at: Option<String>,
    /// The new run's id [default: a new one]
    #[arg(long, value_name = "RUN")]
    pub id: Option<String>,
    /// Start it at once; it is paused otherwise
    #[arg(long)]
    pub start: bool,
}
