//! The command line of `approvals`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be done with requests for approval.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// What waits for somebody's answer; so does `approvals` alone
    List {
        /// The latest thousand of each node, with what became of them
        #[arg(long)]
        all: bool,
    },
    /// Everything about one: the exact arguments, what the agent was doing, what was edited, who said what
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// Only the arguments, as JSON: to be edited
        #[arg(long)]
        args: bool,
    },
    /// Let it be done, exactly as it is
    Approve(ApproveArgs),
    /// Do not let it be done
    Reject {
        /// Its id, or the beginning of it
        id: String,
        /// What the agent is told
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Ask about each on this terminal, as they come, until Ctrl-C
    Watch,
}

/// An approval.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Its id, or the beginning of it
    pub id: String,
    /// Other arguments, JSON, and not those that were asked for; - reads stdin
    #[arg(long, value_name = "FILE|-")]
    pub edit: Option<PathBuf>,
    /// The hash that `show` printed, or 8 digits of it: approve nothing else; what is to be reviewed needs it
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub hash: Option<String>,
    /// What is kept with the answer
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
}

fn hash(text: &str) -> Result<String, String> {
    let is_hash = (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("8 to 64 hexadecimal digits are wanted".to_owned())
    }
}
