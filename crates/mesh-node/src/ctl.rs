//! meshctl: a client of the mesh that is used from a shell.
//!
//! Results go to stdout, as tables for people or as JSON documents; errors go to stderr and become the exit code. What
//! runs when Ctrl-C comes is cancelled at the actor too, since a reply that nobody waits for is not worked on.

mod approvals;
mod args;
mod breakers;
mod connection;
mod dead_letters;
mod drain;
mod each_node;
mod error;
mod indent;
mod lines;
mod listing;
mod mcp;
mod memory;
mod message;
mod output;
mod placement;
mod runs;
mod store;
mod stream;
mod swarm;
mod table;
mod tools;
mod topic;
mod tree;
mod trust;
mod workflow;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory, Parser};

pub use self::args::CtlArgs;
use self::args::{ActorCommand, Command, TokenCommand, WorkflowCommand};
use self::connection::Connection;
pub(crate) use self::connection::inner;
pub(crate) use self::error::{CtlError, Document};
use self::output::Output;
use self::table::Paint;
use crate::environment;
use crate::signals::Signals;

/// The variables that stand for arguments.
pub(crate) const VARIABLES: [&str; 2] = ["MESH_NODE", "MESH_STATE"];

/// Runs meshctl with the arguments of this process, and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let began = Instant::now();
    let args = CtlArgs::parse();
    // Beside an error document a line of text would only break what reads it.
    if !args.json {
        for unknown in environment::unknown() {
            let _ = writeln!(io::stderr(), "warning: {unknown}");
        }
    }
    let mut stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let paint = Paint::for_stream(is_terminal);
    let output = Output { is_json: args.json, paint, is_terminal, to: &mut stdout };
    let Err(error) = run(&args, output) else { return ExitCode::SUCCESS };
    let paint = Paint::for_stream(io::stderr().is_terminal());
    if let Some(report) = error.report(args.json, paint, began.elapsed()) {
        // With stderr gone too there is nobody left to tell; the exit code still does.
        let _ = writeln!(io::stderr(), "{report}");
    }
    error.exit_code()
}

fn run(args: &CtlArgs, mut output: Output<'_>) -> Result<(), CtlError> {
    match &args.command {
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut CtlArgs::command(), "meshctl", &mut output.to);
            Ok(())
        }
        Command::Workflow(WorkflowCommand::Schema) => workflow::schema(&mut output),
        Command::Workflow(WorkflowCommand::Check { file, strict }) => {
            workflow::check(file, *strict, &mut output)
        }
        Command::Token(TokenCommand::Create(token)) => trust::create_token(args, token, &mut output),
        Command::Store(command) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(store::run(args, command, &mut output))
        }
        _ => {
            // One thread does: there is one connection, and nothing here computes.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let result = runtime.block_on(on_the_mesh(args, &mut output));
            runtime.shutdown_background();
            result
        }
    }
}

async fn on_the_mesh(args: &CtlArgs, output: &mut Output<'_>) -> Result<(), CtlError> {
    let mut signals = Signals::listen()?;
    if let Command::Enroll(enroll) = &args.command {
        return tokio::select! {
            enrolled = trust::enroll(args, enroll, output) => enrolled,
            _ = signals.next() => Err(CtlError::Interrupted),
        };
    }
    if let Command::Ca(command) = &args.command {
        return tokio::select! {
            done = trust::ca(args, command, output) => done,
            _ = signals.next() => Err(CtlError::Interrupted),
        };
    }
    let connection = tokio::select! {
        opened = Connection::open(args) => opened?,
        _ = signals.next() => return Err(CtlError::Interrupted),
    };
    let result = tokio::select! {
        result = command(args, &connection, output) => result,
        _ = signals.next() => Err(CtlError::Interrupted),
    };
    if matches!(args.command, Command::Tell(_) | Command::Publish(_))
        || matches!(result, Err(CtlError::Interrupted))
    {
        // What nobody answers, and the word that an ask is withdrawn, may still be on its way.
        connection.close().await;
    }
    result
}

async fn command(args: &CtlArgs, mesh: &Connection, output: &mut Output<'_>) -> Result<(), CtlError> {
    match &args.command {
        Command::Nodes => listing::nodes(mesh, output).await,
        Command::Ps { on } => listing::actors(mesh, on.as_deref(), output).await,
        Command::Names { capability, kind } => {
            listing::names(mesh, capability.as_deref(), kind.as_deref(), output).await
        }
        Command::Breakers(args) => breakers::breakers(mesh, args, output).await,
        Command::DeadLetters(command) => dead_letters::dead_letters(mesh, command, output).await,
        Command::Tree { on, watch } => tree::tree(mesh, on.as_deref(), *watch, output).await,
        Command::Ask(args) => message::ask(mesh, args, output).await,
        Command::Tell(args) => message::tell(mesh, args, output).await,
        Command::Stream(args) => message::stream(mesh, args, output).await,
        Command::Publish(args) => topic::publish(mesh, args, output).await,
        Command::Subscribe(args) => topic::subscribe(mesh, args, output).await,
        Command::Actor(ActorCommand::Spawn { on, kind, name, args, timeout }) => {
            let body = serde_json::json!({"kind": kind, "name": name, "args": args});
            let reply = mesh.ask(&format!("{on}/mesh"), "mesh.spawn.v1", &body.to_string(), *timeout).await?;
            message::print_reply(&reply, output)
        }
        Command::Actor(ActorCommand::Place(args)) => placement::place(mesh, args, output).await,
        Command::Actor(ActorCommand::Unplace { name, timeout }) => {
            placement::unplace(mesh, name, *timeout, output).await
        }
        Command::Actor(ActorCommand::Rebalance { timeout }) => {
            placement::rebalance(mesh, *timeout, output).await
        }
        Command::Actor(ActorCommand::Placements) => placement::placements(mesh, output).await,
        Command::Actor(ActorCommand::Stop { path, timeout }) => {
            let Some(node) = path.node() else {
                return Err(CtlError::Usage(format!("{path} does not say on which node: NODE/{path}")));
            };
            let body = serde_json::json!({"name": path.name()});
            let node = format!("{node}/mesh");
            let reply = mesh.ask(&node, "mesh.stop.v1", &body.to_string(), *timeout).await?;
            // That it worked is told by the exit code.
            if output.is_json { Ok(output.line(&reply)?) } else { Ok(()) }
        }
        Command::Drain { node, timeout } => drain::drain(mesh, node, *timeout, output).await,
        Command::Memory(args) => memory::memory(mesh, args, output).await,
        Command::Runs(command) => runs::runs(mesh, command, output).await,
        Command::Swarm(command) => swarm::swarm(mesh, command, output).await,
        Command::Mcp(args) => mcp::serve(mesh, args).await,
        Command::Tools(command) => tools::run(mesh, command, output).await,
        Command::Workflow(WorkflowCommand::Run(args)) => workflow::run(mesh, args, output).await,
        Command::Workflow(WorkflowCommand::Resume(args)) => workflow::resume(mesh, args, output).await,
        Command::Approvals { command } => approvals::approvals(mesh, command.as_ref(), output).await,
        Command::Completions { .. }
        | Command::Workflow(_)
        | Command::Store(_)
        | Command::Token(_)
        | Command::Enroll(_)
        | Command::Ca(_) => {
            unreachable!("these need no connection, and were done before")
        }
    }
}

#[cfg(test)]
mod tests;
