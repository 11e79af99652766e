//! Reads replies, and hands each to whoever asked.

use super::{Session, body::BodyFor};
use crate::{
    frames::Origin,
    pending::{Answer, Waiter},
};
use bytes::{BufMut, Bytes};
use mesh_net::{FrameReader, RecvHalf};
use mesh_proto::frame::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, Outcome, ReplyHeader};
use std::sync::Arc;

impl Session {
    pub(super) async fn read_replies(self: Arc<Self>, mut receive: RecvHalf, rest: Bytes) {
        let mut reader = FrameReader::new(FRAME_BYTES_MAX);
        let mut chunks: [Bytes; 32] = std::array::from_fn(|_| Bytes::new());
        chunks[0] = rest;
        let mut count = 1;
        loop {
            for chunk in &mut chunks[..count] {
                let chunk = std::mem::take(chunk);
                let mut wrong = None;
                let read = reader.feed(&chunk, |frame| {
                    if let Err(error) = self.reply_frame(&frame) {
                        wrong.get_or_insert(error);
                    }
                });
                let wrong = read.err().map(|error| error.to_string()).or(wrong);
                if let Some(wrong) = wrong {
                    return self.violation(&wrong);
                }
            }
            match receive.read_chunks(&mut chunks).await {
                Ok(Some(read)) => count = read,
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn reply_frame(self: &Arc<Self>, frame: &mesh_net::Frame<'_>) -> Result<(), String> {
        let bytes = frame.bytes();
        let (header, taken) = ReplyHeader::decode(bytes).map_err(|error| error.to_string())?;
        match header.body {
            None => self.on_reply(header, Bytes::copy_from_slice(&bytes[taken..])),
            Some(body) => {
                let is_sound = taken == bytes.len()
                    && header.outcome != Outcome::Item
                    && body.bytes as usize <= MESSAGE_BYTES_MAX;
                if !is_sound {
                    return Err("a reply's body is wrong".to_owned());
                }
                self.expect(body, BodyFor::Reply(header));
            }
        }
        Ok(())
    }

    /// A reply that nobody waits for any more is dropped.
    pub(super) fn on_reply(&self, header: ReplyHeader, payload: Bytes) {
        let answer = Answer::Frame { outcome: header.outcome, content: header.content, payload };
        if header.outcome == Outcome::Item {
            self.pending.with(header.correlation, |waiter| match waiter {
                Waiter::Stream(stream) => stream.on_item(answer),
                Waiter::Relay { to, correlation } => pass_on(to, *correlation, answer),
                Waiter::Ask(_) => {}
            });
            return;
        }
        match self.pending.take(header.correlation) {
            Some(Waiter::Ask(asker)) => drop(asker.send(answer)),
            Some(Waiter::Stream(stream)) => stream.on_end(answer),
            Some(Waiter::Relay { to, correlation }) => {
                to.forget(correlation);
                pass_on(&to, correlation, answer);
            }
            None => {}
        }
    }
}

fn pass_on(to: &Arc<Session>, correlation: u64, answer: Answer) {
    let Answer::Frame { outcome, content, payload } = answer else { return };
    let header = ReplyHeader { correlation, outcome, content, body: None };
    let sent = to.answer(header, &mut |buffer| {
        buffer.put_slice(&payload);
        Ok(())
    });
    if let Err(error) = sent {
        let failure = crate::failure::bad_message("", "reply", error.reason, to.here());
        crate::frames::refuse(&**to, correlation, &failure);
    }
}
