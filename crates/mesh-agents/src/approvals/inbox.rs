//! `NODE/approvals`: the one that people answer, and that agents wait for.
//!
//! What it is told is in the store before it says so; what it remembers itself is only who waits, and that is asked
//! again after a crash.

mod answer;
mod ask;
mod list;
mod sweep;

use std::collections::HashMap;
use std::sync::Arc;

use mesh::{Actor, ActorRef, ActorSpec, Context, Kinds, Mesh, Message, PublishError, StartError, WireActor};
use mesh_store::{ApprovalFilter, ApprovalId, ApprovalState, Store, StoreError};
use tokio::sync::watch;

use super::clock::Clock;
use super::decision::{GateError, Settled};
use super::message::{AnswerApproval, ApprovalNews, ListApprovals, ShowApproval};
use super::policy::Policies;
use super::request::{Check, Request};
use sweep::Sweeper;

/// Requests of one node that may wait at once.
pub(super) const WAITING_MAX: usize = 1000;

/// The actor `NODE/approvals`. It takes [`ListApprovals`], [`ShowApproval`] and [`AnswerApproval`], and agents of its node
/// ask it through a [`Gate`](super::Gate).
#[derive(Debug)]
pub struct Inbox {
    mesh: Mesh,
    store: Store,
    policies: Arc<Policies>,
    clock: Clock,
    /// The requests that agents of this node wait for, or waited for before this actor crashed.
    waiting: HashMap<ApprovalId, Waiting>,
    sweeper: Option<Sweeper>,
}

/// Those who wait for one request.
struct Waiting {
    expires_ms: i64,
    /// Holds what became of it, at last.
    told: watch::Sender<Option<Arc<Settled>>>,
    check: Option<Check>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("expires_ms", &self.expires_ms).finish_non_exhaustive()
    }
}

/// An agent's request. It never leaves the process: nothing that comes over a connection can ask in an agent's name.
pub(super) struct Ask(pub(super) Box<Request>);

/// What one gets who asks.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is settled, now or long since.
    Settled(Arc<Settled>),
    /// It waits.
    Waits { expires_in_ms: u64, news: watch::Receiver<Option<Arc<Settled>>> },
}

impl Message for Ask {
    type Reply = Result<Asked, GateError>;
}

impl Inbox {
    /// The name under which every node publishes its own.
    pub const NAME: &'static str = "approvals";

    /// Spawns the actor on the node of `mesh` and publishes it. What waited in the store still waits.
    ///
    /// # Errors
    /// [`PublishError`] when the node has an actor of this name; nothing is left running then.
    pub fn publish(mesh: &Mesh, store: Store, policies: Policies) -> Result<ActorRef<Self>, PublishError> {
        let policies = Arc::new(policies);
        // Each has at most its arguments and a note; a few of the largest may wait.
        let spec = ActorSpec::new(Self::NAME).mailbox(256).mailbox_bytes(4 << 20).on_every_node();
        let actor = mesh.spawn(spec, {
            let mesh = mesh.clone();
            move || Self {
                mesh: mesh.clone(),
                store: store.clone(),
                policies: Arc::clone(&policies),
                clock: Clock::behind(0),
                waiting: HashMap::new(),
                sweeper: None,
            }
        });
        match mesh.publish(Self::NAME, &actor) {
            Ok(()) => Ok(actor),
            Err(error) => {
                actor.stop();
                Err(error)
            }
        }
    }

    fn node(&self) -> String {
        self.mesh.node_name().to_string()
    }

    /// All that wait, whoever asked.
    async fn pending(&self) -> Result<Vec<mesh_store::Approval>, StoreError> {
        let mut found = Vec::new();
        let mut filter =
            ApprovalFilter { state: Some(ApprovalState::Pending), limit: 1000, ..ApprovalFilter::default() };
        loop {
            let page = self.store.approvals(filter.clone()).await?;
            filter.after = page.last().map(|last| last.id);
            let is_last = page.len() < 1000;
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }

    /// A request with its record.
    async fn settled(&self, id: ApprovalId) -> Result<Settled, StoreError> {
        Ok(Settled {
            approval: self.store.approval(id).await?,
            events: self.store.approval_events(id).await?,
        })
    }

    /// Tells everybody who has to know that nothing changes any more.
    fn settle(&mut self, settled: Settled) {
        let settled = Arc::new(settled);
        self.tell_news(&settled);
        let last = settled.events.last();
        let by = last.map_or("", |event| event.actor.as_str());
        let Settled { approval, .. } = &*settled;
        tracing::info!(
            target: "audit", approval = %approval.id, action = %approval.action, hash = %approval.action_hash(),
            level = %approval.level, state = %approval.state, by, "approval is settled"
        );
        if let Some(waiting) = self.waiting.remove(&approval.id) {
            waiting.told.send_replace(Some(settled));
        }
    }

    fn tell_news(&self, of: &Settled) {
        let Some(sweeper) = &self.sweeper else { return };
        let agent = of.events.first().map_or_else(String::new, |asked| asked.actor.to_string());
        sweeper.tell(ApprovalNews {
            id: of.approval.id.to_string(),
            node: self.node(),
            agent,
            action: of.approval.action.to_string(),
            level: of.approval.level.to_string(),
            state: of.approval.state.to_string(),
        });
    }
}

impl Actor for Inbox {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        let failed = |error: StoreError| StartError::new(error.to_string());
        let newest = self.store.latest_approvals(1).await.map_err(failed)?;
        self.clock = Clock::behind(newest.first().map_or(0, |newest| newest.requested_ms));
        self.sweeper = Some(Sweeper::spawn(&self.mesh, cx.me().clone()));
        let waits = self.pending().await.map_err(failed)?.len();
        if waits > 0 {
            tracing::info!(waits, "requests for approval wait");
        }
        Ok(())
    }
}

impl WireActor for Inbox {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<ListApprovals>().message::<ShowApproval>().message::<AnswerApproval>()
    }
}
