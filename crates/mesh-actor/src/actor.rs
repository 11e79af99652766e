//! What an actor is: state, and one handler for each message that it takes.

use std::fmt;
use std::future::Future;

use crate::context::Context;
use crate::message::{Message, Streaming};
use crate::stream::{Items, Open};

/// State that handles one message at a time.
///
/// A panic in any of its methods, and [`Context::fail`], are crashes: the supervisor decides what follows.
pub trait Actor: Sized + Send + 'static {
    /// Runs before the first message, and again after each restart.
    ///
    /// # Errors
    /// An error is a crash: the supervisor tries again, after a pause, until it gives up.
    fn started(&mut self, cx: &mut Context<Self>) -> impl Future<Output = Result<(), StartError>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// Runs after the last message of an actor that was stopped or drained; not after a crash or a kill.
    fn stopped(&mut self, reason: &ExitReason, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        let _ = (reason, cx);
        async {}
    }
}

/// Handles one type of message.
///
/// An expected failure is part of the reply (`type Reply = Result<T, E>`); a panic or [`Context::fail`] is a crash.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{M}`",
    note = "write `impl Handler<{M}> for {Self}`, or `StreamHandler` for a message that streams its answer"
)]
pub trait Handler<M: Message>: Actor {
    /// Handles the message; what it returns goes to the asker, if there is one.
    ///
    /// The actor takes no other message meanwhile. A kill drops the future at its next await.
    fn handle(&mut self, message: M, cx: &mut Context<Self>) -> impl Future<Output = M::Reply> + Send;
}

/// Handles a message whose answer is a sequence of items, then a reply.
pub trait StreamHandler<M: Streaming>: Actor {
    /// Sends the items, waits for room as needed, and returns the reply that closes the sequence.
    fn stream(
        &mut self,
        message: M,
        items: Items<M::Item>,
        cx: &mut Context<Self>,
    ) -> impl Future<Output = M::Reply> + Send;
}

impl<A: StreamHandler<M>, M: Streaming> Handler<Open<M>> for A {
    async fn handle(&mut self, open: Open<M>, cx: &mut Context<Self>) -> M::Reply {
        self.stream(open.message, open.items, cx).await
    }
}

/// Why an actor could not start.
///
/// Any error converts into it, so `?` works in [`Actor::started`]; for that reason it is no `Error` itself.
#[derive(Clone, PartialEq, Eq)]
pub struct StartError {
    reason: String,
}

impl StartError {
    /// An error with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    /// What went wrong, for people.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl<E: std::error::Error> From<E> for StartError {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason.push_str(": ");
            reason.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { reason }
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StartError({:?})", self.reason)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// How an actor ended for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExitReason {
    /// It was stopped, from outside or by itself; what was queued did not run.
    #[error("stopped")]
    Stopped,
    /// It finished its mailbox, then stopped.
    #[error("drained")]
    Drained,
    /// It was killed, maybe in the middle of a message.
    #[error("killed")]
    Killed,
    /// It crashed, and its policy does not restart it or its supervisor gave up.
    #[error("crashed: {reason}")]
    Crashed {
        /// The last crash: the panic's message, or the reason given to `Context::fail`.
        reason: String,
        /// Restarts before that.
        restarts: u32,
    },
}
