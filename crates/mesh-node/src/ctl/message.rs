//! `ask`, `tell` and `stream`.

use std::io;

use mesh::JsonItem;
use serde_json::json;

use super::args::{MessageArgs, StreamArgs, TellArgs};
use super::connection::Connection;
use super::error::CtlError;
use super::indent::indented;
use super::output::Output;
use super::{args, lines};

pub(super) async fn ask(
    mesh: &Connection,
    args: &MessageArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let reply = mesh.ask(&args.path.to_string(), &args.kind, &args.body, args.timeout).await?;
    print_reply(&reply, output)
}

/// A reply is JSON in any case; people get it indented.
pub(super) fn print_reply(reply: &str, output: &mut Output<'_>) -> Result<(), CtlError> {
    if output.is_json { Ok(output.line(reply)?) } else { Ok(output.line(&indented(reply))?) }
}

pub(super) async fn tell(
    mesh: &Connection,
    args: &TellArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let path = args.path.to_string();
    if args.body != "-" {
        mesh.tell(&path, &args.kind, &args.body, args.timeout).await?;
        return report_sent(1, output);
    }
    let mut lines = lines::read(io::stdin())?;
    let mut sent = 0;
    while let Some(line) = lines.recv().await {
        let (number, line) =
            line.map_err(|error| CtlError::Usage(format!("stdin: {error}; {sent} messages were sent")))?;
        let body = args::json(line.trim())
            .map_err(|error| CtlError::Usage(format!("line {number}: {error}; {sent} messages were sent")))?;
        let told = mesh.tell(&path, &args.kind, &body, args.timeout).await;
        told.map_err(|error| error.at_line(number, sent))?;
        sent += 1;
    }
    report_sent(sent, output)
}

fn report_sent(sent: u64, output: &mut Output<'_>) -> Result<(), CtlError> {
    // Nobody wants to read that what had to happen has happened.
    if output.is_json { Ok(output.document(&json!({ "sent": sent }))?) } else { Ok(()) }
}

pub(super) async fn stream(
    mesh: &Connection,
    args: &StreamArgs,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let mut stream = mesh.stream(&args.path.to_string(), &args.kind, &args.body, args.timeout).await?;
    while let Some(event) = stream.next().await? {
        match event {
            // The documents' text is passed on as it came.
            JsonItem::Item(item) if output.is_json => output.line(&format!("{{\"item\":{item}}}"))?,
            JsonItem::Reply(reply) if output.is_json => output.line(&format!("{{\"reply\":{reply}}}"))?,
            JsonItem::Item(item) => output.line(&item)?,
            JsonItem::Reply(reply) if reply == "null" => {}
            JsonItem::Reply(reply) => output.line(&reply)?,
        }
    }
    Ok(())
}
