//! Dynamic callers in this process.

use crate::{
    frames::Origin,
    pending::{Answer, Waiter},
    shared::Shared,
    stream_out::{STREAM_WINDOW, StreamOut},
};
use mesh_proto::{
    EncodeError,
    credit::Weight,
    frame::{Outcome, ReplyHeader},
};
use std::sync::Arc;

/// Room that a reader in this process keeps granting as it reads: a quarter of the window at a time.
#[derive(Debug, Default)]
pub(super) struct Granting {
    read: Weight,
    granted: Weight,
}

impl Granting {
    /// An item of `bytes` was read; answers the sum of grants when it is time to say it.
    pub(super) fn read(&mut self, bytes: usize) -> Option<Weight> {
        self.read = self.read.plus(Weight { messages: 1, bytes: bytes as u64 });
        let unsaid = self.read.minus(self.granted);
        let is_due = unsaid.messages >= STREAM_WINDOW.messages / 4 || unsaid.bytes >= STREAM_WINDOW.bytes / 4;
        is_due.then(|| {
            self.granted = self.read;
            self.read.plus(STREAM_WINDOW)
        })
    }
}

/// Dynamic callers in this process, as an origin of messages.
pub(super) struct Here {
    pub(super) shared: Arc<Shared>,
}

impl Origin for Here {
    fn node(&self) -> Option<&Arc<str>> {
        None
    }

    fn answer(
        &self,
        header: ReplyHeader,
        write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut payload = Vec::new();
        write(&mut payload)?;
        let answer =
            Answer::Frame { outcome: header.outcome, content: header.content, payload: payload.into() };
        if header.outcome == Outcome::Item {
            self.shared.pending.with(header.correlation, |waiter| {
                if let Waiter::Stream(stream) = waiter {
                    stream.on_item(answer);
                }
            });
            return Ok(());
        }
        match self.shared.pending.take(header.correlation) {
            Some(Waiter::Ask(asker)) => drop(asker.send(answer)),
            Some(Waiter::Stream(stream)) => stream.on_end(answer),
            Some(Waiter::Relay { .. }) | None => {}
        }
        Ok(())
    }

    fn begin(&self, correlation: u64, stream: Arc<StreamOut>) {
        self.shared.running.lock().insert(correlation, Arc::clone(&stream));
        // The asker may have gone while its message waited in the mailbox.
        if self.shared.pending.with(correlation, |_| ()).is_none() {
            self.end(correlation);
            stream.cancel.cancel();
        }
    }

    fn end(&self, correlation: u64) {
        self.shared.running.lock().remove(&correlation);
    }

    fn is_withdrawn(&self, correlation: u64) -> bool {
        self.shared.pending.with(correlation, |_| ()).is_none()
    }

    fn here(&self) -> &str {
        &self.shared.me.name
    }
}
