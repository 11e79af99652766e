//! The actor through which a stored run is read: `NODE/workflows/ID`.

use std::time::Duration;

use mesh::{Actor, Context, Items, Kinds, Mesh, Retry, StartError, StreamHandler, WireActor};
use mesh_store::{RunId, StoreError};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::message::{Ended, RunEvent, RunWorkflow};
use super::agent::ended;
use super::followers::Follower;
use super::record::result_of;
use super::{Brief, DurableWorkflows};
use crate::durable::{PauseRun, ResumeRun, RunDocument, RunError, RunRefused, Runs, RunsActor};
use crate::idle::IdleStop;
use crate::lifecycle::AgentState;
use crate::workflow::{ItemError, Outcome};

/// How long a run waits to be read.
const UNREAD_MAX: Duration = Duration::from_secs(60);
/// How often a run is looked at that says nothing: it may have ended, or gone on elsewhere.
const LOOK: Duration = Duration::from_secs(1);
/// How often a run is tried that somebody still holds, and for how long beyond the time of a lease.
const TRY_AGAIN: Duration = Duration::from_millis(250);
const TRY_MORE: Duration = Duration::from_secs(5);
/// How often a run is taken up that ends without a word.
const ROUNDS_MAX: u32 = 3;
/// How long the node's runs may take to answer.
const ASK_MAX: Duration = Duration::from_secs(30);

pub(in crate::workflows) struct FollowActor {
    mesh: Mesh,
    of: DurableWorkflows,
    runs: Runs,
    run: RunId,
    idle: Option<IdleStop>,
}

impl FollowActor {
    pub(in crate::workflows) fn new(mesh: Mesh, of: DurableWorkflows, runs: Runs, run: RunId) -> Self {
        Self { mesh, of, runs, run, idle: None }
    }
}

impl Actor for FollowActor {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        self.idle = Some(IdleStop::after(UNREAD_MAX, cx.me().clone()));
        Ok(())
    }
}

impl WireActor for FollowActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.stream::<RunWorkflow>()
    }
}

impl StreamHandler<RunWorkflow> for FollowActor {
    async fn stream(&mut self, _: RunWorkflow, items: Items<RunEvent>, cx: &mut Context<Self>) -> Ended {
        self.idle = None;
        cx.stop();
        let mut follower = self.of.followers.attach(&self.run);
        let deadline = cx.deadline();
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            biased;
            () = cx.cancelled() => "nobody waits for the result",
            () = items.closed() => "nobody reads what happens",
            ended = self.follow(&mut follower, &items) => return ended,
            () = late => "the time for reading the run is over",
        };
        // Another reader may have come since.
        if follower.is_current()
            && let Err(error) = self.ask(PauseRun { run: self.run.to_string() }).await
        {
            tracing::debug!(run = %self.run, %error, "run does not hold");
        }
        ended(self.held(why), true)
    }
}

impl FollowActor {
    /// Has the run go on, and tells what happens until it rests.
    async fn follow(&self, follower: &mut Follower, items: &Items<RunEvent>) -> Ended {
        let _ = items.send(RunEvent::RunStored { run: self.run.to_string() }).await;
        let mut told = false;
        for round in 1.. {
            for event in std::mem::take(&mut follower.past) {
                told = true;
                let _ = items.send(event).await;
            }
            match self.take_up().await {
                Ok(()) => {}
                Err(Untaken::Over) => break,
                Err(Untaken::Refused(refused)) => {
                    let reason = format!("run {} does not go on: {refused}", self.run);
                    return Ended { retry: refused.retry, ..ended(Outcome::Cancelled { reason }, false) };
                }
            }
            // A life of the run that was about to end is no answer to who wants it to go on.
            let heard = self.read(follower, items).await;
            told |= heard;
            if heard || round >= ROUNDS_MAX || !follower.is_current() {
                break;
            }
            *follower = self.of.followers.attach(&self.run);
        }
        self.ended(follower, (!told).then_some(items)).await
    }

    /// Tells what happens until nobody here is at work on the run. Whether anything did.
    async fn read(&self, follower: &mut Follower, items: &Items<RunEvent>) -> bool {
        let mut heard = false;
        loop {
            match timeout(LOOK, follower.events.recv()).await {
                Ok(Some(event)) => {
                    heard = true;
                    let _ = items.send(event).await;
                }
                Ok(None) => return heard,
                Err(_silence) => {
                    if self.is_left().await {
                        return heard;
                    }
                }
            }
        }
    }

