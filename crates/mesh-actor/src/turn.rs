//! How long an actor may go on before its neighbours get their turn.

use std::time::Duration;

use tokio::time::Instant;

/// Messages in one turn.
pub(crate) const MESSAGES: u32 = 64;

/// Time in one turn. Handlers that never wait are checked against it after a few messages, not after each.
const TIME: Duration = Duration::from_micros(200);

/// Turns of quick messages that may follow each other at once: about 50 µs.
const IN_A_ROW: u32 = 8;

/// The clock is read again after so many messages at most, however quick they are.
const BLIND: u32 = 32;

/// One turn of an actor.
///
/// Reading the clock costs as much as handling a small message, so the turn reads it when the messages so far say
/// that the time may be up.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    taken: u32,
    check_at: u32,
    began: Option<Instant>,
    now: Option<Instant>,
    is_fresh: bool,
    out_of_time: bool,
    /// Turns since the neighbours had theirs, or the actor had nothing to do.
    in_a_row: u32,
}

impl Turn {
    /// Begins with messages that have waited, or with those that have just woken the actor.
    pub(crate) fn begin(&mut self, has_waited: bool) {
        *self = Self { in_a_row: self.in_a_row + 1, is_fresh: !has_waited, ..Self::default() };
    }

    /// A time that is at most a turn old: what comes before it is surely over.
    pub(crate) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// Whether the next message has waited for nothing but its actor's waking up.
    pub(crate) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// The handler waited for something, and its neighbours had their turn.
    pub(crate) fn has_waited(&mut self) {
        self.forget_time();
        self.in_a_row = 0;
    }

    /// Some time may have passed.
    pub(crate) fn forget_time(&mut self) {
        self.now = None;
        self.is_fresh = false;
    }

    /// Messages that may still run in this turn.
    pub(crate) fn left(&self) -> u32 {
        MESSAGES.saturating_sub(self.taken).max(1)
    }

    /// Counts a message that was handled.
    pub(crate) fn count_one(&mut self) {
        self.taken += 1;
        // A turn of one message, as an ask to an idle actor is, reads no clock at all.
        if self.taken > self.check_at.max(1) {
            self.look_at_the_clock();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.out_of_time || self.taken >= MESSAGES
    }

    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }

    /// The actor has nothing to do: its neighbours have their turn.
    pub(crate) fn rest(&mut self) {
        self.in_a_row = 0;
    }

    /// Whether the neighbours have waited long enough, since the actor waited for something itself.
    pub(crate) fn is_neighbours_turn(&mut self) -> bool {
        let is_due = self.out_of_time || self.in_a_row >= IN_A_ROW;
        if is_due {
            self.in_a_row = 0;
        }
        is_due
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        self.now = Some(now);
        let Some(began) = self.began else {
            self.began = Some(now);
            self.check_at = self.taken;
            return;
        };
        let elapsed = now - began;
        self.out_of_time = elapsed >= TIME;
        let each = (elapsed / self.taken).max(Duration::from_nanos(1));
        let more = TIME.saturating_sub(elapsed).as_nanos() / each.as_nanos();
        self.check_at = self.taken + u32::try_from(more).unwrap_or(BLIND).min(BLIND);
    }
}
