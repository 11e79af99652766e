//! Answers that are sequences of items.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Notify, mpsc};

use crate::ask::{Ask, AskFuture};
use crate::cancel::Cancel;
use crate::deliver::{Deliver, Recipient};
use crate::error::AskError;
use crate::message::{Message, Streaming};

/// Items that may lie between a stream's handler and its reader.
const ITEMS: usize = 16;

/// How long a stream may take in all, unless it says otherwise.
const STREAM_TIMEOUT: Duration = Duration::from_secs(300);

/// A message whose answer streams, together with the way for its items: what really travels.
pub struct Open<M: Streaming> {
    /// The message.
    pub message: M,
    /// Where its items go.
    pub items: Items<M::Item>,
}

impl<M: Streaming> Message for Open<M> {
    type Reply = M::Reply;

    fn weight_bytes(&self) -> usize {
        self.message.weight_bytes()
    }
}

impl<M: Streaming> fmt::Debug for Open<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("items", &self.items).finish_non_exhaustive()
    }
}

/// The handler's end of a stream. Bounded: sending waits until the reader has room.
pub struct Items<T> {
    sender: mpsc::Sender<T>,
    reading: Arc<Reading>,
}

/// What the two ends of a stream know of its reader.
#[derive(Default)]
struct Reading {
    /// Items that the reader has had: it came for the one behind.
    done: AtomicU64,
    came_back: Notify,
    ticket: OnceLock<Arc<str>>,
    away: Cancel,
}

/// The reader of the stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the stream is gone")]
pub struct Closed;

impl<T> Items<T> {
    /// A way for items with room for `capacity` of them, at least one, and its other end.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<T>) {
        let (sender, reader) = mpsc::channel(capacity.max(1));
        (Self { sender, reading: Arc::default() }, reader)
    }

    /// Waits until there is room for one item; the sender's next [`try_send`](Self::try_send) succeeds.
    ///
    /// For implementors of [`Deliver`].
    ///
    /// # Errors
    /// [`Closed`]: nobody reads any more.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn room(&self) -> Result<(), Closed> {
        self.sender.reserve().await.map(drop).map_err(|_| Closed)
    }

    /// Sends one item if there is room now.
    ///
    /// # Errors
    /// The item.
    pub fn try_send(&self, item: T) -> Result<(), T> {
        self.sender.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(item) | mpsc::error::TrySendError::Closed(item) => item,
        })
    }

    /// Waits until the reader is done with more items than `known`, and says with how many.
    ///
    /// It is done with an item when it comes for the next one: what a distant maker of items may forget.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn done_with_more_than(&self, known: u64) -> u64 {
        loop {
            let done = self.reading.done.load(Ordering::Acquire);
            if done > known {
                return done;
            }
            // There is one producer, and a permit stays until it comes.
            self.reading.came_back.notified().await;
        }
    }

    /// Says under which name the stream can be found again by another reader; the first name stays.
    pub fn set_ticket(&self, ticket: &str) {
        let _ = self.reading.ticket.set(ticket.into());
    }

    /// Waits until the reader leaves the stream for now ([`ReplyStream::detach`]).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn detached(&self) {
        self.reading.away.cancelled().await;
    }

    /// Sends one item, and waits for room.
    ///
    /// # Errors
    /// [`Closed`]: nobody reads any more, so stop making items.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has not sent the item.
    pub async fn send(&self, item: T) -> Result<(), Closed> {
        self.sender.send(item).await.map_err(|_| Closed)
    }

    /// Whether the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the reader is gone, so that a handler can stop waiting for something else.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("is_closed", &self.is_closed()).finish()
    }
}

impl<M: Streaming> Recipient<Open<M>> {
    /// Asks for a sequence of items.
    pub fn stream(&self, message: M) -> ReplyStream<M> {
        let (items, reader) = Items::channel(ITEMS);
        let reading = Arc::clone(&items.reading);
        let unsent = Unsent { to: Arc::clone(self.deliver()), open: Open { message, items } };
        ReplyStream { unsent: Some(unsent), ..ReplyStream::of(reader, reading) }
    }
}

/// What a stream begins with.
struct Unsent<M: Streaming> {
    to: Arc<dyn Deliver<Open<M>>>,
    open: Open<M>,
}

/// A sequence of items, then a reply. The message is sent at the first [`next`](Self::next) or
/// [`finish`](Self::finish).
///
/// Dropping it withdraws the message, and the handler's next item fails.
///
/// Each item comes once, and in order, within the life of its actor. When the connection to another node is lost and
/// comes back, the stream goes on where it was, as long as that node keeps it for its reader (30 s, unless it is set up
/// otherwise) and the reader comes for its items meanwhile.
#[must_use = "a stream is not asked for until it is read"]
pub struct ReplyStream<M: Streaming> {
    unsent: Option<Unsent<M>>,
    reader: mpsc::Receiver<M::Item>,
    reading: Arc<Reading>,
    asked: Option<Pin<Box<AskFuture<Open<M>>>>>,
    answer: Option<Result<M::Reply, AskError>>,
    timeout: Duration,
    unwanted: Cancel,
    /// Items that others read before, and items that were read here.
    before: u64,
    read: u64,
}