    /// Takes the run up on this node, or finds it at work here. One that another life of this node held is waited for.
    async fn take_up(&self) -> Result<(), Untaken> {
        let until = Instant::now() + self.runs.lease_time() + TRY_MORE;
        loop {
            let found = self.runs.store().run(&self.run).await.map_err(RunError::from)?;
            if [AgentState::Completed, AgentState::Cancelled]
                .iter()
                .any(|state| found.status.as_str() == state.as_str())
            {
                return Err(Untaken::Over);
            }
            match self.ask(ResumeRun { run: self.run.to_string() }).await {
                Ok(_) => return Ok(()),
                Err(refused) if refused.code == "STORE_HELD" && Instant::now() < until => {
                    sleep(TRY_AGAIN).await
                }
                Err(refused) => return Err(Untaken::Refused(refused)),
            }
        }
    }

    /// Whether nobody on this node is at work on the run.
    async fn is_left(&self) -> bool {
        let holder = self.runs.store().holder(mesh_store::Resource::Run(self.run.clone())).await;
        // A store that does not answer now may do so at the next look.
        holder.is_ok_and(|lease| lease.is_none_or(|lease| lease.holder != *self.runs.holder()))
    }

    /// How the run stands, now that nobody here is at work on it. A reader who came too late to be told anything gets what
    /// the stages brought.
    async fn ended(&self, follower: &Follower, untold: Option<&Items<RunEvent>>) -> Ended {
        let document = match self.runs.document(&self.run).await {
            Ok(document) => document,
            Err(error) => {
                let reason = format!("what became of run {} cannot be read: {error}", self.run);
                return ended(Outcome::Cancelled { reason }, true);
            }
        };
        if let (AgentState::Completed, Some(items)) = (document.state(), untold)
            && let Ok((_, stages)) = self.result(&document).await
        {
            for stage in stages {
                let _ = items.send(stage).await;
            }
        }
        let said = follower.ended();
        match (document.state(), said) {
            (AgentState::Completed, Some(said)) if matches!(said.outcome, Outcome::Completed { .. }) => said,
            (AgentState::Failed, Some(said)) if matches!(said.outcome, Outcome::Failed { .. }) => said,
            (AgentState::Completed, _) => match self.result(&document).await {
                Ok((result, _)) => ended(Outcome::Completed { result }, true),
                Err(reason) => ended(Outcome::Cancelled { reason }, true),
            },
            (AgentState::Failed, _) => Ended { retry: Retry::Backoff, ..ended(failed(&document), true) },
            (AgentState::Cancelled, _) => {
                ended(Outcome::Cancelled { reason: "the run was cancelled".to_owned() }, true)
            }
            (AgentState::Paused, _) => ended(self.held("the run was paused"), true),
            _ if follower.is_current() => ended(self.held("the run goes on elsewhere, or is left"), true),
            _ => ended(Outcome::Cancelled { reason: "another reader has come".to_owned() }, true),
        }
    }

    /// The result of a run that has completed, of which only the store is left.
    async fn result(&self, document: &RunDocument) -> Result<(String, Vec<RunEvent>), String> {
        let brief = Brief::read(&document.context.task)?;
        let given = brief.given(self.runs.store()).await.map_err(|error| error.message().to_owned())?;
        let result = result_of(self.runs.store(), given, &document.context.results).await;
        result.map_err(|error| error.message().to_owned())
    }

    fn held(&self, why: &str) -> Outcome {
        let reason = format!("{why}; `meshctl workflow resume {}` goes on with it", self.run);
        Outcome::Cancelled { reason }
    }

    async fn ask<M, T>(&self, message: M) -> Result<T, RunRefused>
    where
        M: mesh::WireMessage + mesh::Message<Reply = Result<T, RunRefused>>,
        T: Send + 'static,
    {
        let path = format!("{}/{}", self.mesh.node_name(), RunsActor::NAME);
        let unasked = |error: &dyn std::fmt::Display| RunRefused {
            code: "NO_RUNS".to_owned(),
            message: format!("{path}: {error}"),
            retry: Retry::Backoff,
            may_have_run: true,
        };
        let runs = self.mesh.recipient::<M>(&path).map_err(|error| unasked(&error))?;
        runs.ask(message).timeout(ASK_MAX).await.map_err(|error| unasked(&error))?
    }
}

/// Why a run is not taken up.
enum Untaken {
    /// It has come to its end.
    Over,
    Refused(RunRefused),
}

impl From<RunError> for Untaken {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(StoreError::NotFound { .. }) => {
                Self::Refused(RunError::Store(StoreError::Closed).into())
            }
            error => Self::Refused(error.into()),
        }
    }
}

/// How a run failed of which only the store is left.
fn failed(document: &RunDocument) -> Outcome {
    let context = &document.context;
    let at = usize::try_from(context.current_step).unwrap_or_default();
    let stage = context.plan.as_ref().and_then(|plan| plan.get(at)).map(|step| step.name.clone());
    let (code, message) = match &document.fault {
        Some(fault) => (fault.code.clone(), fault.message.clone()),
        None => ("UNKNOWN".to_owned(), "the run has failed".to_owned()),
    };
    Outcome::Failed { stage: stage.unwrap_or_default(), error: ItemError::new(code.as_str(), message), code }
}
