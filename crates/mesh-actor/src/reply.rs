//! The way back of one reply: a slot shared by who asks and who answers.
//!
//! The slot carries the cancel flag too, so an ask costs one allocation for both.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::cancel::{Cancel, Flag, Source};
use crate::error::AskError;

/// Makes the two ends of one reply.
///
/// `path` names who answers, for the error of an answer that never comes.
pub fn reply_slot<R: Send + 'static>(path: Arc<str>) -> (Reply<R>, Receipt<R>) {
    let call = Arc::new(Call {
        path,
        unwanted: Flag::new(),
        taken: AtomicBool::new(false),
        state: Mutex::new(State::Waiting(None)),
    });
    (Reply { call: Some(Arc::clone(&call)) }, Receipt { call, is_answered: false })
}

struct Call<R> {
    path: Arc<str>,
    unwanted: Flag,
    taken: AtomicBool,
    state: Mutex<State<R>>,
}

enum State<R> {
    Waiting(Option<Waker>),
    Answered(Result<R, AskError>),
    Consumed,
}

impl<R: Send> Source for Call<R> {
    fn flag(&self) -> &Flag {
        &self.unwanted
    }
}

impl<R> Call<R> {
    fn answer(&self, answer: Result<R, AskError>) {
        let waker = {
            let mut state = self.state.lock();
            match std::mem::replace(&mut *state, State::Answered(answer)) {
                State::Waiting(waker) => waker,
                State::Answered(_) | State::Consumed => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The answering end. Dropped without an answer, it tells the asker so.
pub struct Reply<R> {
    call: Option<Arc<Call<R>>>,
}

impl<R: Send + 'static> Reply<R> {
    /// Answers with the handler's reply.
    pub fn send(self, reply: R) {
        self.answer(Ok(reply));
    }

    /// Answers that there will be no reply.
    pub fn fail(self, error: AskError) {
        self.answer(Err(error));
    }

    /// Notes that the message was taken: from now on it may have run.
    pub fn taken(&self) {
        if let Some(call) = &self.call {
            call.taken.store(true, Ordering::Release);
        }
    }

    /// The signal that is set when the asker goes away.
    pub fn cancel(&self) -> Cancel {
        match &self.call {
            Some(call) => Cancel::of(Arc::<Call<R>>::clone(call)),
            None => Cancel::new(),
        }
    }

    fn answer(mut self, answer: Result<R, AskError>) {
        if let Some(call) = self.call.take() {
            call.answer(answer);
        }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let path = call.path.to_string();
            call.answer(Err(AskError::Stopped { path }));
        }
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// The asking end: a future of the answer. Dropped early, it sets the message's cancel signal.
#[must_use = "dropping the receipt cancels the message"]
pub struct Receipt<R> {
    call: Arc<Call<R>>,
    is_answered: bool,
}

impl<R> Receipt<R> {
    /// Who is to answer.
    pub fn path(&self) -> &str {
        &self.call.path
    }

    /// Sets the message's cancel signal. The answer still comes: it is the end of the message.
    pub fn withdraw(&self) {
        self.call.unwanted.set();
    }

    /// Whether the handler was started.
    pub fn may_have_run(&self) -> bool {
        self.call.taken.load(Ordering::Acquire)
    }
}

impl<R: Send + 'static> Future for Receipt<R> {
    type Output = Result<R, AskError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.call.state.lock();
        match std::mem::replace(&mut *state, State::Consumed) {
            State::Answered(answer) => {
                this.is_answered = true;
                Poll::Ready(answer)
            }
            State::Waiting(waker) => {
                let waker =
                    waker.filter(|waker| waker.will_wake(cx.waker())).unwrap_or_else(|| cx.waker().clone());
                *state = State::Waiting(Some(waker));
                Poll::Pending
            }
            State::Consumed => Poll::Ready(Err(AskError::Cancelled { path: this.call.path.to_string() })),
        }
    }
}

impl<R> Drop for Receipt<R> {
    fn drop(&mut self) {
        // The answer ends the message's life: only a call that still waits has someone to tell.
        if !self.is_answered && matches!(*self.call.state.lock(), State::Waiting(_)) {
            self.call.unwanted.set();
        }
    }
}

impl<R> fmt::Debug for Receipt<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("may_have_run", &self.may_have_run()).finish()
    }
}
