//! What is told of a run while it goes on.

use std::time::Duration;

use mesh::{Message, Topic, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Receiver;

use crate::durable::RunContext;
use crate::pieces::pieces;

/// Text in one message. An envelope takes 64 KiB.
const PIECE_BYTES_MAX: usize = 16 << 10;
/// How long one who listens may keep a turn from ending.
const PATIENCE: Duration = Duration::from_millis(500);

/// What an assistant says and does, as it happens, on the topic `runs/RUN`: `assistant.said.v1`.
///
/// It is for those who watch: nobody is waited for, a step that is executed again says it again, and what counts is in the
/// run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssistantSaid {
    /// The run.
    pub run: String,
    /// The step of the run, from 0.
    pub step: u64,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// What is said or done.
    pub what: Saying,
}

/// What is said or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Saying {
    /// The model has begun to answer.
    Began {
        /// Its name, as its server gives it.
        model: String,
    },
    /// The next piece of what it says; at most 16 KiB.
    Text {
        /// How many bytes of the turn's text stand before it: more than there were, if a piece was missed.
        at: u64,
        /// The piece.
        text: String,
    },
    /// A tool is called.
    Calls {
        /// Which tool.
        tool: String,
        /// The call's key in the run's ledger.
        key: String,
    },
    /// A call has ended.
    Brought {
        /// Which tool.
        tool: String,
        /// The call's key in the run's ledger.
        key: String,
        /// Whether it did what it was asked.
        is_ok: bool,
    },
}

impl Message for AssistantSaid {
    type Reply = ();
}

impl WireMessage for AssistantSaid {
    const KIND: &'static str = "assistant.said.v1";
}

/// The way to those who watch a run.
pub(super) struct Voice {
    topic: Option<Topic<AssistantSaid>>,
    run: String,
    step: u64,
    attempt: u32,
}

impl Voice {
    pub(super) fn of(cx: &RunContext) -> Self {
        let run = cx.run().to_string();
        // A run on no mesh, or whose id is no topic's name, is not told of.
        let topic = cx.mesh().and_then(|mesh| mesh.topic(&format!("runs/{run}")).ok());
        Self { topic, run, step: cx.step().unwrap_or(0), attempt: cx.attempt() }
    }

    /// Tells one thing.
    pub(super) async fn say(&self, what: Saying) {
        let Some(topic) = &self.topic else { return };
        let said = AssistantSaid { run: self.run.clone(), step: self.step, attempt: self.attempt, what };
        if let Err(error) = topic.try_publish(said).timeout(PATIENCE).await {
            tracing::debug!(run = self.run, %error, "what an assistant says is not told");
        }
    }

    /// Tells all that comes, joined to few messages where much has come.
    pub(super) async fn tell(&self, mut coming: Receiver<Saying>) {
        let mut next = coming.recv().await;
        while let Some(said) = next.take() {
            let Saying::Text { at, mut text } = said else {
                self.say(said).await;
                next = coming.recv().await;
                continue;
            };
            while text.len() < PIECE_BYTES_MAX {
                match coming.try_recv() {
                    Ok(Saying::Text { at: more_at, text: more }) if more_at == at + text.len() as u64 => {
                        text.push_str(&more);
                    }
                    other => {
                        next = other.ok();
                        break;
                    }
                }
            }
            self.say_text(at, &text).await;
            if next.is_none() {
                next = coming.recv().await;
            }
        }
    }

    async fn say_text(&self, mut at: u64, text: &str) {
        for piece in pieces(text, PIECE_BYTES_MAX) {
            self.say(Saying::Text { at, text: piece.to_owned() }).await;
            at += piece.len() as u64;
        }
    }
}
