//! The task of ractor in which an actor runs.

use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use ractor::{ActorProcessingErr, ActorRef as TaskRef};

use crate::actor::{Actor, ExitReason, StartError};
use crate::actor_ref::ActorRef;
use crate::context::Context;
use crate::life::Stage;
use crate::mailbox::{Entry, Hand, Mailbox, Next};
use crate::turn;

/// The only message that ever lies in ractor's queue, once for each incarnation: take messages until the end.
///
/// The doorbell of the mailbox is this task's waker. Ringing through ractor's queue would cost each ask to an idle
/// actor another 150 ns: a send, a receive, and a look at ractor's other queues.
pub(crate) struct Begin;

/// Makes the actor, at its start and at each restart.
pub(crate) type Factory<A> = Arc<Mutex<dyn FnMut() -> BoxFuture<'static, Result<A, StartError>> + Send>>;

/// The actor of ractor that runs ours.
pub(crate) struct Cell<A>(PhantomData<fn() -> A>);

impl<A> Cell<A> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

/// What one incarnation of an actor needs.
pub(crate) struct Seat<A: Actor> {
    pub(crate) mailbox: Mailbox<A>,
    pub(crate) factory: Factory<A>,
}

/// One incarnation of an actor.
pub(crate) struct Incarnation<A: Actor> {
    /// None before it is made and after it is gone. After a crash it is gone before the supervisor hears of it, so
    /// that two incarnations never exist at once.
    actor: Option<A>,
    cx: Context<A>,
    hand: VecDeque<Entry<A>>,
    mailbox: Mailbox<A>,
    factory: Factory<A>,
}

impl<A: Actor> ractor::Actor for Cell<A> {
    type Msg = Begin;
    type State = Incarnation<A>;
    type Arguments = Seat<A>;

    async fn pre_start(
        &self,
        me: TaskRef<Begin>,
        seat: Seat<A>,
    ) -> Result<Incarnation<A>, ActorProcessingErr> {
        let Seat { mailbox, factory } = seat;
        mailbox.inner().sit(&me.get_cell());
        let cx = Context::new(ActorRef::from(mailbox.clone()));
        Ok(Incarnation { actor: None, cx, hand: VecDeque::new(), mailbox, factory })
    }

    /// Here and not in `pre_start`, whose failures ractor does not tell the supervisor.
    async fn post_start(
        &self,
        me: TaskRef<Begin>,
        this: &mut Incarnation<A>,
    ) -> Result<(), ActorProcessingErr> {
        let making = (this.factory.lock())();
        let mut actor = making.await.map_err(|error| error.to_string())?;
        actor.started(&mut this.cx).await.map_err(|error| error.to_string())?;
        if let Some(reason) = this.cx.take_failure() {
            return Err(reason.into());
        }
        this.actor = Some(actor);
        this.mailbox.inner().life.enter(Stage::Running);
        let _ = me.cast(Begin);
        Ok(())
    }

    async fn handle(
        &self,
        me: TaskRef<Begin>,
        _: Begin,
        this: &mut Incarnation<A>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(actor) = &mut this.actor else { return Ok(()) };
        let work = work(&this.mailbox, &mut this.hand, actor, &mut this.cx);
        let (crash, is_panic) = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(()) => (this.cx.take_failure(), false),
            Err(panic) => (Some(text_of(&*panic)), true),
        };
        match crash {
            None => {
                me.stop(None);
                Ok(())
            }
            Some(reason) => {
                this.actor = None;
                // One that fails in order has handled its message.
                if is_panic {
                    let in_hand = this.cx.drop_in_hand();
                    this.mailbox.inner().has_crashed(in_hand, &reason);
                }
                Err(reason.into())
            }
        }
    }

    async fn post_stop(
        &self,
        _: TaskRef<Begin>,
        this: &mut Incarnation<A>,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(mut actor) = this.actor.take() {
            let reason = this.mailbox.inner().ending().unwrap_or(ExitReason::Stopped);
            actor.stopped(&reason, &mut this.cx).await;
        }
        Ok(())
    }
}

/// Handles messages until the actor has to stop, or fails.
async fn work<A: Actor>(
    mailbox: &Mailbox<A>,
    entries: &mut VecDeque<Entry<A>>,
    actor: &mut A,
    cx: &mut Context<A>,
) {
    while !cx.is_leaving() {
        match take_turn(mailbox, entries, actor, cx).await {
            _ if cx.is_leaving() => {}
            Next::Leave => return,
            Next::Rest => {
                cx.turn().rest();
                rest().await;
            }
            Next::More if cx.turn().is_neighbours_turn() => tokio::task::yield_now().await,
            Next::More => {}
        }
    }
}

/// Handles a batch of what is queued.
async fn take_turn<A: Actor>(
    mailbox: &Mailbox<A>,
    entries: &mut VecDeque<Entry<A>>,
    actor: &mut A,
    cx: &mut Context<A>,
) -> Next {
    let mut hand = Hand::take(mailbox.inner(), entries, turn::MESSAGES as usize);
    cx.turn().begin(hand.has_waited());
    while hand.open_next(actor, cx).await {
        if cx.must_rest() {
            break;
        }
    }
    let expired = cx.take_expired();
    poll_fn(|task| Poll::Ready(hand.finish(expired, task.waker()))).await
}

/// Waits to be woken, for whatever reason: by the bell, mostly.
async fn rest() {
    let mut has_rested = false;
    poll_fn(|_| if std::mem::replace(&mut has_rested, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// A panic's message.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}
