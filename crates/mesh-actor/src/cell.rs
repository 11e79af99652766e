//! The task of ractor in which an actor runs, and the bell that wakes it.

use std::any::Any;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

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

/// The only message in ractor's queue, of which there is at most one.
pub(crate) struct Ring;

/// Wakes an actor's task.
#[derive(Clone)]
pub(crate) struct Bell(TaskRef<Ring>);

impl Bell {
    /// A task that has ended is rung in vain: the next one looks into the mailbox when it starts.
    pub(crate) fn ring(&self) {
        let _ = self.0.cast(Ring);
    }

    pub(crate) fn stop(&self) {
        self.0.stop(None);
    }

    pub(crate) fn kill(&self) {
        self.0.kill();
    }
}

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
    /// None before it is made and after it is gone. It is gone before the task tells its end, so that two
    /// incarnations never exist at once.
    actor: Option<A>,
    cx: Context<A>,
    hand: VecDeque<Entry<A>>,
    mailbox: Mailbox<A>,
    factory: Factory<A>,
}

impl<A: Actor> ractor::Actor for Cell<A> {
    type Msg = Ring;
    type State = Incarnation<A>;
    type Arguments = Seat<A>;

    async fn pre_start(
        &self,
        me: TaskRef<Ring>,
        seat: Seat<A>,
    ) -> Result<Incarnation<A>, ActorProcessingErr> {
        let Seat { mailbox, factory } = seat;
        mailbox.inner().sit(&Bell(me));
        let cx = Context::new(ActorRef::from(mailbox.clone()));
        Ok(Incarnation { actor: None, cx, hand: VecDeque::new(), mailbox, factory })
    }

    /// Here and not in `pre_start`, whose failures ractor does not tell the supervisor.
    async fn post_start(
        &self,
        me: TaskRef<Ring>,
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
        if this.cx.is_stopping() {
            me.stop(None);
        } else {
            this.mailbox.inner().listen();
        }
        Ok(())
    }

    async fn handle(
        &self,
        me: TaskRef<Ring>,
        _: Ring,
        this: &mut Incarnation<A>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(actor) = &mut this.actor else { return Ok(()) };
        let turn = take_turn(&this.mailbox, &mut this.hand, actor, &mut this.cx);
        let crash = match AssertUnwindSafe(turn).catch_unwind().await {
            Ok(next) => match this.cx.take_failure() {
                Some(reason) => reason,
                None => {
                    go_on(next, &me, &mut this.cx).await;
                    return Ok(());
                }
            },
            Err(panic) => text_of(&*panic),
        };
        this.actor = None;
        Err(crash.into())
    }

    async fn post_stop(&self, _: TaskRef<Ring>, this: &mut Incarnation<A>) -> Result<(), ActorProcessingErr> {
        if let Some(mut actor) = this.actor.take() {
            let reason = this.mailbox.inner().ending().unwrap_or(ExitReason::Stopped);
            actor.stopped(&reason, &mut this.cx).await;
        }
        Ok(())
    }
}

/// Handles a batch of what is queued.
async fn take_turn<A: Actor>(
    mailbox: &Mailbox<A>,
    entries: &mut VecDeque<Entry<A>>,
    actor: &mut A,
    cx: &mut Context<A>,
) -> Next {
    cx.turn().begin();
    let mut hand = Hand::take(mailbox.inner(), entries, turn::MESSAGES as usize);
    while hand.open_next(actor, cx).await {
        if cx.must_rest() {
            break;
        }
    }
    hand.finish(cx.take_expired())
}

/// Acts on what a turn found to be next.
async fn go_on<A: Actor>(next: Next, me: &TaskRef<Ring>, cx: &mut Context<A>) {
    if cx.is_stopping() {
        return me.stop(None);
    }
    match next {
        Next::Rest => {}
        Next::Leave => me.stop(None),
        Next::More => {
            let _ = me.cast(Ring);
            // ractor goes from message to message without yielding, so that its task would keep the thread.
            if cx.turn().is_neighbours_turn() {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A panic's message.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}
