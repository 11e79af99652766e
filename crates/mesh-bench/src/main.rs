//! Benchmarks of the mesh beside raw quinn, ractor and a bare channel of tokio.
//!
//! ```text
//!            orders, by lines of JSON on stdin          ┌────────────────┐
//!        ┌─────────────────────────────────────────────>│ server, core 0 │
//!   parent: rows × runs × peers, medians, table          └───────▲────────┘
//!        │                                                       │ the peer under test, over loopback
//!        │                                               ┌───────┴────────┐
//!        └─────────────────────────────────────────────>│ client, core 1 │
//!            reports, by lines of JSON on stdout         └────────────────┘
//! ```
//!
//! Each measurement starts two fresh processes (one for the local rows), each pinned to a core of its own,
//! since placement alone is a factor of two. The peers of a row take turns within each run, so that noise
//! hits all of them. Every row's workload is one file, generic over the peer; a peer says how it asks and tells.
//!
//! This program does not judge its figures: it prints them beside one another, as ratios of one run.

mod args;
mod child;
mod latency;
mod memory;
mod parent;
mod peer;
mod pin;
mod protocol;
mod reading;
mod row;
mod tls;
mod workload;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let outcome = if args.child { child::run() } else { parent::run(&args) };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a binary go to its stderr")]
fn complain(error: &anyhow::Error) {
    eprintln!("mesh-bench: {error:#}");
}
