//! Messages that nobody will handle, kept for a while to be looked at and sent again.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::error::TellError;

/// Letters that are kept at most.
const LETTERS_MAX: usize = 1024;

/// Bytes of messages that are kept at most: 1 MiB.
const BYTES_MAX: usize = 1 << 20;

/// News that a slow listener may be behind.
const NEWS_MAX: usize = 256;

/// The messages of a system that were accepted and that nobody will handle: those that crashed their actor, and tells
/// that were queued when their actor ended. Asks that were queued are none: their askers were told.
///
/// At most 1,024 are kept, and at most 1 MiB of messages; the oldest go first.
pub struct DeadLetters {
    ring: Mutex<Ring>,
    news: broadcast::Sender<DeadLetter>,
}

#[derive(Default)]
struct Ring {
    kept: VecDeque<Kept>,
    bytes: usize,
    last: u64,
}

struct Kept {
    letter: DeadLetter,
    since: Instant,
    /// The message, with what it counts of the bytes that are kept.
    remains: Option<(Box<dyn Remains>, usize)>,
}

/// A message that is still there.
pub(crate) trait Remains: Send {
    /// Sends the message to the actor that it was for; gives it back when that takes none.
    fn replay(self: Box<Self>) -> Result<(), (Box<dyn Remains>, TellError)>;
}

/// One message that nobody will handle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number, counted up from 1.
    pub id: u64,
    /// The actor that it was for.
    pub path: String,
    /// What it is: its kind, or the name of its type.
    pub kind: String,
    /// Why it is dead.
    pub reason: DeadReason,
    /// When it died.
    pub time: SystemTime,
    /// How long ago that was.
    pub age: Duration,
    /// Its weight in a mailbox, in bytes.
    pub bytes: usize,
    /// Whether the message is still there, and can be sent again.
    pub is_replayable: bool,
}

/// Why a message is dead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeadReason {
    /// Its handler crashed, as often as it was tried.
    #[error("crashed its actor {times} times: {reason}")]
    Poison {
        /// The last crash.
        reason: String,
        /// How often it was tried.
        times: u32,
    },
    /// Its actor ended, or rests, with the message queued.
    #[error("its actor has ended")]
    NotRunning,
}

/// Why a message was not sent again. It is still a dead letter, if it was one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such letter, or no more.
    #[error("there is no dead letter {id}")]
    NoSuchLetter {
        /// Its number.
        id: u64,
    },
    /// The message itself was not kept.
    #[error("the message of dead letter {id} was not kept")]
    NotKept {
        /// Its number.
        id: u64,
    },
    /// The actor takes no message now.
    #[error(transparent)]
    Refused(#[from] TellError),
}

impl DeadLetters {
    pub(crate) fn new() -> Self {
        Self { ring: Mutex::default(), news: broadcast::Sender::new(NEWS_MAX) }
    }

    /// The letters that are kept, the oldest first.
    pub fn list(&self) -> Vec<DeadLetter> {
        let now = Instant::now();
        self.ring.lock().kept.iter().map(|kept| kept.shown(now)).collect()
    }

    /// How many have died, those included that are not kept any more.
    pub fn count(&self) -> u64 {
        self.ring.lock().last
    }

    /// Sends a message to its actor again, which may have been restarted since, and forgets the letter.
    ///
    /// # Errors
    /// [`ReplayError`]; the letter stays.
    pub fn replay(&self, id: u64) -> Result<(), ReplayError> {
        let (remains, bytes) = self.ring.lock().take(id)?;
        // What the actor does about it is not done under the lock.
        match remains.replay() {
            Ok(()) => {
                self.ring.lock().forget(id);
                Ok(())
            }
            Err((remains, error)) => {
                self.ring.lock().give_back(id, remains, bytes);
                Err(error.into())
            }
        }
    }