impl<M: Streaming> ReplyStream<M> {
    fn of(reader: mpsc::Receiver<M::Item>, reading: Arc<Reading>) -> Self {
        let (unwanted, timeout) = (Cancel::new(), STREAM_TIMEOUT);
        Self {
            unsent: None,
            reader,
            reading,
            asked: None,
            answer: None,
            timeout,
            unwanted,
            before: 0,
            read: 0,
        }
    }

    /// A stream that goes on behind its first `before` items: `begin` gets where the items go, and the signal that
    /// withdraws the message, and brings the reply.
    ///
    /// For those who carry streams from elsewhere.
    pub fn going_on(
        before: u64,
        begin: impl FnOnce(Items<M::Item>, Cancel) -> BoxFuture<'static, Result<M::Reply, AskError>>,
    ) -> Self {
        let (items, reader) = Items::channel(ITEMS);
        let stream = Self { before, ..Self::of(reader, Arc::clone(&items.reading)) };
        let reply = begin(items, stream.unwanted.clone());
        Self { asked: Some(Box::pin(AskFuture::elsewhere(reply))), ..stream }
    }

    /// The number of the last item that was read, from 1; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.before + self.read
    }

    /// The name under which another reader, in another process too, finds the stream again. None before the first item,
    /// and for a stream of this process, or of a node that keeps none.
    pub fn ticket(&self) -> Option<Arc<str>> {
        self.reading.ticket.get().cloned()
    }

    /// Leaves the stream without withdrawing it, and waits until its node keeps it for who comes with the ticket; at most
    /// [`CONFIRM_TIMEOUT`](crate::CONFIRM_TIMEOUT). None as of [`ticket`](Self::ticket), and then it is withdrawn.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it may leave the stream withdrawn.
    pub async fn detach(mut self) -> Option<Arc<str>> {
        let ticket = self.ticket()?;
        self.reading.away.cancel();
        if let Some(asked) = self.asked.take() {
            // It brings no reply: the stream is not over.
            let _ = asked.await;
        }
        Some(ticket)
    }

    /// Withdraws the message, and waits for the handler's end: see [`Ask::cancel_on`]. Items that were not read are
    /// dropped.
    ///
    /// # Errors
    /// As an ask that was withdrawn.
    ///
    /// # Cancel safety
    /// Dropping it withdraws the message too, and nobody hears of the end.
    pub async fn cancel(mut self) -> Result<M::Reply, AskError> {
        if let Some(unsent) = &self.unsent {
            return Err(AskError::Cancelled { path: unsent.to.path() });
        }
        self.unwanted.cancel();
        // A handler that only sends finds that nobody reads.
        self.reader.close();
        self.finish().await
    }

    /// Withdraws the message when `unwanted` is set: see [`Ask::cancel_on`]. To be called before the first item.
    pub fn cancel_on(mut self, unwanted: Cancel) -> Self {
        self.unwanted = unwanted;
        self
    }

    /// How long the whole stream may take, from its sending on; 5 min by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The next item. None at the end: then [`finish`](Self::finish) has the reply, or the error that ended it.
    ///
    /// # Cancel safety
    /// Cancel safe: no item is lost.
    pub async fn next(&mut self) -> Option<M::Item> {
        if let Some(Unsent { to, open }) = self.unsent.take() {
            let ask = Ask::new(&*to, open).timeout(self.timeout).cancel_on(self.unwanted.clone());
            self.asked = Some(Box::pin(ask.into_future()));
        }
        if self.reading.done.swap(self.read, Ordering::AcqRel) < self.read {
            self.reading.came_back.notify_one();
        }
        let item = self.next_item().await;
        self.read += u64::from(item.is_some());
        item
    }

    async fn next_item(&mut self) -> Option<M::Item> {
        if let Some(asked) = &mut self.asked {
            tokio::select! {
                biased;
                Some(item) = self.reader.recv() => return Some(item),
                answer = asked => self.answer = Some(answer),
            }
            self.asked = None;
        }
        if matches!(self.answer, Some(Err(_))) {
            // An error ends the stream here: its handler may go on for a while.
            self.reader.close();
        }
        self.reader.recv().await
    }

    /// The reply after the last item. Items that were not read are dropped.
    ///
    /// # Errors
    /// As any ask.
    ///
    /// # Cancel safety
    /// Dropping it withdraws the message.
    pub async fn finish(mut self) -> Result<M::Reply, AskError> {
        while self.next().await.is_some() {}
        self.answer.expect("the items end after the answer")
    }
}

impl<M: Streaming> fmt::Debug for ReplyStream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
