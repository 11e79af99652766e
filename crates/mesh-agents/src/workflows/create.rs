//! The actor that makes runs.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use mesh::{
    Actor, ActorRef, ActorSpec, Context, Handler, Kinds, Mesh, PublishError, Restart, Retry, WireActor,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::item::Around;
use super::message::{CreateRun, Created, Problem, Refused};
use super::name;
use super::placement::Placement;
use super::run::RunActor;
use crate::workflow::{Report, Strictness, load};

/// Runs that a node has at once, those included that wait to be started.
const RUNS_MAX: usize = 256;

/// The largest task: 1 MiB. What is larger is data.
const TASK_BYTES_MAX: usize = 1 << 20;

/// The actor behind `NODE/workflows`: it takes [`CreateRun`].
#[derive(Debug)]
pub struct Workflows {
    mesh: Mesh,
    placement: Placement,
    slots: Arc<Semaphore>,
}

impl Workflows {
    /// The name under which a node publishes it.
    pub const NAME: &'static str = "workflows";

    /// Spawns it on this node and publishes it, once for each node. The nodes that are to run agents need the kind
    /// [`Agent`](crate::Agent) and [`Models`](crate::Models) besides.
    ///
    /// # Errors
    /// [`PublishError`] when the name is taken; nothing is left running.
    pub fn publish(mesh: &Mesh) -> Result<ActorRef<Self>, PublishError> {
        let (placement, slots) = (Placement::default(), Arc::new(Semaphore::new(RUNS_MAX)));
        // A file and a task may have 1 MiB each; a few of those may wait.
        let spec = ActorSpec::new(Self::NAME).mailbox(64).mailbox_bytes(8 << 20);
        let actor = mesh.spawn(spec, {
            let mesh = mesh.clone();
            move || Self { mesh: mesh.clone(), placement: placement.clone(), slots: Arc::clone(&slots) }
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
        kinds.message::<CreateRun>()
    }
}

impl Handler<CreateRun> for Workflows {
    async fn handle(&mut self, create: CreateRun, _: &mut Context<Self>) -> Result<Created, Refused> {
        let CreateRun { name, text, task, strict } = create;
        let strictness = if strict { Strictness::Strict } else { Strictness::Lenient };
        let loaded = load(&name, &text, strictness).map_err(|report| bad_workflow(&report))?;
        if task.trim().is_empty() {
            return Err(refused("BAD_TASK", "the task is blank, and no model answers that"));
        }
        if task.len() > TASK_BYTES_MAX {
            let message = format!("the task has {} bytes; at most {TASK_BYTES_MAX} are taken", task.len());
            return Err(refused("BAD_TASK", message));
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
        let warnings = if loaded.warnings.is_empty() { String::new() } else { loaded.warnings.to_string() };
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

fn refused(code: &str, message: impl Into<String>) -> Refused {
    Refused {
        code: code.to_owned(),
        message: message.into(),
        retry: Retry::Never,
        may_have_run: false,
        report: String::new(),
        diagnostics: Vec::new(),
    }
}
