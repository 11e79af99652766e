//! The subscriber that stands for a reader elsewhere.

use super::{Published, port::Followers};
use crate::{
    port::{Local, LocalPort},
    shared::Shared,
    wire::{Kinds, WireActor},
};
use mesh_actor::{Actor, ActorRef, ActorSpec, AskError, Class, Context, ExitReason, Handler, Restart};
use mesh_proto::Subscription;
use std::{collections::btree_map::Entry, sync::Arc};
use tokio::sync::mpsc;

/// Messages that a node keeps for a reader who does not read: 64, beside those on their way to it.
const MAILBOX: u32 = 64;

/// Passes what it is told on to a stream, when that has room.
struct Tap {
    out: mpsc::Sender<Published>,
}

impl Actor for Tap {}

impl Handler<Published> for Tap {
    async fn handle(&mut self, published: Published, cx: &mut Context<Self>) {
        if self.out.send(published).await.is_err() {
            cx.stop();
        }
    }
}

impl WireActor for Tap {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Published>()
    }
}

/// A tap that is subscribed. Dropped, it is no longer, and ends.
pub(super) struct OpenTap {
    shared: Arc<Shared>,
    name: String,
    actor: ActorRef<Tap>,
    port: Arc<dyn Local>,
    published: mpsc::Receiver<Published>,
}

impl OpenTap {
    /// Subscribes a new one to a topic.
    ///
    /// # Errors
    /// [`AskError`] when the node has too many subscriptions, or the name is taken.
    pub(super) fn open(
        shared: &Arc<Shared>,
        followers: &Followers,
        topic: &str,
        kind: Option<String>,
    ) -> Result<Self, AskError> {
        let name = format!("taps/{topic}/{}", followers.next_number());
        let (out, published) = mpsc::channel(1);
        let spec = ActorSpec::new(&name).mailbox(MAILBOX).class(Class::Trusted).restart(Restart::Temporary);
        let actor = shared.system.spawn(spec, move || Tap { out: out.clone() });
        let port: Arc<dyn Local> = LocalPort::new(shared.actor_id(actor.serial()), actor.clone())
            .expect("the kind is one of this crate's, and follows the rules");
        shared.reclaimer.watch(&port);
        match shared.ports.write().entry(name.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::clone(&port));
            }
            // Somebody has published an actor so; the next number is another name.
            Entry::Occupied(_) => {
                actor.stop();
                return Err(AskError::NameTaken { path: format!("{}/{name}", shared.me.name) });
            }
        }
        // From here on its end takes everything along.
        let tap = Self { shared: Arc::clone(shared), name, actor, port, published };
        let subscription =
            Subscription { topic: topic.to_owned(), kind, name: tap.name.clone(), is_wrapped: true };
        let membership = shared.membership().ok_or_else(|| tap.not_running())?;
        let denied = |reason: String| AskError::Denied { path: tap.path(), reason };
        membership.subscribe(subscription).map_err(|error| denied(error.to_string()))?;
        Ok(tap)
    }

    /// Where it is found.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.shared.me.name, self.name)
    }

    /// The next message; `None` when the actor has ended.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Published> {
        tokio::select! {
            // What it was told before its end is passed on.
            biased;
            published = self.published.recv() => published,
            _ = self.actor.stopped() => None,
        }
    }

    fn not_running(&self) -> AskError {
        AskError::NotRunning { path: self.path() }
    }
}

impl Drop for OpenTap {
    fn drop(&mut self) {
        self.shared.withdraw(&self.name, &self.port, ExitReason::Stopped);
        self.actor.stop();
    }
}
