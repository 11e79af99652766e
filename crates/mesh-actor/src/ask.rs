//! A message with an answer, about to be sent.

use std::fmt;
use std::future::IntoFuture;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::cancel::Cancel;
use crate::deliver::Deliver;
use crate::error::AskError;
use crate::message::{Message, Meta, Sender};
use crate::reply::Receipt;

/// How long an ask waits for its reply, and a tell for room, unless they say otherwise.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an ask that was withdrawn waits for its handler's end, at most: 5 s.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

/// An ask. It is sent when it is awaited; one deadline, by default 5 s away, covers the wait for room, the queue, the
/// handler and the reply.
///
/// Dropping its future withdraws the message: if it was not taken yet it does not run, and a handler that runs can
/// see it ([`Context::cancelled`](crate::Context::cancelled)). Who wants to know of the handler's end withdraws it by a
/// signal: [`cancel_on`](Self::cancel_on).
#[must_use = "an ask is not sent until it is awaited"]
pub struct Ask<'a, M: Message> {
    to: &'a dyn Deliver<M>,
    message: M,
    meta: Meta,
    timeout: Duration,
    unwanted: Option<Cancel>,
}

impl<'a, M: Message> Ask<'a, M> {
    pub(crate) fn new(to: &'a dyn Deliver<M>, message: M) -> Self {
        Self { to, message, meta: Meta::default(), timeout: DEFAULT_TIMEOUT, unwanted: None }
    }

    /// Waits at most this long, from its sending on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.meta.deadline = None;
        self
    }

    /// Waits until then at most; `None` leaves the timeout. A handler passes its own on: `cx.deadline()`.
    pub fn deadline(mut self, deadline: impl Into<Option<Instant>>) -> Self {
        self.meta.deadline = deadline.into().or(self.meta.deadline);
        self
    }

    /// Withdraws the message when `unwanted` is set, and then waits for its end: the ask ends as soon as the handler has
    /// ended, or is sure not to begin, on whichever node. It waits for that until its deadline, and no longer than
    /// [`CONFIRM_TIMEOUT`].
    ///
    /// A handler that asks others for its answer gives its own signal on ([`Context::cancel`](crate::Context::cancel)).
    /// When the first asker withdraws its message, all that it led to are withdrawn, and the first hears of it when the last
    /// has ended.
    ///
    /// Once withdrawn, the ask brings what its end was: a reply all the same, [`AskError::Cancelled`] when nothing ran,
    /// another error of the handler's end, or [`AskError::Unconfirmed`].
    ///
    /// ```
    /// # use mesh_actor::{Actor, Context, Handler, Message, Recipient};
    /// # struct Question(String);
    /// # impl Message for Question { type Reply = Option<String>; }
    /// struct Desk(Recipient<Question>);
    /// # impl Actor for Desk {}
    /// impl Handler<Question> for Desk {
    ///     async fn handle(&mut self, question: Question, cx: &mut Context<Self>) -> Option<String> {
    ///         self.0.ask(question).deadline(cx.deadline()).cancel_on(cx.cancel()).await.ok().flatten()
    ///     }
    /// }
    /// ```
    pub fn cancel_on(mut self, unwanted: Cancel) -> Self {
        self.unwanted = Some(unwanted);
        self
    }

    /// Says who asks.
    pub fn from(mut self, sender: Sender) -> Self {
        self.meta.sender = Some(sender);
        self
    }
}

