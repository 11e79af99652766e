//! An actor of this process, for every message that it handles.

use std::fmt;
use std::sync::Arc;

use crate::actor::{Actor, ExitReason, Handler, StreamHandler};
use crate::ask::Ask;
use crate::deliver::{Deliver, Recipient};
use crate::error::TryTellError;
use crate::info::ActorInfo;
use crate::mailbox::Mailbox;
use crate::message::{Message, Meta, Streaming};
use crate::stream::{Open, ReplyStream};
use crate::tell::Tell;

/// An actor of this process; cheap to clone, and the same before and after a restart.
pub struct ActorRef<A: Actor> {
    mailbox: Mailbox<A>,
}

impl<A: Actor> ActorRef<A> {
    /// The actor's number: unique in this process, and kept over restarts.
    pub fn serial(&self) -> u64 {
        self.mailbox.inner().life.serial()
    }

    /// The name of its spec.
    pub fn path(&self) -> &str {
        self.mailbox.inner().life.path()
    }

    /// What its spec says that it can do, in the order in which it was said.
    pub fn capabilities(&self) -> &[String] {
        &self.mailbox.inner().life.listing().capabilities
    }

    /// Whether other nodes are meant to have an actor of its published name too.
    pub fn is_on_every_node(&self) -> bool {
        self.mailbox.inner().life.listing().is_on_every_node
    }

    /// The epoch under which it was placed; none for an actor that nobody has placed.
    pub fn epoch(&self) -> Option<u64> {
        let epoch = self.mailbox.inner().life.listing().epoch;
        (epoch > 0).then_some(epoch)
    }

    /// Its mailbox, for those who carry messages from elsewhere.
    pub fn mailbox(&self) -> &Mailbox<A> {
        &self.mailbox
    }

    /// What can be seen of it now.
    pub fn info(&self) -> ActorInfo {
        self.mailbox.inner().info()
    }

    /// Asks, and waits for the reply; see [`Ask`].
    pub fn ask<M: Message>(&self, message: M) -> Ask<'_, M>
    where
        A: Handler<M>,
    {
        Ask::new(self, message)
    }

    /// Sends without waiting for a reply; waits for room. See [`Tell`].
    pub fn tell<M: Message>(&self, message: M) -> Tell<'_, M>
    where
        A: Handler<M>,
    {
        Tell::new(self, message)
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    /// There is no room, others wait for room, or the actor takes no more messages.
    pub fn try_tell<M: Message>(&self, message: M) -> Result<(), TryTellError<M>>
    where
        A: Handler<M>,
    {
        Deliver::try_tell(self, message, &Meta::default())
    }

    /// Asks for a sequence of items; see [`ReplyStream`].
    pub fn stream<M: Streaming>(&self, message: M) -> ReplyStream<M>
    where
        A: StreamHandler<M>,
    {
        self.recipient::<Open<M>>().stream(message)
    }

    /// The actor as a recipient of one type of message.
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Handler<M>,
    {
        Recipient::new(Arc::new(self.clone()))
    }

    /// Stops the actor after the message in hand, for good. What is queued does not run: its askers are told
    /// `NotRunning`.
    pub fn stop(&self) {
        self.mailbox.inner().stop();
    }

    /// Has the actor finish what is queued, and then stop for good. From now on nothing new is accepted.
    pub fn drain(&self) {
        self.mailbox.inner().drain();
    }

    /// Ends the actor for good, and drops its handler at its next await.
    pub fn kill(&self) {
        self.mailbox.inner().kill();
    }

    /// Has the actor take no more messages after the one in hand, until it is resumed. The mailbox fills meanwhile.
    pub fn pause(&self) {
        self.mailbox.inner().pause(true);
    }

    /// Undoes a pause.
    pub fn resume(&self) {
        self.mailbox.inner().pause(false);
    }

    /// Waits until the actor has ended for good, and tells how.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn stopped(&self) -> ExitReason {
        self.mailbox.inner().life.stopped().await
    }
}

impl<A: Actor> From<Mailbox<A>> for ActorRef<A> {
    fn from(mailbox: Mailbox<A>) -> Self {
        Self { mailbox }
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone() }
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorRef").field("path", &self.path()).field("serial", &self.serial()).finish()
    }
}
