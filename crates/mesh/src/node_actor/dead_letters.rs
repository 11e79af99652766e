//! What clients ask of the messages that nobody on a node will handle.

use super::NodeActor;
use crate::{failure::failure_of, wire::WireMessage};
use mesh_actor::{AskError, Context, DeadLetter, DeadReason, Handler, Message, ReplayError};
use mesh_proto::{Failure, Verb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Asks for the messages that were accepted and that nobody will handle.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListDeadLetters {}

/// The dead letters that a node keeps, the oldest first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterTable {
    /// One row for each.
    pub letters: Vec<DeadLetterRow>,
    /// How many there were since the node began, those included that it does not keep any more.
    pub count: u64,
}

/// One message that nobody will handle.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterRow {
    /// Its number on its node, counted up from 1.
    pub id: u64,
    /// The actor that it was for, as its node calls it.
    pub actor: String,
    /// Its kind, or the name of its type.
    pub kind: String,
    /// Why it is dead, for people.
    pub reason: String,
    /// `poison` if it crashed its actor, or `not_running`.
    pub why: String,
    /// How often its handler crashed over it.
    pub times: u32,
    /// How long ago it died, in milliseconds.
    pub age_ms: u64,
    /// Its weight in a mailbox, in bytes.
    pub bytes: u64,
    /// Whether the message is still there, and can be sent again.
    pub is_replayable: bool,
}

impl Message for ListDeadLetters {
    type Reply = DeadLetterTable;
}

impl WireMessage for ListDeadLetters {
    const KIND: &'static str = "mesh.dead_letters.v1";
    const VERB: Option<Verb> = Some(Verb::Read);
}

impl From<DeadLetter> for DeadLetterRow {
    fn from(letter: DeadLetter) -> Self {
        let (why, times) = match &letter.reason {
            DeadReason::Poison { times, .. } => ("poison", *times),
            _ => ("not_running", 0),
        };
        Self {
            id: letter.id,
            actor: letter.path,
            kind: letter.kind,
            reason: letter.reason.to_string(),
            why: why.to_owned(),
            times,
            age_ms: millis(letter.age),
            bytes: letter.bytes as u64,
            is_replayable: letter.is_replayable,
        }
    }
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

impl Handler<ListDeadLetters> for NodeActor {
    async fn handle(&mut self, _: ListDeadLetters, _: &mut Context<Self>) -> DeadLetterTable {
        let dead = self.mesh.dead_letters();
        let letters = dead.list().into_iter().map(DeadLetterRow::from).collect();
        DeadLetterTable { letters, count: dead.count() }
    }
}

/// Sends a dead letter to its actor again, which may have been restarted since.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReplayDeadLetter {
    /// Its number.
    pub id: u64,
}

impl Message for ReplayDeadLetter {
    type Reply = Result<(), Failure>;
}

impl WireMessage for ReplayDeadLetter {
    const KIND: &'static str = "mesh.replay_dead_letter.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl Handler<ReplayDeadLetter> for NodeActor {
    async fn handle(&mut self, replay: ReplayDeadLetter, _: &mut Context<Self>) -> Result<(), Failure> {
        let here = self.mesh.node_name();
        let replayed = self.mesh.dead_letters().replay(replay.id);
        replayed.map_err(|error| match error {
            ReplayError::Refused(error) => failure_of(&error, &here),
            error => {
                let path = format!("{here}/{}", super::NAME);
                let (kind, reason) = (ReplayDeadLetter::KIND.to_owned(), error.to_string());
                failure_of(&AskError::BadMessage { path, kind, reason }, &here)
            }
        })
    }
}
