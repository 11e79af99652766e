//! Control frames that are many.

use super::Session;
use mesh_proto::frame::Control;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::sleep;

/// Frames that go at once: each has 64 KiB at most and mostly 16, and a peer is cut off when 8 MiB of them wait.
const FRAMES: usize = 64;

/// The next ones go when fewer bytes than this wait: 1 MiB.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

impl Session {
    /// Sends control frames in their order: a few at once, and the others as those are on their way, so that credit and
    /// cancellation never stand behind all of them. While some wait, more of the kind are not sent: whoever needs them asks again.
    pub(crate) fn control_many(&self, frames: Vec<Control>) {
        if self.is_bursting.load(Ordering::Acquire) {
            return;
        }
        if frames.len() <= FRAMES {
            return frames.iter().for_each(|frame| self.control(frame));
        }
        let Some(session) = self.me.upgrade() else { return };
        self.is_bursting.store(true, Ordering::Release);
        self.spawn(async move {
            for part in frames.chunks(FRAMES) {
                while session.control.len() > WAITING_BYTES_MAX {
                    sleep(LOOK).await;
                }
                part.iter().for_each(|frame| session.control(frame));
            }
            session.is_bursting.store(false, Ordering::Release);
        });
    }
}
