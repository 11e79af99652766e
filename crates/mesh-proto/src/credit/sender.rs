//! The sender's half of a channel's credit.

use super::Weight;

/// What a sender may still send on one channel.
#[derive(Debug, Clone, Default)]
pub struct SenderCredit {
    granted: Weight,
    used: Weight,
    returned: Weight,
}

impl SenderCredit {
    /// Begins with the channel's first grant.
    #[must_use]
    pub fn new(granted: Weight) -> Self {
        Self { granted, ..Self::default() }
    }

    /// Credit that is neither used nor given back.
    #[must_use]
    #[inline]
    pub fn available(&self) -> Weight {
        self.granted.minus(self.used)
    }

    /// Charges a message, if there is credit for it.
    #[inline]
    pub fn try_charge(&mut self, weight: Weight) -> bool {
        let is_covered = self.available().covers(weight);
        if is_covered {
            self.used = self.used.plus(weight);
        }
        is_covered
    }

    /// Takes back the charge of a message that was never sent.
    pub fn refund(&mut self, weight: Weight) {
        self.used = self.used.minus(weight);
    }

    /// The sum of grants at which a message of this weight could be charged.
    #[must_use]
    pub fn until(&self, weight: Weight) -> Weight {
        self.used.plus(weight)
    }

    /// Takes as much of `upto` as there is, to be charged for messages that come later; answers how much.
    pub fn charge_up_to(&mut self, upto: Weight) -> Weight {
        let taken = self.available().min(upto);
        self.used = self.used.plus(taken);
        taken
    }

    /// Learns the sum of all grants. An older, smaller sum changes nothing.
    pub fn granted(&mut self, granted: Weight) {
        self.granted = self.granted.max(granted);
    }

    /// Gives all unused credit back; returns the sum of all that was ever given back.
    pub fn give_back(&mut self) -> Weight {
        let unused = self.available();
        self.used = self.used.plus(unused);
        self.returned = self.returned.plus(unused);
        self.returned
    }
}
