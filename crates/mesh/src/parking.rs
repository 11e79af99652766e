//! Streams of this node that are kept for readers who were cut off.

use crate::{
    failure::{another_reader, stream_gone},
    frames::{Origin, refuse},
    kept::{Kept, Missing, Reader},
    stream_out::StreamOut,
};
use mesh_net::Role;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Streams with an id that one node has at once: 4,096. One more takes the place of that which nobody has read for longest,
/// or is not kept.
const STREAMS_MAX: usize = 4096;

/// Bytes that a node keeps for all of them: 64 MiB. Beyond that, those which nobody has read for longest go.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Whose a stream is: the one that its certificate names may attach to it, and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) role: Role,
    pub(crate) id: u128,
}

/// A stream, by its owner and the id that the owner gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) owner: Owner,
    pub(crate) stream: u128,
}

/// A reader that wants to go on with a stream.
pub(crate) struct Resume<'a> {
    pub(crate) owner: Owner,
    pub(crate) origin: Arc<dyn Origin>,
    pub(crate) path: &'a str,
    pub(crate) correlation: u64,
    pub(crate) stream: u128,
    pub(crate) next: u64,
}

/// All streams of a node that can be attached to.
pub(crate) struct Parking {
    time: Duration,
    streams: Mutex<HashMap<Key, Arc<Kept>>>,
    bytes: AtomicUsize,
    idle: Notify,
}

impl Parking {
    /// Streams are kept for `time` without a reader.
    pub(crate) fn new(time: Duration) -> Arc<Self> {
        let (streams, bytes, idle) = (Mutex::default(), AtomicUsize::new(0), Notify::new());
        Arc::new(Self { time, streams, bytes, idle })
    }

    /// Whether streams are kept at all.
    pub(crate) fn is_open(&self) -> bool {
        self.time > Duration::ZERO
    }

    /// Takes a stream in; `false` when its id is another's, or there is no place.
    pub(crate) fn insert(&self, kept: &Arc<Kept>) -> bool {
        let mut streams = self.streams.lock();
        if streams.contains_key(&kept.key()) {
            return false;
        }
        let oldest = if streams.len() < STREAMS_MAX { None } else { Some(oldest(&streams)) };
        if oldest == Some(None) {
            return false;
        }
        let evicted = oldest.flatten().and_then(|key| streams.remove(&key));
        streams.insert(kept.key(), Arc::clone(kept));
        drop(streams);
        evicted.iter().for_each(close);
        true
    }

    /// Forgets a stream; its reader, if it has one, has all that it needs.
    pub(crate) fn remove(&self, key: Key) {
        let removed = self.streams.lock().remove(&key);
        removed.iter().for_each(close);
    }

    /// Gives a stream to a reader that comes back, or tells it why not.
    pub(crate) fn resume(&self, resume: Resume<'_>, may_read: impl FnOnce(u16) -> bool) {
        let Resume { owner, origin, path, correlation, stream, next } = resume;
        let kept = self.streams.lock().get(&Key { owner, stream }).cloned();
        // Who may not have it is told what everybody is told of a stream that there is not.
        let kept = kept.filter(|kept| kept.path() == path && may_read(kept.kind()));
        let Some(kept) = kept else {
            return refuse(&*origin, correlation, &stream_gone(path, None, origin.here()));
        };
        let turn = kept.next_turn();
        origin.begin(correlation, StreamOut::of_kept(&kept, turn));
        match kept.attach(Reader { origin: Arc::clone(&origin), correlation, turn }, next) {
            Ok(Some(before)) => before.dismiss(Some(&another_reader(path, origin.here()))),
            Ok(None) => {}
            Err(Missing { first }) => {
                origin.end(correlation);
                refuse(&*origin, correlation, &stream_gone(path, Some(first), origin.here()));
            }
        }
        // The connection may have ended on the way here.
        if origin.is_over() {
            kept.park(turn);
        }
    }

    pub(crate) fn holds_more(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn holds_less(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Somebody stopped reading.
    pub(crate) fn idles(&self) {
        self.relieve();
        self.idle.notify_one();
    }

    /// Gives up what nobody reads as long as too much is held.
    pub(crate) fn relieve(&self) {
        while self.bytes.load(Ordering::Acquire) > BYTES_MAX {
            let oldest = oldest(&self.streams.lock());
            let Some(key) = oldest else { return };
            tracing::warn!(
                bytes_max = BYTES_MAX,
                "a stream is given up: too much is kept for readers that are away"
            );
            self.remove(key);
        }
    }

    /// Gives up streams whose time is over; never ends.
    pub(crate) async fn expire(self: Arc<Self>) {
        loop {
            let earliest = self.streams.lock().values().filter_map(|kept| kept.idle_since()).min();
            let Some(earliest) = earliest else {
                self.idle.notified().await;
                continue;
            };
            // One that comes to be idle meanwhile has its end behind this one's.
            sleep_until(earliest + self.time).await;
            let now = Instant::now();
            let is_late = |kept: &Kept| kept.idle_since().is_some_and(|since| since + self.time <= now);
            let late: Vec<Key> =
                self.streams.lock().values().filter(|kept| is_late(kept)).map(|kept| kept.key()).collect();
            for key in late {
                self.remove(key);
            }
        }
    }

    /// How many streams and bytes are held.
    #[cfg(test)]
    pub(crate) fn holds(&self) -> (usize, usize) {
        (self.streams.lock().len(), self.bytes.load(Ordering::Acquire))
    }
}

fn oldest(streams: &HashMap<Key, Arc<Kept>>) -> Option<Key> {
    let idle = streams.values().filter_map(|kept| Some((kept.idle_since()?, kept.key())));
    idle.min_by_key(|(since, _)| *since).map(|(_, key)| key)
}

fn close(kept: &Arc<Kept>) {
    if let Some(reader) = kept.close() {
        reader.dismiss(None);
    }
}
