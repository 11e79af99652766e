//! Asks of this process that wait for a reply from a peer.
//!
//! A correlation is a place in the table with the generation of its use, so a reply that comes after
//! its ask has ended finds nothing, never another ask.

use crate::{session::Session, stream_in::StreamIn};
use bytes::Bytes;
use mesh_proto::frame::{Content, Outcome};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

/// What came back for an ask.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A reply, a failure or an item, as it came over the wire.
    Frame {
        /// Which of the three.
        outcome: Outcome,
        /// How the payload is written.
        content: Content,
        /// The bytes.
        payload: Bytes,
    },
    /// The connection ended before the reply came; the handler may have run.
    Lost,
    /// The deadline passed before the reply came; the handler may have run.
    Late,
}

impl Answer {
    /// Whether it is one of a stream's items.
    pub(crate) fn is_item(&self) -> bool {
        matches!(self, Self::Frame { outcome: Outcome::Item, .. })
    }
}

/// Who waits.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// An ask of one reply.
    Ask(oneshot::Sender<Answer>),
    /// A stream of items and one reply.
    Stream(Arc<StreamIn>),
    /// A peer for which this node asks.
    Relay {
        /// The peer.
        to: Arc<Session>,
        /// The peer's number for its ask.
        correlation: u64,
    },
}

impl Waiter {
    /// The stream that waits, if it is one.
    pub(crate) fn stream(&self) -> Option<&Arc<StreamIn>> {
        if let Self::Stream(stream) = self { Some(stream) } else { None }
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    waiter: Option<Waiter>,
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// No deadline of a waiter passes before this.
    earliest: Option<Instant>,
    is_closed: bool,
}

/// The table of waiting asks of one connection. As many entries as asks wait, which callers bound.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    table: Mutex<Table>,
    /// Rings when there is a deadline before all that were known.
    armed: Notify,
}

impl Pending {
    /// Notes who waits; answers the number for the header, or the waiter when the connection is over.
    pub(crate) fn insert(&self, waiter: Waiter) -> Result<u64, Waiter> {
        self.insert_until(waiter, None)
    }

    /// As [`insert`](Self::insert), for one that [`expire`](Self::expire) takes out at its deadline.
    pub(crate) fn insert_until(&self, waiter: Waiter, deadline: Option<Instant>) -> Result<u64, Waiter> {
        let mut table = self.table.lock();
        if table.is_closed {
            return Err(waiter);
        }
        let index = table.free.pop().unwrap_or_else(|| {
            table.slots.push(Slot::default());
            u32::try_from(table.slots.len() - 1).expect("fewer than 2^32 asks wait at once")
        });
        let slot = &mut table.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.waiter = Some(waiter);
        slot.deadline = deadline;
        let correlation = correlation_of(slot.generation, index);
        if let Some(deadline) = deadline
            && table.earliest.is_none_or(|earliest| deadline < earliest)
        {
            table.earliest = Some(deadline);
            drop(table);
            self.armed.notify_one();
        }
        Ok(correlation)
    }

    /// Takes out whoever waits at its deadline, and hands it to `late`; never ends.
    ///
    /// One timer serves all: with one for each ask, tokio had 16 % of a busy asker's profile.
    pub(crate) async fn expire(&self, late: impl Fn(u64, Waiter)) {
        loop {
            let earliest = self.table.lock().earliest;
            match earliest {
                None => self.armed.notified().await,
                Some(at) => tokio::select! {
                    () = self.armed.notified() => {}
                    () = sleep_until(at) => {
                        for (correlation, waiter) in self.take_late(Instant::now()) {
                            late(correlation, waiter);
                        }
                    }
                },
            }
        }
    }

    fn take_late(&self, now: Instant) -> Vec<(u64, Waiter)> {
        let mut late = Vec::new();
        let mut table = self.table.lock();
        let Table { slots, free, earliest, .. } = &mut *table;
        *earliest = None;
        for (slot, index) in slots.iter_mut().zip(0..) {
            let Some(deadline) = slot.deadline.filter(|_| slot.waiter.is_some()) else { continue };
            if deadline <= now {
                late.extend(
                    slot.waiter.take().map(|waiter| (correlation_of(slot.generation, index), waiter)),
                );
                free.push(index);
            } else {
                *earliest = Some(earliest.map_or(deadline, |known| known.min(deadline)));
            }
        }
        late
    }

