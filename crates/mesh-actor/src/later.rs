//! Messages whose answers come after their handlers have returned.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::actor::Handler;
use crate::actor_ref::ActorRef;
use crate::ask::{AskFuture, DEFAULT_TIMEOUT};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::deliver::{Deliver, Recipient};
use crate::error::{AskError, TellError, TryTellError};
use crate::letter::Letter;
use crate::message::{Message, Meta};
use crate::reply::reply_slot;

/// A message together with the answer that is owed for it: what really travels to an actor that answers later.
///
/// Its handler takes the two apart, and returns; the actor takes the next message while the answer is still worked on, by
/// whatever the actor owns for that. An actor that takes `Later<M>` is asked with `M`, as any other:
///
/// ```
/// use mesh_actor::{Actor, ActorSpec, Answer, Context, Handler, Later, Message, Runtimes, System};
///
/// struct Question(u32);
/// impl Message for Question {
///     type Reply = u32;
/// }
///
/// /// Answers in pairs.
/// #[derive(Default)]
/// struct Pairs(Option<Answer<u32>>);
/// impl Actor for Pairs {}
/// impl Handler<Later<Question>> for Pairs {
///     async fn handle(&mut self, later: Later<Question>, _: &mut Context<Self>) {
///         let (Question(number), answer) = later.take();
///         match self.0.take() {
///             None => self.0 = Some(answer),
///             Some(first) => {
///                 first.send(number);
///                 answer.send(number);
///             }
///         }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let system = System::new(Runtimes::current());
/// let pairs = system.spawn(ActorSpec::new("pairs"), Pairs::default).answers_later::<Question>();
/// let (first, second) = tokio::join!(pairs.ask(Question(1)), pairs.ask(Question(2)));
/// assert_eq!((first?, second?), (2, 2));
/// # Ok::<(), mesh_actor::AskError>(())
/// # }).unwrap();
/// ```
pub struct Later<M: Message> {
    message: M,
    answer: Answer<M::Reply>,
}

impl<M: Message> Later<M> {
    /// A message with its answer, for implementors of [`Deliver`] and [`Parcel`](crate::Parcel).
    pub fn new(message: M, answer: Answer<M::Reply>) -> Self {
        Self { message, answer }
    }

    /// Takes the two apart. From now on the message may have run.
    pub fn take(self) -> (M, Answer<M::Reply>) {
        self.answer.slot.taken();
        (self.message, self.answer)
    }
}

impl<M: Message> Message for Later<M> {
    type Reply = ();

    fn weight_bytes(&self) -> usize {
        self.message.weight_bytes()
    }
}

impl<M: Message> fmt::Debug for Later<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

/// Where an answer goes that is given later. Dropped without one, it tells the asker that the actor has stopped.
pub struct Answer<R> {
    slot: Box<dyn AnswerSlot<R>>,
    deadline: Option<Instant>,
    cancel: Cancel,
}

/// The way of one answer to its asker. It is asked once, for one of the two; dropped, it tells the asker by itself.
pub trait AnswerSlot<R>: Send {
    /// The message was taken.
    fn taken(&self) {}

    /// Sends the reply.
    fn send(self: Box<Self>, reply: R);

    /// Tells the asker that there will be none.
    fn fail(self: Box<Self>, error: AskError);
}

impl<R> Answer<R> {
    /// An answer that goes this way, is of use until `deadline`, and is wanted until `cancel` is set.
    pub fn new(slot: Box<dyn AnswerSlot<R>>, deadline: Option<Instant>, cancel: Cancel) -> Self {
        Self { slot, deadline, cancel }
    }

    /// Gives the answer.
    pub fn send(self, reply: R) {
        self.slot.send(reply);
    }

    /// When it stops being of use; none for a tell that set none.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The signal that is set when nobody waits for it any more.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl<R> fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("deadline", &self.deadline)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}

/// The answer to a tell.
struct Nowhere;

impl<R> AnswerSlot<R> for Nowhere {
    fn send(self: Box<Self>, _: R) {}

    fn fail(self: Box<Self>, _: AskError) {}
}

impl<R: Send + 'static> AnswerSlot<R> for crate::reply::Reply<R> {
    fn taken(&self) {
        Self::taken(self);
    }

    fn send(self: Box<Self>, reply: R) {
        Self::send(*self, reply);
    }

    fn fail(self: Box<Self>, error: AskError) {
        Self::fail(*self, error);
    }
}

impl<A: crate::Actor> ActorRef<A> {
    /// The actor for messages that it answers later.
    pub fn answers_later<M: Message>(&self) -> Recipient<M>
    where
        A: Handler<Later<M>>,
    {
        Recipient::new(Arc::new(Way(self.clone())))
    }
}

/// An actor that takes `Later<M>`, for who asks with `M`.
struct Way<A: crate::Actor>(ActorRef<A>);

impl<A: Handler<Later<M>>, M: Message> Deliver<M> for Way<A> {
    fn path(&self) -> String {
        self.0.path().to_owned()
    }

    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>> {
        let later = Later::new(message, untold(meta));
        self.0.recipient::<Later<M>>().deliver().try_tell(later, meta).map_err(|error| match error {
            TryTellError::Full { message, len, capacity } => {
                TryTellError::Full { message: message.message, len, capacity }
            }
            TryTellError::Refused { message, error } => {
                TryTellError::Refused { message: message.message, error }
            }
        })
    }

    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let later = Later::new(message, untold(&meta));
        self.0.recipient::<Later<M>>().deliver().tell(later, meta)
    }

    fn ask(&self, message: M, mut meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        let to = self.0.clone();
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
            let (reply, receipt) = reply_slot(to.path().into());
            let cancel = reply.cancel();
            meta.deadline = Some(deadline);
            meta.cancel = Some(cancel.clone());
            let later = Later::new(message, Answer::new(Box::new(reply), Some(deadline), cancel));
            to.mailbox().push(permit, Box::new(AskedLater { later, meta }));
            let waiting = AskFuture::<M>::waiting(receipt, started, deadline);
            match unwanted {
                None => waiting.await,
                Some(unwanted) => waiting.until_ended(unwanted).await,
            }
        })
    }
}

fn untold<R>(meta: &Meta) -> Answer<R> {
    Answer::new(Box::new(Nowhere), meta.deadline, meta.cancel.clone().unwrap_or_default())
}

/// An ask whose answer comes later.
struct AskedLater<M: Message> {
    later: Later<M>,
    meta: Meta,
}

impl<A: Handler<Later<M>>, M: Message> Letter<A> for AskedLater<M> {
    fn open<'a>(self: Box<Self>, actor: &'a mut A, cx: &'a mut Context<A>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Self { later, meta } = *self;
            match cx.enter(meta) {
                Ok(()) => {
                    cx.names::<M>();
                    actor.handle(later, cx).await;
                }
                Err(skipped) => later.answer.slot.fail(skipped.error(cx.me().path())),
            }
        })
    }

    fn reject(self: Box<Self>, why: &AskError) {
        self.later.answer.slot.fail(why.clone());
    }
}
