//! The actor that has the runs of a node: `NODE/runs`.

mod at_work;
mod change;
mod export;
mod look;
mod scan;

use std::collections::{HashMap, HashSet};

use mesh::{
    Actor, ActorRef, ActorSpec, Context, ExitReason, Kinds, Mesh, PublishError, StartError, WireActor,
};
use mesh_store::RunId;

use self::at_work::AtWork;
use self::scan::Ticker;
use super::Runs;
use super::control::Wanted;
use super::message::{
    CancelRun, DeleteRun, ExportRun, ForkRun, ListRuns, PauseRun, ResumeRun, ShowRun, StartRun,
};

/// Blobs that nothing refers to are deleted when a node starts, but for those of the last day.
const BLOBS_SPARED_MS: i64 = 24 * 3600 * 1000;

/// The actor behind `NODE/runs`: it takes [`StartRun`], [`ListRuns`], [`ShowRun`], [`PauseRun`], [`ResumeRun`],
/// [`CancelRun`], [`ForkRun`], [`DeleteRun`] and [`ExportRun`].
///
/// It takes up the runs of its kinds that are not at rest and that nobody holds: those whose node died, when their
/// lease has run out; and those whose node has left, within a third of the time of a lease.
#[derive(Debug)]
pub struct RunsActor {
    mesh: Mesh,
    runs: Runs,
    at_work: HashMap<RunId, AtWork>,
    /// Runs that could not be taken up, so that this is told once.
    refused: HashSet<RunId>,
    ticker: Option<Ticker>,
}

impl RunsActor {
    /// The name under which a node publishes it.
    pub const NAME: &'static str = "runs";

    /// Spawns it on this node and publishes it, once for each node.
    ///
    /// # Errors
    /// [`PublishError`] when the name is taken; nothing is left running.
    pub fn publish(mesh: &Mesh, runs: Runs) -> Result<ActorRef<Self>, PublishError> {
        // A task may have 1 MiB; a few of those may wait.
        let spec = ActorSpec::new(Self::NAME).mailbox(64).mailbox_bytes(8 << 20).on_every_node();
        let actor = mesh.spawn(spec, {
            let mesh = mesh.clone();
            move || Self {
                mesh: mesh.clone(),
                runs: runs.clone(),
                at_work: HashMap::new(),
                refused: HashSet::new(),
                ticker: None,
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
}

impl Actor for RunsActor {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        let pause = self.runs.settings.lease / 3;
        self.ticker = Some(Ticker::start(pause, cx.me().clone()));
        // What a write stores before it refers to it is younger than this.
        let before_ms = self.runs.settings.clock.now_ms() - BLOBS_SPARED_MS;
        if let Err(error) = self.runs.store.collect_blobs(before_ms).await {
            tracing::warn!(%error, "blobs that nothing needs are still there");
        }
        Ok(())
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        self.ticker = None;
        for at_work in self.at_work.values() {
            at_work.control.want(Wanted::HandOver);
        }
    }
}

impl WireActor for RunsActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds
            .message::<ListRuns>()
            .message::<ShowRun>()
            .message::<ExportRun>()
            .message::<StartRun>()
            .message::<ResumeRun>()
            .message::<ForkRun>()
            .message::<PauseRun>()
            .message::<CancelRun>()
            .message::<DeleteRun>()
    }
}
