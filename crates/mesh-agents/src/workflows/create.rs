//! The actor that makes runs.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use mesh::{
    Actor, ActorRef, ActorSpec, Context, Handler, Kinds, Mesh, PublishError, Restart, Retry, WireActor,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::item::Around;
use super::message::{CreateRun, Created, Problem, Refused, ResumeWorkflow};
use super::name;
use super::placement::Placement;
use super::run::RunActor;
use super::stored::{DurableWorkflows, follow};
use crate::workflow::{Report, Strictness, load};

/// Runs that a node has at once, those included that wait to be started.
const RUNS_MAX: usize = 256;

/// The largest task: 1 MiB. What is larger is data.
const TASK_BYTES_MAX: usize = 1 << 20;

/// The actor behind `NODE/workflows`: it takes [`CreateRun`].
#[derive(Debug)]
pub struct Workflows {
    pub(super) mesh: Mesh,
    placement: Placement,
    slots: Arc<Semaphore>,
    /// What keeps runs, where the node has a store.
    pub(super) stored: Option<DurableWorkflows>,
}

impl Workflows {
    /// The name under which a node publishes it.
    pub const NAME: &'static str = "workflows";

    /// Spawns it on this node and publishes it, once for each node; it keeps no runs. The nodes that are to run agents need the kind
    /// [`Agent`](crate::Agent) and [`Models`](crate::Models) besides.
    ///
    /// # Errors
    /// [`PublishError`] when the name is taken; nothing is left running.
    pub fn publish(mesh: &Mesh) -> Result<ActorRef<Self>, PublishError> {
        Self::open(mesh, None)
    }

    /// As [`publish`](Self::publish), on a node that keeps the runs of files with `checkpoints`. Its runs
    /// ([`DurableWorkflows::add_to`]) should be published before.
    ///
    /// # Errors
    /// As of [`publish`](Self::publish).
    pub fn publish_with(mesh: &Mesh, stored: &DurableWorkflows) -> Result<ActorRef<Self>, PublishError> {
        Self::open(mesh, Some(stored.clone()))
    }

    fn open(mesh: &Mesh, stored: Option<DurableWorkflows>) -> Result<ActorRef<Self>, PublishError> {
        // Agents of all runs of the node count together.
        let placement = stored.as_ref().map(|stored| stored.placement.clone()).unwrap_or_default();
        let slots = Arc::new(Semaphore::new(RUNS_MAX));
        // A file and a task may have 1 MiB each; a few of those may wait.
        let spec = ActorSpec::new(Self::NAME).mailbox(64).mailbox_bytes(8 << 20);
        let actor = mesh.spawn(spec, {
            let mesh = mesh.clone();
            move || Self {
                mesh: mesh.clone(),
                placement: placement.clone(),
                slots: Arc::clone(&slots),
                stored: stored.clone(),
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

impl Actor for Workflows {}

impl WireActor for Workflows {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<CreateRun>().message::<ResumeWorkflow>()
    }
}

impl Handler<CreateRun> for Workflows {
    async fn handle(&mut self, create: CreateRun, _: &mut Context<Self>) -> Result<Created, Refused> {
        let CreateRun { name, text, task, strict } = &create;
        let strictness = if *strict { Strictness::Strict } else { Strictness::Lenient };
        let loaded = load(name, text, strictness).map_err(|report| bad_workflow(&report))?;
        if task.trim().is_empty() {
            return Err(refused("BAD_TASK", "the task is blank, and no model answers that"));
        }
        if task.len() > TASK_BYTES_MAX {
            let message = format!("the task has {} bytes; at most {TASK_BYTES_MAX} are taken", task.len());
            return Err(refused("BAD_TASK", message));
        }
        let mut warnings =
            if loaded.warnings.is_empty() { String::new() } else { loaded.warnings.to_string() };
        if let Some(checkpoints) = &loaded.plan.checkpoints {
            if let Some((of, runs)) = self.stored.as_ref().and_then(|of| Some((of, of.runs()?))) {
                let run = of.create(runs, &create, &checkpoints.namespace).await;
                let run = run.map_err(|error| refused("NOT_STORED", error.to_string()))?;
                let path = follow(&self.mesh, of, runs, &run)?;
                tracing::info!(%run, file = create.name, "run is created and stored");
                return Ok(Created { path, run: run.to_string(), warnings });
            }
            warnings.push_str("warning: this node has no store, so the run cannot be resumed\n");
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_full| {
            let message = format!("this node has {RUNS_MAX} runs, as many as it can have");
            Refused { retry: Retry::Backoff, ..refused("TOO_MANY_RUNS", message) }
        })?;

        let id = name::run_id();
        let run = name::run(&id);
        let around = Arc::new(Around {
            mesh: self.mesh.clone(),
            placement: self.placement.clone(),
            plan: Arc::new(loaded.plan),
            run: run.clone(),
            asked: AtomicUsize::new(0),
        });
        let CreateRun { name, task, .. } = create;
        let task: Arc<str> = task.into();
        let slot = Mutex::new(Some(slot));
        let spec = ActorSpec::new(&run).mailbox(4).restart(Restart::Temporary);
        let make = move || RunActor::new(Arc::clone(&around), Arc::clone(&task), slot.lock().take());
        let actor = self.mesh.spawn(spec, make);
        if let Err(error) = self.mesh.publish(&run, &actor) {
            actor.stop();
            return Err(refused("NOT_PUBLISHED", error.to_string()));
        }
        tracing::info!(run, file = name, "run is created");
        let path = format!("{}/{run}", self.mesh.node_name());
        Ok(Created { path, run: id, warnings })
    }
}

fn bad_workflow(report: &Report) -> Refused {
    Refused {
        report: report.to_string(),
        diagnostics: report.diagnostics().iter().map(Problem::from).collect(),
        ..refused("BAD_WORKFLOW", format!("{} cannot be run", report.file()))
    }
}

pub(super) fn refused(code: &str, message: impl Into<String>) -> Refused {
    Refused {
        code: code.to_owned(),
        message: message.into(),
        retry: Retry::Never,
        may_have_run: false,
        report: String::new(),
        diagnostics: Vec::new(),
    }
}
