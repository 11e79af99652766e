//! The answer of a stream, read by who does not know its types.

use super::{Sent, late, reply_of, text};
use crate::{
    failure::failure_of,
    pending::Answer,
    remote::{Granting, within},
};
use bytes::Bytes;
use mesh_proto::{Failure, frame::Outcome};
use std::fmt;
use tokio::{sync::mpsc, time::Instant};

/// One part of a stream's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonItem {
    /// An item; more may follow.
    Item(String),
    /// The reply at the end.
    Reply(String),
}

/// A stream of JSON. Dropping it withdraws the ask.
pub struct JsonStream {
    pub(super) answers: mpsc::Receiver<Answer>,
    pub(super) sent: Sent,
    pub(super) granting: Granting,
    pub(super) deadline: Option<Instant>,
    pub(super) started: Instant,
    pub(super) path: String,
    pub(super) here: String,
    pub(super) is_over: bool,
}

impl JsonStream {
    /// The next part; `None` after the reply or a failure.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing that came is lost.
    pub async fn next(&mut self) -> Option<Result<JsonItem, Failure>> {
        Some(self.next_part().await?.map(|part| match part {
            Part::Item(payload) => JsonItem::Item(text(&payload)),
            Part::Reply(payload) => JsonItem::Reply(text(&payload)),
        }))
    }

    /// As [`next`](Self::next), as it came.
    pub(crate) async fn next_part(&mut self) -> Option<Result<Part, Failure>> {
        if self.is_over {
            return None;
        }
        let waits = async { Ok(self.answers.recv().await.unwrap_or(Answer::Lost)) };
        let deadline = self.deadline;
        let late = || late(&self.path, self.started, deadline.unwrap_or(self.started), true);
        let answer = match within(deadline, waits, late).await {
            Ok(answer) => answer,
            Err(error) => {
                self.is_over = true;
                return Some(Err(failure_of(&error, &self.here)));
            }
        };
        if let Answer::Frame { outcome: Outcome::Item, payload, .. } = &answer {
            let granted = self.granting.read(payload.len());
            if let Some(granted) = granted {
                self.sent.grant(granted);
            }
            return Some(Ok(Part::Item(payload.clone())));
        }
        self.is_over = true;
        self.sent.answered();
        Some(reply_of(answer, &self.sent.unreachable(), &self.here).map(Part::Reply))
    }
}

/// One part of a stream's answer, as bytes.
pub(crate) enum Part {
    Item(Bytes),
    Reply(Bytes),
}

impl fmt::Debug for JsonStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonStream").field("path", &self.path).finish_non_exhaustive()
    }
}
