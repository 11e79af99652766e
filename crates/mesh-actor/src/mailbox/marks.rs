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
    /// What was told last.
    told_high: bool,
    changes: u64,
}

/// The mailbox is on the other side of its marks than was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crossing {
    pub(super) is_high: bool,
    pub(super) change: u64,
    pub(super) len: u32,
}

impl Marks {
    pub(super) fn new(capacity: Weight) -> Self {
        let (high, low) = (share(capacity, 8), share(capacity, 3));
        Self { high, low, is_high: false, told_high: false, changes: 0 }
    }

    pub(super) fn is_high(&self) -> bool {
        self.is_high
    }

    /// How often the mailbox was nearly full, as far as that was told.
    pub(super) fn times_high(&self) -> u64 {
        self.changes.div_ceil(2)
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

    /// What there is to tell since the last call, which is nothing but for one call in many.
    #[inline]
    pub(super) fn crossing(&mut self, len: u32) -> Option<Crossing> {
        if self.is_high == self.told_high {
            return None;
        }
        self.told_high = self.is_high;
        self.changes += 1;
        Some(Crossing { is_high: self.is_high, change: self.changes, len })
    }
}

fn share(capacity: Weight, tenths: u32) -> Weight {
    Weight {
        messages: (capacity.messages / 10).saturating_mul(tenths) + capacity.messages % 10 * tenths / 10,
        bytes: (capacity.bytes / 10).saturating_mul(tenths as usize)
            + capacity.bytes % 10 * tenths as usize / 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(messages: u32) -> Weight {
        Weight { messages, bytes: 0 }
    }

    #[test]
    fn between_the_marks_nothing_is_told() {
        let mut marks = Marks::new(Weight { messages: 10, bytes: 1_000 });
        let mut told = Vec::new();
        for (len, is_push) in
            [(7, true), (8, true), (9, true), (4, false), (8, true), (3, false), (7, true), (8, true)]
        {
            if is_push {
                marks.rose(queued(len))
            } else {
                marks.fell(queued(len))
            }
            told.extend(marks.crossing(len).map(|crossing| (crossing.is_high, crossing.change, len)));
        }
        assert_eq!(told, [(true, 1, 8), (false, 2, 3), (true, 3, 8)]);
        assert_eq!(marks.times_high(), 2);
    }

    #[test]
    fn what_is_over_before_it_was_told_is_not_told() {
        let mut marks = Marks::new(Weight { messages: 1, bytes: 1_000 });
        marks.rose(queued(1));
        assert!(marks.crossing(1).is_some());
        // A mailbox of one that drops its oldest for each that comes.
        marks.fell(queued(0));
        marks.rose(queued(1));
        assert_eq!(marks.crossing(1), None);
    }
}
