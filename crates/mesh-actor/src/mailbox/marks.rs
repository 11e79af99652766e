//! High and low watermark.

use super::weight::Weight;

/// Whether a mailbox is nearly full: from 80 % on, until it is down to 30 %, on either side of its bound.
///
/// The gap keeps the answer from flapping with every message.
#[derive(Debug)]
pub(super) struct Marks {
    high: Weight,
    low: Weight,
    is_high: bool,
}

impl Marks {
    pub(super) fn new(capacity: Weight) -> Self {
        Self { high: share(capacity, 8), low: share(capacity, 3), is_high: false }
    }

    pub(super) fn is_high(&self) -> bool {
        self.is_high
    }

    pub(super) fn rose(&mut self, queued: Weight) {
        if queued.messages >= self.high.messages || queued.bytes >= self.high.bytes {
            self.is_high = true;
        }
    }

    pub(super) fn fell(&mut self, queued: Weight) {
        if queued.fits_in(self.low) {
            self.is_high = false;
        }
    }
}

fn share(capacity: Weight, tenths: u32) -> Weight {
    Weight {
        messages: (capacity.messages / 10).saturating_mul(tenths) + capacity.messages % 10 * tenths / 10,
        bytes: (capacity.bytes / 10).saturating_mul(tenths as usize)
            + capacity.bytes % 10 * tenths as usize / 10,
    }
}
