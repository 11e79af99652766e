//! What one call may use.

use super::{Cost, Limiter};

/// What one call may use, and its place among those under way.
///
/// Dropped, it gives everything back: the call was not made. A call that was made tells what it really used by
/// [`settle`](Self::settle), or, when nobody knows, by [`keep`](Self::keep).
#[derive(Debug)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    limiter: Limiter,
    reserved: Cost,
    used: Cost,
}

impl Reservation {
    pub(super) fn new(limiter: Limiter, reserved: Cost) -> Self {
        Self { limiter, reserved, used: Cost::default() }
    }

    /// What is reserved.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.reserved
    }

    /// The call is over, and used this, the request itself included. What is above the reservation is owed, and slows the calls after it; what is
    /// below is given back.
    pub fn settle(mut self, used: Cost) {
        self.used = used;
    }

    /// The call is over, and counts as it was reserved.
    pub fn keep(self) {
        let reserved = self.reserved;
        self.settle(reserved);
    }

    /// From now on it counts as it was reserved even when it is dropped, since the call has been sent: a caller that
    /// is cancelled then has used what the target worked for it.
    pub fn sent(mut self) -> Self {
        self.used = self.reserved;
        self
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.limiter.settle(&self.reserved, &self.used);
    }
}
