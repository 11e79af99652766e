//! Mailboxes that become nearly full, for whoever listens.

use tokio::sync::broadcast;

/// News that a slow listener may be behind.
const NEWS_MAX: usize = 256;

/// A mailbox became nearly full, or is so no more: at 80 % of its bound, in messages or in bytes, and not before it is down
/// to 30 % of both.
///
/// Whoever feeds it can send less before anybody has to wait, and add others who take from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watermark {
    /// The actor's number in this process.
    pub serial: u64,
    /// The name of its spec.
    pub path: String,
    /// Whether it is nearly full now.
    pub is_high: bool,
    /// Which change of this mailbox it is, counted up from 1. Two that follow at once from different threads may be heard
    /// the other way round; the larger number is the later.
    pub change: u64,
    /// Messages queued.
    pub len: u32,
    /// Messages that fit.
    pub capacity: u32,
}

/// Where they come from; without listeners they are not made.
pub(crate) struct Watermarks(broadcast::Sender<Watermark>);

impl Watermarks {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(NEWS_MAX))
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Watermark> {
        self.0.subscribe()
    }

    pub(crate) fn tell(&self, news: impl FnOnce() -> Watermark) {
        if self.0.receiver_count() > 0 {
            // The last listener may have just gone.
            let _ = self.0.send(news());
        }
    }
}
