//! `drain`: lets a node leave in order, and waits until it has.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::error::{CtlError, Document};
use super::listing;
use super::output::Output;

/// How long a node may take to say that it will leave.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// What the node has left to do.
#[derive(Debug, Deserialize)]
struct Draining {
    actors: u64,
    queued: u64,
}

/// What has become of it.
#[derive(Debug, Serialize)]
struct Drained<'a> {
    node: &'a str,
    state: &'a str,
    actors: u64,
    queued: u64,
}

pub(super) async fn drain(
    mesh: &Connection,
    node: &str,
    timeout: Duration,
    output: &mut Output<'_>,
) -> Result<(), CtlError> {
    let until = Instant::now() + timeout;
    let Draining { actors, queued } = mesh.ask_node(node, "mesh.drain.v1", timeout.min(ANSWER_MAX)).await?;
    if !output.is_json {
        output.text(&format!("{node} leaves: {actors} actors, {queued} messages wait for them\n"))?;
    }
    let state = loop {
        match listing::members(mesh).await {
            Ok(members) => {
                let state = members.into_iter().find(|member| member.name == node).map(|member| member.state);
                match state.as_deref() {
                    Some("alive" | "suspect") => {}
                    Some("down") => break "down",
                    Some(_) | None => break "left",
                }
            }
            // It is the node that this command speaks through.
            Err(_) if mesh.node() == node => break "left",
            Err(error) => return Err(error),
        }
        if Instant::now() >= until {
            let message =
                format!("{node} has not left within {timeout:?}; it still does, as far as is known");
            return Err(Document::own("TIMEOUT", message).into());
        }
        sleep(LOOK).await;
    };
    if output.is_json {
        Ok(output.document(&Drained { node, state, actors, queued })?)
    } else {
        Ok(output
            .text(&format!("{node} has {}\n", if state == "left" { "left" } else { "died on its way" }))?)
    }
}
