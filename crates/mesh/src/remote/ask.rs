//! An ask that is on its way at once: the way is known, the mailbox has lent room, the lane has some.

use super::{Asked, Route, elapsed_ms, header, reply_of};
use crate::{
    pending::{Answer, Waiter},
    wire::WireMessage,
};
use mesh_actor::{AskError, Meta};
use mesh_proto::{
    encode_payload,
    frame::{Content, MessageHeader},
};
use serde::de::DeserializeOwned;
use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{sync::oneshot, time::Instant};

/// Waits for the reply, which at the deadline is `Late`. Small, since each ask allocates one.
pub(super) struct Waiting<R> {
    route: Arc<Route>,
    asked: Option<Asked>,
    replied: oneshot::Receiver<Answer>,
    started: Instant,
    deadline: Option<Instant>,
    of: PhantomData<fn() -> R>,
}

impl Route {
    /// Sends the ask now.
    ///
    /// # Errors
    /// The message, if anything has to be waited for first or stands in the way.
    pub(super) fn ask_now<M: WireMessage>(
        self: &Arc<Self>,
        message: M,
        meta: &Meta,
    ) -> Result<Waiting<M::Reply>, M> {
        let started = Instant::now();
        let (reply, replied) = oneshot::channel();
        let asked = self.with_channel(|channel, kind| {
            let header = header(channel, kind, Content::Bincode, meta, || started)?;
            let asked = Asked::until(channel.session(), Waiter::Ask(reply), meta.deadline).ok()?;
            let header = MessageHeader { correlation: asked.correlation, ..header };
            match channel.try_send(&header, |buffer| encode_payload(&message, buffer)) {
                Ok(()) => Some(asked),
                Err(_) => {
                    asked.never_sent();
                    None
                }
            }
        });
        let Some(asked) = asked.flatten() else { return Err(message) };
        let (route, deadline) = (Arc::clone(self), meta.deadline);
        Ok(Waiting { route, asked: Some(asked), replied, started, deadline, of: PhantomData })
    }
}

impl<R: DeserializeOwned> Future for Waiting<R> {
    type Output = Result<R, AskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Poll::Ready(answer) = Pin::new(&mut this.replied).poll(cx) else { return Poll::Pending };
        let path = &this.route.path;
        let asked = this.asked.take().expect("a future is not polled after its end");
        let reply = match answer.unwrap_or(Answer::Lost) {
            Answer::Late => Err(AskError::DeadlineExceeded {
                path: path.to_string(),
                budget_ms: elapsed_ms(this.started, this.deadline),
                may_have_run: true,
            }),
            answer => reply_of(answer, &asked.session, path),
        };
        asked.answered();
        Poll::Ready(reply)
    }
}
