//! Limits on what is used of a target: requests, tokens, money, and calls at once.
//!
//! ```text
//!   reserve(estimate) ──► queue: by priority, then arrival ──► Reservation ──► the call ──► settle(real usage)
//!        │                         ▲                               │
//!        └─ too late, too large:   │ penalize(retry_after):        └─ dropped: given back
//!           fails at once          │ all wait
//! ```
//!
//! What is used in any stretch of time is at most a burst, what the rate gives in it, and what was reserved before it
//! and given back in it: a reservation that turns out too large makes room for others afterwards.
//!
//! This module makes no calls and estimates nothing. It knows of one process; [`LeaseTable`] splits one limit among
//! many, and [`keep_leased`] has a limiter live on its part.

mod bucket;
mod config;
mod error;
mod ledger;
mod limiters;
mod queue;
mod reservation;
mod share;
mod table;
mod view;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

pub use config::{Cost, Limit, LimitConfig, Rate};
pub use error::LimitError;
pub use limiters::{Limiters, LimitersError};
pub use queue::Priority;
pub use reservation::Reservation;
pub use share::{Admission, Demand, Lease, Share, keep_leased};
pub use table::{LeaseConfig, LeaseError, LeaseTable};
pub use view::LimitView;

use self::ledger::{Ahead, Ledger, Shortfall};
use self::queue::Queue;
use self::share::Meter;
use self::waiting::{Look, Place};
use crate::{ConfigError, Deadline, Money};

/// The limits of one target under one key, shared by all who call it.
///
/// Clones are the same limiter.
///
/// ```
/// # use std::time::Duration;
/// use mesh_resilience::{Cost, Deadline, LimitConfig, Limiter, Priority, Rate};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let minute = Duration::from_secs(60);
/// let limiter = Limiter::new(LimitConfig {
///     requests: Some(Rate::new(50, minute, 5)),
///     output_tokens: Some(Rate::new(8_000, minute, 4_000)),
///     ..LimitConfig::default()
/// })?;
/// let deadline = Deadline::after(Duration::from_secs(10));
/// let reservation = limiter.reserve(Cost::tokens(900, 2_000), Priority::NORMAL, deadline).await?;
/// // … the call, which says what it used …
/// reservation.settle(Cost::tokens(903, 411));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

struct Shared {
    config: LimitConfig,
    state: Mutex<State>,
}

struct State {
    ledger: Ledger,
    queue: Queue,
    meter: Meter,
}

impl Limiter {
    /// A limiter that has seen no calls, and allows its bursts at once.
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn new(config: LimitConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let now = Instant::now();
        let (ledger, meter) = (Ledger::new(&config, now), Meter::new(&config, now));
        let state = State { ledger, queue: Queue::default(), meter };
        Ok(Self { shared: Arc::new(Shared { config, state: Mutex::new(state) }) })
    }

