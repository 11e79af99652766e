//! The peer as one to whom replies are owed.

use super::{Running, Session, unread};
use crate::{
    channel::write_frame,
    frames::Origin,
    parking::{Owner, Parking},
    stream_out::StreamOut,
};
use bytes::Bytes;
use mesh_proto::{
    EncodeError,
    frame::{Features, INLINE_BYTES_MAX, MESSAGE_BYTES_MAX, Outcome, ReplyHeader},
};
use std::sync::Arc;

impl Origin for Session {
    fn node(&self) -> Option<&Arc<str>> {
        Some(&self.peer.name)
    }

    fn answer(
        &self,
        mut header: ReplyHeader,
        write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let (mut large, mut is_unread) = (None, false);
        let written = self.replies.push_always(|buffer| {
            let before = buffer.len();
            // What tells of an end is short, and goes in any case.
            if before > unread::UNREAD_BYTES_MAX && header.outcome != Outcome::Failure {
                is_unread = true;
                return Ok(());
            }
            let written = write_frame(buffer, |buffer| {
                header.encode(buffer);
                let start = buffer.len();
                write(buffer)?;
                if buffer.len() - start > INLINE_BYTES_MAX {
                    large = Some(Bytes::from(buffer.split_off(start)));
                }
                Ok(())
            });
            if written.is_err() || large.is_some() {
                buffer.truncate(before);
            }
            written
        });
        // A closed outbox has nobody at its end: the asker already knows.
        written.unwrap_or(Ok(()))?;
        if is_unread {
            return self.refuse_unread(header.outcome);
        }
        let Some(payload) = large else { return Ok(()) };
        if payload.len() > MESSAGE_BYTES_MAX {
            let reason = format!("{} bytes are more than the {MESSAGE_BYTES_MAX} of a reply", payload.len());
            return Err(EncodeError { reason });
        }
        let Some(claim) = self.unread.claim(payload.len()) else {
            return self.refuse_unread(header.outcome);
        };
        header.body = Some(self.send_body_held(payload, Some(claim)));
        let _ = self.replies.push_always(|buffer| write_frame(buffer, |buffer| header.encode(buffer)));
        Ok(())
    }

    fn begin(&self, correlation: u64, stream: Arc<StreamOut>) {
        self.running.lock().insert(correlation, Running::Here(Arc::clone(&stream)));
        // In this order: a withdrawal that comes now finds the ask in one of the two.
        if self.withdrawn.take(correlation) {
            self.forget(correlation);
            stream.withdraw();
        } else if self.detached.take(correlation) || self.is_closed() {
            self.forget(correlation);
            stream.lost();
        }
    }

    fn end(&self, correlation: u64) {
        self.forget(correlation);
    }

    fn is_withdrawn(&self, correlation: u64) -> bool {
        self.withdrawn.take(correlation)
    }

    fn is_over(&self) -> bool {
        self.is_closed()
    }

    fn keeper(&self) -> Option<(Owner, Arc<Parking>)> {
        let parking = &self.shared.parking;
        let keeps = parking.is_open() && self.peer.knows(Features::REATTACHES);
        keeps.then(|| (self.owner(), Arc::clone(parking)))
    }

    fn here(&self) -> &str {
        &self.shared.me.name
    }
}
