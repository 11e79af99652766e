//! What an actor has answered to messages that carry an id, so that the same message again does not run again.

use mesh_proto::frame::{Content, Outcome};
use std::collections::{HashMap, VecDeque};
use tokio::time::{Duration, Instant};

/// Ids that are remembered for one actor: 4,096, the latest.
const IDS_MAX: usize = 4096;

/// Bytes of replies that are remembered for one actor: 1 MiB.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// How long an id is remembered: 10 min. A sender that tries again later than that may make the message run again.
const REMEMBERED: Duration = Duration::from_secs(600);

/// An id that its sender has chosen: 128 bits, new for each message, the same each time it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(u128);

impl MessageId {
    /// The id with these bits. Take them from a source that never gives the same twice, as a UUID is.
    #[must_use]
    pub fn new(bits: u128) -> Self {
        Self(bits)
    }

    pub(crate) const BYTES: usize = 16;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_le_bytes()
    }

    pub(crate) fn bits(self) -> u128 {
        self.0
    }

    /// Splits a payload into its id and the message.
    pub(crate) fn split(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (id, message) = payload.split_first_chunk()?;
        Some((Self(u128::from_le_bytes(*id)), message))
    }
}

/// The answers that one actor has given, by the ids of the messages. It outlives the actor's restarts.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    by_id: HashMap<MessageId, Given>,
    /// The ids in the order in which they were answered.
    order: VecDeque<(Instant, MessageId)>,
    bytes: usize,
}

#[derive(Debug)]
struct Given {
    message: u64,
    reply: Option<Reply>,
}

/// A reply as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) outcome: Outcome,
    pub(crate) content: Content,
    pub(crate) payload: Vec<u8>,
}

/// What is to be done with a message that carries an id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It runs.
    Never,
    /// It ran: this was the reply.
    Answered(Reply),
    /// It ran, and the reply was too large to be kept.
    Forgotten,
    /// Another message had this id.
    Another,
}

impl Answers {
    /// Looks for the message with this hash.
    pub(crate) fn seen(&mut self, id: MessageId, message: u64, now: Instant) -> Seen {
        self.expire(now);
        match self.by_id.get(&id) {
            None => Seen::Never,
            Some(given) if given.message != message => Seen::Another,
            Some(Given { reply: Some(reply), .. }) => Seen::Answered(reply.clone()),
            Some(Given { reply: None, .. }) => Seen::Forgotten,
        }
    }

    /// Notes the reply to a message that has run.
    pub(crate) fn note(&mut self, id: MessageId, message: u64, reply: Reply, now: Instant) {
        let bytes = reply.payload.len();
        let reply = (bytes <= REPLY_BYTES_MAX / 16).then_some(reply);
        self.bytes += reply.as_ref().map_or(0, |reply| reply.payload.len());
        self.by_id.insert(id, Given { message, reply });
        self.order.push_back((now, id));
        while self.order.len() > IDS_MAX || self.bytes > REPLY_BYTES_MAX {
            self.forget_oldest();
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.duration_since(*at) > REMEMBERED) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, id)) = self.order.pop_front() else { return };
        let given = self.by_id.remove(&id);
        let reply = given.and_then(|given| given.reply);
        self.bytes -= reply.map_or(0, |reply| reply.payload.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(bytes: usize) -> Reply {
        Reply { outcome: Outcome::Reply, content: Content::Bincode, payload: vec![1; bytes] }
    }

    #[test]
    fn a_message_is_answered_anew_until_it_is_forgotten() {
        let (mut answers, id, now) = (Answers::default(), MessageId::new(7), Instant::now());
        assert_eq!(answers.seen(id, 1, now), Seen::Never);
        answers.note(id, 1, reply(3), now);
        assert_eq!(answers.seen(id, 1, now), Seen::Answered(reply(3)));
        assert_eq!(answers.seen(id, 2, now), Seen::Another, "the id does not fit another message");
        let later = now + REMEMBERED + Duration::from_secs(1);
        assert_eq!(answers.seen(id, 1, later), Seen::Never);
        assert_eq!(answers.bytes, 0);
    }

    #[test]
    fn what_is_remembered_is_bounded_in_ids_and_in_bytes() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        for id in 0..IDS_MAX as u128 + 10 {
            answers.note(MessageId::new(id), 1, reply(0), now);
        }
        assert_eq!(answers.by_id.len(), IDS_MAX);
        assert_eq!(answers.seen(MessageId::new(9), 1, now), Seen::Never, "the oldest is forgotten first");
        for id in 0..64 {
            answers.note(MessageId::new(1 << 64 | id), 1, reply(REPLY_BYTES_MAX / 16), now);
        }
        assert!(answers.bytes <= REPLY_BYTES_MAX);
        answers.note(MessageId::new(3 << 64), 1, reply(REPLY_BYTES_MAX / 16 + 1), now);
        assert_eq!(answers.seen(MessageId::new(3 << 64), 1, now), Seen::Forgotten);
    }

    #[test]
    fn an_id_stands_before_the_message() {
        let mut payload = MessageId::new(0x0102).to_bytes().to_vec();
        payload.extend_from_slice(b"rest");
        assert_eq!(MessageId::split(&payload), Some((MessageId::new(0x0102), &b"rest"[..])));
        assert_eq!(MessageId::split(&payload[..15]), None);
    }
}