    /// A limiter that lives on shares, and allows nothing until the first one comes; see [`keep_leased`].
    ///
    /// # Errors
    /// [`ConfigError`]: the settings cannot be used.
    pub fn leased(config: LimitConfig) -> Result<Self, ConfigError> {
        let limiter = Self::new(config)?;
        let nothing = Lease { number: 0, share: Share::default(), spent: Money::ZERO, term: Duration::ZERO };
        limiter.set_share(&nothing, Instant::now());
        Ok(limiter)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &LimitConfig {
        &self.shared.config
    }

    /// Waits until `cost` may be used, behind those of a higher priority and those that came before.
    ///
    /// A caller at the front that needs much holds up those behind it that need little, or it would never get its
    /// turn; and a low priority waits for as long as there are higher ones.
    ///
    /// # Errors
    /// [`LimitError`]. It comes at once where the deadline cannot be met by what is known: what those ahead ask for,
    /// and how long the target wants to be left alone.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue, and reserves nothing.
    pub async fn reserve(
        &self,
        cost: Cost,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<Reservation, LimitError> {
        let mut place = match self.enter(cost, priority, &deadline)? {
            Entered::Passed(reservation) => return Ok(reservation),
            Entered::Queued(place) => place,
        };
        loop {
            match place.look(&deadline)? {
                Look::Passed(reservation) => return Ok(reservation),
                Look::Wait(until) => {
                    // Whether the bell rang or time is up, the next look finds out.
                    let _ = timeout_at(until, place.bell().notified()).await;
                }
            }
        }
    }

    /// Reserves `cost` if it may be used right now, and nobody waits for it who comes first.
    ///
    /// # Errors
    /// [`LimitError`], at once.
    pub fn try_reserve(&self, cost: Cost) -> Result<Reservation, LimitError> {
        let now = Instant::now();
        let mut state = self.at(now);
        state.meter.note(&cost);
        state.ledger.check(&cost)?;
        let key = state.queue.next_key(Priority::NORMAL);
        let ahead = state.queue.ahead(key);
        let short = state.ledger.shortfall(&cost, &ahead);
        state.meter.missed(&cost, short);
        if short.is_none() && state.queue.is_first(key) {
            return Ok(self.pass(&mut state, cost));
        }
        Err(not_in_time(short, Duration::ZERO))
    }

    /// The target answered 429, and wants to be left alone for `retry_after`: all wait, and those that cannot wait so
    /// long fail at once. Calls under way go on. Of two such demands the one that ends later holds, and more than a day
    /// is taken for a day.
    pub fn penalize(&self, retry_after: Duration) {
        let mut state = self.at(Instant::now());
        state.ledger.penalize(retry_after);
        state.queue.ring_all();
    }

    /// The target says that only `left` of this limit remain, as in the headers of its answers. Lowers what we thought
    /// was left; never raises it. For the limits of requests, tokens and money.
    pub fn lower_to(&self, limit: Limit, left: u64) {
        self.at(Instant::now()).ledger.lower_to(limit, left);
    }

    /// From now on this node may use the share of `lease`, which it asked for at `asked`, and when its term is over
    /// nothing, unless another comes.
    ///
    /// A share's burst is as large a part of the whole burst. A single call may exceed that (not the whole burst): it
    /// waits until this node's part is full, and what it used too much is paid back before the next.
    pub fn set_share(&self, lease: &Lease, asked: Instant) {
        let mut state = self.at(Instant::now());
        state.ledger.set_share(lease, asked + lease.term);
        state.queue.ring_all();
    }

    /// What was asked for since the last report, scaled to the limits' periods, and what was spent in all. Where calls
    /// had to wait for a limit it is twice that or twice the share, whichever is more, since nobody knows what callers
    /// would have asked for who waited.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let now = Instant::now();
        let mut guard = self.at(now);
        let state = &mut *guard;
        if let Some(first) = state.queue.first() {
            state.meter.missed(first, state.ledger.shortfall(first, &Ahead::default()));
        }
        state.meter.report(&state.ledger, state.queue.len(), now)
    }

    /// What there is to see of it.
    #[must_use]
    pub fn view(&self) -> LimitView {
        let state = self.at(Instant::now());
        LimitView::new(&state.ledger, state.queue.len())
    }

    fn at(&self, now: Instant) -> parking_lot::MutexGuard<'_, State> {
        let mut state = self.shared.state.lock();
        state.ledger.advance(now);
        state
    }

    fn enter(&self, cost: Cost, priority: Priority, deadline: &Deadline) -> Result<Entered, LimitError> {
        let now = Instant::now();
        let mut state = self.at(now);
        state.meter.note(&cost);
        state.ledger.check(&cost)?;
        let key = state.queue.next_key(priority);
        let short = state.ledger.shortfall(&cost, &state.queue.ahead(key));
        state.meter.missed(&cost, short);
        let remaining = deadline.remaining();
        if remaining.is_zero() || short.is_some_and(|short| short.needs > Some(remaining)) {
            return Err(not_in_time(short, Duration::ZERO));
        }
        if short.is_none() && state.queue.is_first(key) {
            return Ok(Entered::Passed(self.pass(&mut state, cost)));
        }
        let waiting = state.queue.len();
        if waiting >= self.shared.config.queue_max {
            return Err(LimitError::QueueFull { waiting });
        }
        let bell = state.queue.enter(key, cost);
        Ok(Entered::Queued(Place::new(self.clone(), key, cost, bell, now)))
    }

    fn pass(&self, state: &mut State, cost: Cost) -> Reservation {
        state.ledger.take(&cost);
        Reservation::new(self.clone(), cost)
    }

    fn settle(&self, reserved: &Cost, used: &Cost) {
        let mut state = self.at(Instant::now());
        state.ledger.settle(reserved, used);
        state.queue.ring_first();
    }
}

fn not_in_time(short: Option<Shortfall>, waited: Duration) -> LimitError {
    let Shortfall { limit, needs } = short.unwrap_or(Shortfall { limit: Limit::Turn, needs: None });
    LimitError::NotInTime { limit, needs, waited }
}

enum Entered {
    Passed(Reservation),
    Queued(Place),
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("view", &self.view()).finish_non_exhaustive()
    }
}
