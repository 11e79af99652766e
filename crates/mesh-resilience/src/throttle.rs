//! Streams that yield no faster than a rate.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::Check;
use crate::{ConfigError, Rate};

impl Rate {
    /// So many a second, one at a time.
    #[must_use]
    pub const fn per_second(amount: u64) -> Self {
        Self::new(amount, Duration::from_secs(1), 1)
    }
}

/// Ten a second, one at a time: what a person can follow.
impl Default for Rate {
    fn default() -> Self {
        Self::per_second(10)
    }
}

/// The items of `source`, no faster than `rate`; [`Rate::default`] is ten a second.
///
/// A slow source is not slowed further: while the next item's moment has not come it is fetched already, so at most one
/// item is held, and one that comes late is yielded at once. The end is told at once.
///
/// ```
/// use futures::StreamExt;
/// use mesh_resilience::{Rate, throttle};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// let calm = throttle(futures::stream::iter(1..=3), Rate::default())?;
/// assert_eq!(calm.collect::<Vec<_>>().await, [1, 2, 3]);
/// # Ok::<(), mesh_resilience::ConfigError>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`ConfigError`]: the rate cannot be used.
pub fn throttle<S: Stream>(source: S, rate: Rate) -> Result<Throttle<S>, ConfigError> {
    let mut check = Check::default();
    rate.check("rate", &mut check);
    check.done()?;
    let now = Instant::now();
    Ok(Throttle { source, pacer: Pacer::new(rate, now), held: None, clock: sleep_until(now) })
}

pin_project! {
    /// A stream that yields no faster than a rate; see [`throttle`].
    pub struct Throttle<S: Stream> {
        #[pin]
        source: S,
        pacer: Pacer,
        held: Option<S::Item>,
        #[pin]
        clock: Sleep,
    }
}

impl<S: Stream> Stream for Throttle<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if this.held.is_none() {
            let Some(item) = ready!(this.source.poll_next(cx)) else { return Poll::Ready(None) };
            *this.held = Some(item);
            this.clock.as_mut().reset(this.pacer.next_at());
        }
        ready!(this.clock.poll(cx));
        this.pacer.yielded(Instant::now());
        Poll::Ready(this.held.take())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.held.is_some());
        let (least, most) = self.source.size_hint();
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }
}

impl<S: Stream> fmt::Debug for Throttle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("pacer", &self.pacer).finish_non_exhaustive()
    }
}

/// When the next item may be yielded: the virtual schedule of the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug)]
struct Pacer {
    interval: Duration,
    /// How far items may run ahead of an even schedule.
    slack: Duration,
    due: Instant,
}

impl Pacer {
    fn new(rate: Rate, now: Instant) -> Self {
        let nanos = rate.per.as_nanos().div_ceil(u128::from(rate.amount));
        let interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let ahead = u32::try_from(rate.burst - 1).unwrap_or(u32::MAX);
        // More than a period ahead of the schedule is more than anybody means.
        let slack =
            interval.checked_mul(ahead).unwrap_or(Duration::MAX).min(Duration::from_secs(31 * 86_400));
        Self { interval, slack, due: now }
    }

    fn next_at(&self) -> Instant {
        self.due.checked_sub(self.slack).unwrap_or(self.due)
    }

    fn yielded(&mut self, now: Instant) {
        self.due = self.due.max(now) + self.interval;
    }
}