    /// Takes the waiter out: its ask ends.
    pub(crate) fn take(&self, correlation: u64) -> Option<Waiter> {
        let mut table = self.table.lock();
        let index = index_of(correlation);
        let slot = table.slots.get_mut(index as usize)?;
        if slot.generation != generation_of(correlation) {
            return None;
        }
        let waiter = slot.waiter.take();
        if waiter.is_some() {
            table.free.push(index);
        }
        waiter
    }

    /// Looks at a waiter that goes on waiting.
    pub(crate) fn with<R>(&self, correlation: u64, look: impl FnOnce(&Waiter) -> R) -> Option<R> {
        let table = self.table.lock();
        let slot = table.slots.get(index_of(correlation) as usize)?;
        if slot.generation != generation_of(correlation) {
            return None;
        }
        slot.waiter.as_ref().map(look)
    }

    /// Takes everybody out, and lets nobody in any more: the connection is over.
    pub(crate) fn close(&self) -> Vec<Waiter> {
        let mut table = self.table.lock();
        table.is_closed = true;
        table.free.clear();
        std::mem::take(&mut table.slots).into_iter().filter_map(|slot| slot.waiter).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        let table = self.table.lock();
        table.slots.len() - table.free.len()
    }
}

/// The index is below, so that the varint of a young table is short.
fn correlation_of(generation: u32, index: u32) -> u64 {
    (u64::from(generation) << 32) | u64::from(index)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is the index")]
fn index_of(correlation: u64) -> u32 {
    correlation as u32
}

fn generation_of(correlation: u64) -> u32 {
    (correlation >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::mpsc;

    fn waiter() -> (Waiter, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Waiter::Ask(sender), receiver)
    }

    #[test]
    fn a_late_reply_never_reaches_another_ask() {
        let pending = Pending::default();
        let first = pending.insert(waiter().0).unwrap();
        assert!(pending.take(first).is_some());
        let second = pending.insert(waiter().0).unwrap();
        assert_eq!(index_of(first), index_of(second), "the place is used again");
        assert!(pending.take(first).is_none());
        assert!(pending.take(second).is_some());
        assert!(pending.take(second).is_none(), "a second reply finds nothing");
    }

    #[test]
    fn numbers_that_were_never_given_are_nobody() {
        let pending = Pending::default();
        for correlation in [0, 1, u64::MAX, 1 << 32] {
            assert!(pending.take(correlation).is_none());
            assert!(pending.with(correlation, |_| ()).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_waits_until_its_own_deadline_whatever_their_order() {
        let pending = Pending::default();
        let started = Instant::now();
        let ms = |ms| Some(started + Duration::from_millis(ms));
        let (sender, mut ended) = mpsc::unbounded_channel();
        let scenario = async {
            let slow = pending.insert_until(waiter().0, ms(500)).unwrap();
            let answered = pending.insert_until(waiter().0, ms(200)).unwrap();
            let _patient = pending.insert(waiter().0).unwrap();
            tokio::task::yield_now().await;
            let quick = pending.insert_until(waiter().0, ms(100)).unwrap();
            assert_eq!(ended.recv().await, Some((quick, Duration::from_millis(100))));
            assert!(pending.take(answered).is_some());
            assert_eq!(ended.recv().await, Some((slow, Duration::from_millis(500))));
            assert_eq!(pending.len(), 1, "one has no deadline");
        };
        tokio::select! {
            () = pending.expire(|late, _| sender.send((late, started.elapsed())).unwrap()) => {}
            () = scenario => {}
        }
    }

    #[test]
    fn a_closed_table_lets_nobody_in() {
        let pending = Pending::default();
        let _kept = pending.insert(waiter().0).unwrap();
        assert_eq!(pending.close().len(), 1);
        assert!(pending.insert(waiter().0).is_err());
    }
}
