//! What happens without anybody's doing: time runs out, and others settle things in a store that nodes share.

use std::time::Duration;

use mesh::{ActorRef, Context, Handler, Mesh, Message};
use mesh_store::{ApprovalId, ApprovalState, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Inbox;
use crate::approvals::message::{ApprovalNews, TOPIC};

/// How often the inbox looks whether something it waits for has run out.
const TICK: Duration = Duration::from_millis(250);
/// Every so many ticks it looks for all of the store: what was asked by nodes that are gone runs out too, and what
/// is waited for here may have been answered at another node.
const ALL: u64 = 8;
/// News that wait to be told; later ones are not, since the store has them all.
const NEWS_MAX: usize = 256;

/// Look what has run out.
pub(super) struct Sweep {
    is_of_all: bool,
}

impl Message for Sweep {
    type Reply = ();
}

/// The inbox's own tasks; they end with it.
#[derive(Debug)]
pub(super) struct Sweeper {
    tasks: [JoinHandle<()>; 2],
    news: mpsc::Sender<ApprovalNews>,
}

impl Sweeper {
    pub(super) fn spawn(mesh: &Mesh, inbox: ActorRef<Inbox>) -> Self {
        let (news, mut told) = mpsc::channel(NEWS_MAX);
        let ticks = tokio::spawn(async move {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for count in 0_u64.. {
                ticks.tick().await;
                // One that is busy, or gone, is not told more than that.
                let _ = inbox.try_tell(Sweep { is_of_all: count.is_multiple_of(ALL) });
            }
        });
        let topic = mesh.topic::<ApprovalNews>(TOPIC).expect("it is a topic");
        let publishes = tokio::spawn(async move {
            while let Some(news) = told.recv().await {
                // Who has no room looks at the list later.
                if let Err(error) = topic.try_publish(news).await {
                    tracing::debug!(%error, "news of an approval are not told");
                }
            }
        });
        Self { tasks: [ticks, publishes], news }
    }

    pub(super) fn tell(&self, news: ApprovalNews) {
        if self.news.try_send(news).is_err() {
            tracing::debug!("more news of approvals than are told");
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Handler<Sweep> for Inbox {
    async fn handle(&mut self, Sweep { is_of_all }: Sweep, _: &mut Context<Self>) {
        let now_ms = self.clock.now_ms();
        let is_due = self.waiting.values().any(|waiting| waiting.expires_ms <= now_ms);
        let swept = if is_due || is_of_all { self.sweep().await } else { Ok(()) };
        if let Err(error) = swept {
            tracing::warn!(%error, "cannot look which requests for approval have run out");
        }
    }
}

impl Inbox {
    /// Ends what has run out, and notes what was settled elsewhere.
    pub(super) async fn sweep(&mut self) -> Result<(), StoreError> {
        loop {
            let expired = self.store.expire_approvals(self.clock.now_ms()).await?;
            if expired.is_empty() {
                break;
            }
            for approval in expired {
                let settled = self.settled(approval.id).await?;
                self.settle(settled);
            }
        }
        let waiting: Vec<ApprovalId> = self.waiting.keys().copied().collect();
        for id in waiting {
            if self.store.approval(id).await?.state != ApprovalState::Pending {
                let settled = self.settled(id).await?;
                self.settle(settled);
            }
        }
        Ok(())
    }
}
