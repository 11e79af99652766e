//! Answers that are sequences of items.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::ask::{Ask, AskFuture};
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
}

/// The reader of the stream is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the stream is gone")]
pub struct Closed;

impl<T> Items<T> {
    /// A way for items with room for `capacity` of them, at least one, and its other end.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<T>) {
        let (sender, reader) = mpsc::channel(capacity.max(1));
        (Self { sender }, reader)
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
        ReplyStream {
            to: Arc::clone(self.deliver()),
            unsent: Some(Open { message, items }),
            reader,
            asked: None,
            answer: None,
            timeout: STREAM_TIMEOUT,
        }
    }
}

/// A sequence of items, then a reply. The message is sent at the first [`next`](Self::next) or
/// [`finish`](Self::finish).
///
/// Dropping it withdraws the message, and the handler's next item fails.
#[must_use = "a stream is not asked for until it is read"]
pub struct ReplyStream<M: Streaming> {
    to: Arc<dyn Deliver<Open<M>>>,
    unsent: Option<Open<M>>,
    reader: mpsc::Receiver<M::Item>,
    asked: Option<Pin<Box<AskFuture<Open<M>>>>>,
    answer: Option<Result<M::Reply, AskError>>,
    timeout: Duration,
}

impl<M: Streaming> ReplyStream<M> {
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
        if let Some(open) = self.unsent.take() {
            let ask = Ask::new(&*self.to, open).timeout(self.timeout);
            self.asked = Some(Box::pin(ask.into_future()));
        }
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
