//! How a message gets to an actor, wherever it is.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::actor::Handler;
use crate::actor_ref::ActorRef;
use crate::ask::{Ask, AskFuture, DEFAULT_TIMEOUT};
use crate::error::{AskError, TellError, TryTellError};
use crate::letter::{Asked, Plain, Told};
use crate::mailbox::{Refusal, Weight};
use crate::message::{Message, Meta};
use crate::reply::{Receipt, reply_slot};
use crate::tell::Tell;

/// A way to one actor for one type of message; users hold it as a [`Recipient`].
pub trait Deliver<M: Message>: Send + Sync {
    /// Where the messages go.
    fn path(&self) -> String;

    /// Sends if there is room now.
    ///
    /// # Errors
    /// [`TryTellError`] with the message.
    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>>;

    /// Sends, and waits for room until `meta.deadline`, or for 5 s.
    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>>;

    /// Asks without waiting for room, where that is possible: saves an allocation for each ask.
    ///
    /// `meta.cancel` is set by whoever makes the receipt.
    ///
    /// # Errors
    /// Message and meta, if there is no room now or no such way; then [`ask`](Self::ask) is called with them.
    fn try_ask(&self, message: M, meta: Meta) -> Result<Receipt<M::Reply>, (M, Meta)> {
        Err((message, meta))
    }

    /// Asks, and waits for room and for the reply until `meta.deadline`. Dropping the future withdraws the message;
    /// setting `meta.cancel` does too, and then the future waits for the handler's end, at most for
    /// [`CONFIRM_TIMEOUT`](crate::CONFIRM_TIMEOUT).
    fn ask(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>>;
}

impl<A: Handler<M>, M: Message> Deliver<M> for ActorRef<A> {
    fn path(&self) -> String {
        Self::path(self).to_owned()
    }

    #[inline]
    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>> {
        let mailbox = self.mailbox().inner();
        let bytes = message.weight_bytes();
        let refused = if meta.is_empty() {
            mailbox.offer(Box::new(Plain(message)), bytes).map_err(|(letter, refusal)| (letter.0, refusal))
        } else {
            mailbox
                .offer(Box::new(Told { message, meta: meta.clone() }), bytes)
                .map_err(|(letter, refusal)| (letter.message, refusal))
        };
        refused.map_err(|(message, refusal)| match refusal {
            Refusal::Full { len, capacity } => TryTellError::Full { message, len, capacity },
            Refusal::Closed => TryTellError::Refused { message, error: mailbox.not_running() },
        })
    }

    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let to = self.clone();
        Box::pin(async move {
            let until = meta.deadline.unwrap_or_else(|| Instant::now() + DEFAULT_TIMEOUT);
            let permit = to.reserve(message.weight_bytes(), until).await?;
            if meta.is_empty() {
                to.mailbox().push(permit, Box::new(Plain(message)));
            } else {
                to.mailbox().push(permit, Box::new(Told { message, meta }));
            }
            Ok(())
        })
    }

    #[inline]
    fn try_ask(&self, message: M, mut meta: Meta) -> Result<Receipt<M::Reply>, (M, Meta)> {
        let bytes = message.weight_bytes();
        let (reply, receipt) = reply_slot(self.mailbox().inner().life.shared_path());
        meta.cancel = Some(reply.cancel());
        match self.mailbox().inner().offer(Box::new(Asked { message, meta, reply }), bytes) {
            Ok(()) => Ok(receipt),
            Err((letter, _refusal)) => Err((letter.message, letter.meta)),
        }
    }

    fn ask(&self, message: M, mut meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        let to = self.clone();
        let started = Instant::now();
        Box::pin(async move {
            let deadline = meta.deadline.unwrap_or_else(|| started + DEFAULT_TIMEOUT);
            let unwanted = meta.cancel.take();
            let reserves = to.reserve(message.weight_bytes(), deadline);
            let permit = match &unwanted {
                None => reserves.await?,
                Some(unwanted) => tokio::select! {
                    permit = reserves => permit?,
                    () = unwanted.cancelled() => {
                        return Err(AskError::Cancelled { path: to.path().to_owned() });
                    }
                },
            };
            let (reply, receipt) = reply_slot(to.mailbox().inner().life.shared_path());
            meta.cancel = Some(reply.cancel());
            to.mailbox().push(permit, Box::new(Asked { message, meta, reply }));
            let waiting = AskFuture::<M>::waiting(receipt, started, deadline);
            match unwanted {
                None => waiting.await,
                Some(unwanted) => waiting.until_ended(unwanted).await,
            }
        })
    }
}

impl<A: crate::Actor> ActorRef<A> {
    /// Room for one message, in the line of those who wait for it.
    async fn reserve(&self, bytes: usize, until: Instant) -> Result<crate::Permit<A>, AskError> {
        let mailbox = self.mailbox();
        if mailbox.config().overflow.rejects() {
            return mailbox.try_reserve(Weight::one(bytes)).ok_or_else(|| {
                mailbox.inner().press();
                mailbox.inner().refusal()
            });
        }
        match timeout_at(until, mailbox.reserve(Weight::one(bytes))).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(mailbox.inner().not_running()),
            Err(_elapsed) => Err(mailbox.inner().full()),
        }
    }
}

/// An actor anywhere that takes messages of the type `M`: the same calls, whether it is here or far. Cheap to clone.
pub struct Recipient<M: Message> {
    to: Arc<dyn Deliver<M>>,
}

impl<M: Message> Recipient<M> {
    /// A recipient that is reached in this way.
    pub fn new(to: Arc<dyn Deliver<M>>) -> Self {
        Self { to }
    }

    /// Where its messages go.
    pub fn path(&self) -> String {
        self.to.path()
    }

    /// Asks, and waits for the reply; see [`Ask`].
    pub fn ask(&self, message: M) -> Ask<'_, M> {
        Ask::new(&*self.to, message)
    }

    /// Sends without waiting for a reply; waits for room. See [`Tell`].
    pub fn tell(&self, message: M) -> Tell<'_, M> {
        Tell::new(&*self.to, message)
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    /// There is no room, others wait for room, or the actor takes no more messages.
    pub fn try_tell(&self, message: M) -> Result<(), TryTellError<M>> {
        self.to.try_tell(message, &Meta::default())
    }

    pub(crate) fn deliver(&self) -> &Arc<dyn Deliver<M>> {
        &self.to
    }
}

/// A recipient is a way itself, so that another way can lead through it: one that counts, guards or chooses.
impl<M: Message> Deliver<M> for Recipient<M> {
    fn path(&self) -> String {
        self.to.path()
    }

    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>> {
        self.to.try_tell(message, meta)
    }

    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        self.to.tell(message, meta)
    }

    fn try_ask(&self, message: M, meta: Meta) -> Result<Receipt<M::Reply>, (M, Meta)> {
        self.to.try_ask(message, meta)
    }

    fn ask(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        self.to.ask(message, meta)
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self { to: Arc::clone(&self.to) }
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recipient").field(&self.path()).finish()
    }
}