    /// Hears of each letter from now on; one that is 256 behind misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<DeadLetter> {
        self.news.subscribe()
    }

    /// Lists what an actor has given up that was no message of its mailbox, as a task that ended all of its workers. It
    /// cannot be sent again.
    pub fn list_lost(&self, path: &str, kind: &str, reason: DeadReason) {
        self.add(path, kind, 0, reason, None);
    }

    /// Keeps a message that nobody will handle.
    pub(crate) fn add(
        &self,
        path: &str,
        kind: &str,
        bytes: usize,
        reason: DeadReason,
        remains: Option<Box<dyn Remains>>,
    ) {
        tracing::warn!(actor = path, kind, reason = %reason, bytes, "dead letter");
        let remains = remains.filter(|_| bytes <= BYTES_MAX).map(|remains| (remains, bytes));
        let letter = DeadLetter {
            id: 0,
            path: path.to_owned(),
            kind: kind.to_owned(),
            reason,
            time: SystemTime::now(),
            age: Duration::ZERO,
            bytes,
            is_replayable: remains.is_some(),
        };
        let (news, gone) = self.ring.lock().push(Kept { letter, since: Instant::now(), remains });
        // What was pushed out belongs to users: it is dropped with the lock free.
        drop(gone);
        // Nobody has to listen.
        let _ = self.news.send(news);
    }

    /// Forgets all letters.
    pub fn clear(&self) {
        let gone = {
            let mut ring = self.ring.lock();
            ring.bytes = 0;
            std::mem::take(&mut ring.kept)
        };
        drop(gone);
    }
}

impl Ring {
    /// Gives the letter with its number, and those that it pushes out.
    fn push(&mut self, mut kept: Kept) -> (DeadLetter, Vec<Kept>) {
        self.last += 1;
        kept.letter.id = self.last;
        let news = kept.letter.clone();
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        let mut gone = Vec::new();
        while self.kept.len() > LETTERS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.bytes();
            gone.push(oldest);
        }
        (news, gone)
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.kept.iter().position(|kept| kept.letter.id == id)
    }

    fn take(&mut self, id: u64) -> Result<(Box<dyn Remains>, usize), ReplayError> {
        let at = self.position(id).ok_or(ReplayError::NoSuchLetter { id })?;
        let (remains, bytes) = self.kept[at].remains.take().ok_or(ReplayError::NotKept { id })?;
        self.bytes -= bytes;
        Ok((remains, bytes))
    }

    fn forget(&mut self, id: u64) {
        if let Some(at) = self.position(id) {
            self.kept.remove(at);
        }
    }

    fn give_back(&mut self, id: u64, remains: Box<dyn Remains>, bytes: usize) {
        if let Some(at) = self.position(id) {
            self.bytes += bytes;
            self.kept[at].remains = Some((remains, bytes));
        }
    }
}

/// What a message does when it is dropped is its user's, whose panics are no business of the others.
impl Drop for Kept {
    fn drop(&mut self) {
        let remains = self.remains.take();
        if catch_unwind(AssertUnwindSafe(move || drop(remains))).is_err() {
            tracing::error!(actor = self.letter.path, "a message panicked when it was dropped");
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.remains.as_ref().map_or(0, |(_, bytes)| *bytes)
    }

    fn shown(&self, now: Instant) -> DeadLetter {
        let age = now.saturating_duration_since(self.since);
        DeadLetter { age, is_replayable: self.remains.is_some(), ..self.letter.clone() }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("len", &self.ring.lock().kept.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Remains for Gone {
        fn replay(self: Box<Self>) -> Result<(), (Box<dyn Remains>, TellError)> {
            let error = TellError::NotRunning { path: "a".to_owned() };
            Err((self, error))
        }
    }

    fn filled(letters: usize, bytes: usize) -> DeadLetters {
        let dead = DeadLetters::new();
        for _ in 0..letters {
            dead.add("a", "note", bytes, DeadReason::NotRunning, Some(Box::new(Gone)));
        }
        dead
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let dead = filled(LETTERS_MAX + 3, 10);
        let list = dead.list();
        assert_eq!((list.len(), list[0].id, dead.count()), (LETTERS_MAX, 4, LETTERS_MAX as u64 + 3));
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large_together() {
        let dead = filled(5, BYTES_MAX / 4);
        assert_eq!(dead.list().iter().map(|letter| letter.id).collect::<Vec<_>>(), [2, 3, 4, 5]);
        dead.add("a", "note", BYTES_MAX + 1, DeadReason::NotRunning, Some(Box::new(Gone)));
        let last = dead.list().pop().unwrap();
        assert!(!last.is_replayable && last.bytes == BYTES_MAX + 1);
        assert_eq!(dead.list().len(), 5);
    }

    #[test]
    fn a_letter_that_cannot_be_replayed_stays() {
        let dead = filled(1, 10);
        assert!(matches!(dead.replay(1), Err(ReplayError::Refused(TellError::NotRunning { .. }))));
        assert!(dead.list()[0].is_replayable);
        assert_eq!(dead.replay(2), Err(ReplayError::NoSuchLetter { id: 2 }));
    }
}
