//! Messages with an id: each runs once, and is answered alike however often it comes.

use super::{RemoteParcel, encode};
use crate::{
    dedup::{MessageId, Reply, Seen},
    frames::Frame,
};
use mesh_actor::Actor;
use mesh_proto::frame::{Outcome, ReplyHeader};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio::time::Instant;

/// A message that must not run twice: its id, and a hash of what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once {
    id: MessageId,
    message: u64,
}

/// A message that was answered without running.
pub(super) struct AlreadyRan;

/// What tells two messages apart that claim one id.
fn hash_of(frame: &Frame, message: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (frame.kind, message).hash(&mut hasher);
    hasher.finish()
}

impl<A: Actor> RemoteParcel<A> {
    /// Whether a message runs, and under which id; one that has run already is answered as it was then.
    #[inline]
    pub(super) fn first_time(&self, frame: &Frame) -> Result<Option<Once>, AlreadyRan> {
        if frame.content.has_id() { self.first_of_its_id(frame).map(Some) } else { Ok(None) }
    }

    fn first_of_its_id(&self, frame: &Frame) -> Result<Once, AlreadyRan> {
        let Some((id, message)) = MessageId::split(self.frames.payload(frame)) else {
            self.refuse_bad(frame, "message", "it ends within its id".to_owned());
            return Err(AlreadyRan);
        };
        let message = hash_of(frame, message);
        let seen = self.answers.lock().seen(id, message, Instant::now());
        match seen {
            Seen::Never => return Ok(Once { id, message }),
            Seen::Answered(reply) => self.answer(frame, &reply),
            Seen::Forgotten => {
                let reason = "it ran before, and its reply was too large to be kept".to_owned();
                self.refuse_bad(frame, "reply", reason);
            }
            Seen::Another => self.refuse_bad(frame, "message", "its id was another message's".to_owned()),
        }
        Err(AlreadyRan)
    }

    /// Answers a message with an id, and notes the answer for when it comes again.
    pub(super) fn reply_once<R: Serialize>(&self, frame: &Frame, once: Once, reply: &R) {
        let (content, mut payload) = (frame.content.encoding(), Vec::new());
        if let Err(error) = encode(content, reply, &mut payload) {
            return self.refuse_bad(frame, "reply", error.reason);
        }
        let reply = Reply { outcome: Outcome::Reply, content, payload };
        self.answer(frame, &reply);
        self.answers.lock().note(once.id, once.message, reply, Instant::now());
    }

    fn answer(&self, frame: &Frame, reply: &Reply) {
        if frame.correlation == 0 {
            return;
        }
        let Reply { outcome, content, payload } = reply;
        let header =
            ReplyHeader { correlation: frame.correlation, outcome: *outcome, content: *content, body: None };
        let written = self.frames.origin().answer(header, &mut |buffer| {
            buffer.extend_from_slice(payload);
            Ok(())
        });
        if let Err(error) = written {
            self.refuse_bad(frame, "reply", error.reason);
        }
    }
}