impl<M: Message> IntoFuture for Ask<'_, M> {
    type Output = Result<M::Reply, AskError>;
    type IntoFuture = AskFuture<M>;

    #[inline]
    fn into_future(self) -> AskFuture<M> {
        let Self { to, message, mut meta, timeout, unwanted } = self;
        let started = Instant::now();
        let deadline = *meta.deadline.get_or_insert(started + timeout);
        if unwanted.as_ref().is_some_and(Cancel::is_cancelled) {
            let path = to.path();
            return AskFuture::elsewhere(Box::pin(async move { Err(AskError::Cancelled { path }) }));
        }
        match (to.try_ask(message, meta), unwanted) {
            (Ok(receipt), None) => AskFuture::waiting(receipt, started, deadline),
            (Ok(receipt), Some(unwanted)) => {
                let waiting = AskFuture::<M>::waiting(receipt, started, deadline);
                AskFuture::elsewhere(Box::pin(waiting.until_ended(unwanted)))
            }
            (Err((message, meta)), cancel) => AskFuture::elsewhere(to.ask(message, Meta { cancel, ..meta })),
        }
    }
}

pin_project! {
    /// The future of an [`Ask`].
    ///
    /// # Cancel safety
    /// Dropping it withdraws the message, which may have run.
    #[must_use = "dropping the future withdraws the message"]
    pub struct AskFuture<M: Message> {
        #[pin]
        state: State<M>,
    }
}

pin_project! {
    #[project = StateInPlace]
    enum State<M: Message> {
        Here { call: Call<M>, #[pin] alarm: Option<Sleep> },
        Elsewhere { reply: BoxFuture<'static, Result<M::Reply, AskError>> },
    }
}

/// An ask that waits for an answer in this process.
struct Call<M: Message> {
    receipt: Receipt<M::Reply>,
    started: Instant,
    deadline: Instant,
}

impl<M: Message> AskFuture<M> {
    pub(crate) fn waiting(receipt: Receipt<M::Reply>, started: Instant, deadline: Instant) -> Self {
        Self { state: State::Here { call: Call { receipt, started, deadline }, alarm: None } }
    }

    pub(crate) fn elsewhere(reply: BoxFuture<'static, Result<M::Reply, AskError>>) -> Self {
        Self { state: State::Elsewhere { reply } }
    }

    /// Waits for the answer, and once it is unwanted for the handler's end.
    pub(crate) async fn until_ended(self, unwanted: Cancel) -> Result<M::Reply, AskError> {
        let mut waiting = pin!(self);
        tokio::select! {
            biased;
            answer = waiting.as_mut() => return answer,
            () = unwanted.cancelled() => {}
        }
        let StateInPlace::Here { call, .. } = waiting.as_mut().project().state.project() else {
            return waiting.await;
        };
        call.receipt.withdraw();
        let path = call.receipt.path().to_owned();
        timeout(CONFIRM_TIMEOUT, waiting).await.unwrap_or(Err(AskError::Unconfirmed { path }))
    }
}

impl<M: Message> Future for AskFuture<M> {
    type Output = Result<M::Reply, AskError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (call, mut alarm) = match self.project().state.project() {
            StateInPlace::Elsewhere { reply } => return reply.as_mut().poll(cx),
            StateInPlace::Here { call, alarm } => (call, alarm),
        };
        match Pin::new(&mut call.receipt).poll(cx) {
            Poll::Ready(Err(AskError::DeadlineExceeded { may_have_run, .. })) => {
                return Poll::Ready(Err(call.is_late(may_have_run)));
            }
            Poll::Ready(answer) => return Poll::Ready(answer),
            Poll::Pending => {}
        }
        if alarm.is_none() {
            alarm.set(Some(sleep_until(call.deadline)));
        }
        match alarm.as_pin_mut().map(|alarm| alarm.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(call.is_late(call.receipt.may_have_run()))),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

impl<M: Message> Call<M> {
    fn is_late(&self, may_have_run: bool) -> AskError {
        let budget_ms = u64::try_from((self.deadline - self.started).as_millis()).unwrap_or(u64::MAX);
        AskError::DeadlineExceeded { path: self.receipt.path().to_owned(), budget_ms, may_have_run }
    }
}

impl<M: Message> fmt::Debug for Ask<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("to", &self.to.path()).field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl<M: Message> fmt::Debug for AskFuture<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskFuture").finish_non_exhaustive()
    }
}
