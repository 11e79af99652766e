//! One token bucket, in whole numbers.

use std::time::Duration;

use tokio::time::Instant;

use super::Rate;

/// One token bucket. Its level is counted in units times the nanoseconds of its period, so that nothing is ever
/// rounded; it falls below nothing when more was used than was reserved, and is paid back first.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    whole: Rate,
    /// What refills it in one period, and how much fits in: the whole rate, or a share of it.
    amount: u64,
    burst: u64,
    period: i128,
    level: i128,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        let period = i128::try_from(rate.per.as_nanos()).unwrap_or(i128::MAX);
        let (amount, burst) = (rate.amount, rate.burst);
        let mut bucket = Self { whole: rate, amount, burst, period, level: 0, at: now };
        bucket.level = bucket.full();
        bucket
    }

    fn full(&self) -> i128 {
        self.scaled(u128::from(self.burst))
    }

    fn scaled(&self, units: u128) -> i128 {
        i128::try_from(units).unwrap_or(i128::MAX).saturating_mul(self.period)
    }

    pub(super) fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_nanos();
        let more = i128::try_from(elapsed).unwrap_or(i128::MAX).saturating_mul(i128::from(self.amount));
        self.at = now.max(self.at);
        self.raise(more);
    }

    fn raise(&mut self, more: i128) {
        self.level = self.level.saturating_add(more).min(self.full());
    }

    /// From now on so much of the whole rate, and as large a part of its burst.
    pub(super) fn set_amount(&mut self, amount: u64) {
        let burst = u128::from(self.whole.burst) * u128::from(amount) / u128::from(self.whole.amount.max(1));
        self.amount = amount;
        self.burst = u64::try_from(burst).unwrap_or(u64::MAX).min(self.whole.burst);
        self.raise(0);
    }

    pub(super) fn take(&mut self, units: u64) {
        self.level = self.level.saturating_sub(self.scaled(u128::from(units)));
    }

    /// Of `reserved` units so many were used. More are owed, and fewer give back.
    pub(super) fn settle(&mut self, reserved: u64, used: u64) {
        self.take(used.saturating_sub(reserved));
        self.raise(self.scaled(u128::from(reserved.saturating_sub(used))));
    }

    /// No more than this is left, as the target itself says.
    pub(super) fn lower_to(&mut self, units: u64) {
        self.level = self.level.min(self.scaled(u128::from(units)));
    }

    /// The most that one call may use.
    pub(super) fn most(&self) -> u64 {
        self.whole.burst
    }

    /// The whole rate, and what of it may be used here.
    pub(super) fn amounts(&self) -> (u64, u64) {
        (self.whole.amount, self.amount)
    }

    /// How long until `units` are there behind `ahead` others; `None` where that is not in sight.
    ///
    /// A node's share of a burst may be less than what one call needs. Such a call waits for a full bucket, and leaves
    /// it in debt.
    pub(super) fn ready_in(&self, ahead: u128, units: u64) -> Option<Duration> {
        if units == 0 {
            return Some(Duration::ZERO);
        }
        let needed = self.scaled(ahead).saturating_add(self.scaled(u128::from(units.min(self.burst))));
        let missing = needed.saturating_sub(self.level);
        if missing <= 0 && self.amount > 0 {
            return Some(Duration::ZERO);
        }
        let amount = i128::from(self.amount);
        let nanos = missing.saturating_add(amount - 1).checked_div(amount)?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// What is there, in whole units.
    pub(super) fn available(&self) -> u64 {
        u64::try_from(self.level.max(0) / self.period.max(1)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is let through in any stretch of time is at most the burst and what the rate gives in it.
        #[test]
        fn no_stretch_of_time_gives_more_than_burst_and_rate(
            amount in 1_u64..1_000,
            per_ms in 1_u64..5_000,
            burst in 1_u64..50,
            steps in prop::collection::vec((0_u64..2_000, 1_u64..50), 1..200),
        ) {
            let per = Duration::from_millis(per_ms);
            let mut now = Instant::now();
            let mut bucket = Bucket::new(Rate::new(amount, per, burst), now);
            let mut taken: Vec<(Instant, u64)> = vec![];
            for (ms, units) in steps {
                now += Duration::from_millis(ms);
                bucket.refill(now);
                let units = units.min(burst);
                match bucket.ready_in(0, units).unwrap() {
                    Duration::ZERO => {
                        bucket.take(units);
                        taken.push((now, units));
                    }
                    // A nanosecond before it is not there, and then it is.
                    pause => {
                        let mut then = bucket.clone();
                        then.refill(now + pause.checked_sub(Duration::from_nanos(1)).unwrap());
                        prop_assert!(then.ready_in(0, units) > Some(Duration::ZERO));
                        then.refill(now + pause);
                        prop_assert_eq!(then.ready_in(0, units), Some(Duration::ZERO));
                    }
                }
            }
            for (from, (begun, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (at, units) in &taken[from..] {
                    sum += units;
                    let given = (*at - *begun).as_nanos() * u128::from(amount);
                    prop_assert!(u128::from(sum - burst.min(sum)) * per.as_nanos() <= given);
                }
            }
        }
    }

    #[test]
    fn a_share_of_nothing_gives_nothing_and_a_small_share_gives_debt() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate::new(90, Duration::from_secs(1), 9), now);
        bucket.set_amount(0);
        assert_eq!(bucket.ready_in(0, 1), None);
        bucket.set_amount(10);
        bucket.refill(now + Duration::from_secs(1));
        assert_eq!((bucket.available(), bucket.ready_in(0, 9)), (1, Some(Duration::ZERO)));
        bucket.take(9);
        // 8 in debt, and 1 to be full.
        assert_eq!(bucket.ready_in(0, 9), Some(Duration::from_millis(900)));
    }
}
