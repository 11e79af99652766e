//! What a step knows of its run, and by what it writes to the store.

use std::sync::Arc;

use mesh::{Cancel, Mesh};
use mesh_store::{Changes, Lease, Name, NewEntry, RunId, Store};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::control::{Control, Wanted};
use super::hooks::Hooks;
use super::{Clock, Step, StepError};
use crate::lifecycle::{AgentState, Lifecycle, LifecycleEvent};

/// The handle that a step gets on its run.
///
/// What is written to the store under [`RunContext::lease`] counts only while this process has the run: when somebody
/// else took it up, the store refuses ([`mesh_store::StoreError::Fenced`]), and the step should end.
#[derive(Debug)]
pub struct RunContext {
    pub(super) around: Arc<Around>,
    pub(super) task: String,
    pub(super) step: Option<u64>,
    pub(super) attempt: u32,
    pub(super) may_have_run: bool,
    pub(super) calls: u32,
    pub(super) results: Vec<Value>,
    pub(super) metadata: Map<String, Value>,
    pub(super) more: Vec<Step>,
}

/// What stays the same for all steps of a run, in one life of it.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) run: RunId,
    pub(super) agent: String,
    pub(super) lease: Lease,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) control: Control,
    pub(super) mesh: Option<Mesh>,
    pub(super) hooks: Hooks,
    /// Which time it is that the run was started, from 1.
    pub(super) generation: u32,
    pub(super) place: Mutex<Place>,
}

/// Where the run stands, as the driver and the step that it drives both see it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) lifecycle: Lifecycle,
    /// How many parts of the step wait for a person.
    pub(super) waits: u32,
}

impl RunContext {
    /// Which run this is.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.around.run
    }

    /// The kind of agent.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.around.agent
    }

    /// What the run is to do.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The step that is being executed, from 0; `None` while the steps are decided on.
    #[must_use]
    pub fn step(&self) -> Option<u64> {
        self.step
    }

    /// Which attempt this is since the last success, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether this step may have run before, in part or as a whole: an attempt failed, or a process died in it. What it
    /// did then is not known here; a tool's ledger knows ([`Store::intend`]).
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        self.may_have_run
    }

    /// Which time it is that the run was started, from 1. What an earlier one left in the journal does not count.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.around.generation
    }

    /// Waits until the run is to hold: it is paused, handed over to another node, or cancelled. A step that can begin
    /// anew without a loss ends then with [`StepError::held`]; others go on to their end, and nothing waits less.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn to_hold(&self) {
        self.around.control.until(Wanted::Pause).await;
    }

    /// The right to write to the run. Its epoch grows each time that the run is taken up.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.around.lease
    }

    /// The store that has the run.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.around.store
    }

    /// The time for what is written to the store, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.around.clock.now_ms()
    }

    /// The mesh, seen from this node; `None` where the run is on none.
    #[must_use]
    pub fn mesh(&self) -> Option<&Mesh> {
        self.around.mesh.as_ref()
    }

    /// Set when the run is cancelled: the step has some seconds to end by itself then. Give it to every ask that the
    /// step makes ([`mesh::AskError::Cancelled`] comes back).
    #[must_use]
    pub fn cancel(&self) -> &Cancel {
        self.around.control.cancel()
    }

    /// What the steps brought that are done, in their order.
    #[must_use]
    pub fn results(&self) -> &[Value] {
        &self.results
    }

    /// What the agent noted, as of the last step that was done.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// Notes something beside the results. It is made durable with the step's result, and forgotten if the step fails.
    pub fn note(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.metadata.insert(key.into(), value.into());
    }

    /// Puts a step behind all others that are planned. It is made durable with the result of the step that wants it, and
    /// forgotten if that fails. While the steps are decided on it does nothing: what is planned is the plan.
    pub fn then(&mut self, step: Step) {
        self.more.push(step);
    }

    /// A key for the next tool call of this step: the same ones in the same order whenever the step runs again, and no
    /// other step's.
    #[must_use]
    pub fn call_key(&mut self) -> Name {
        let number = self.calls;
        self.calls += 1;
        let place = self.step.map_or_else(|| "plan".to_owned(), |step| format!("step-{step}"));
        // A run that was started anew has other calls to make.
        let generation = self.around.generation;
        format!("{generation}.{place}.call-{number}").parse().expect("it is made of letters, digits, - and .")
    }

    /// Waits for what a person decides, by whatever way `decision` takes. The run is seen to wait, durably; when it is
    /// taken up elsewhere meanwhile, the step runs again, and comes here again.
    ///
    /// # Errors
    /// A [`StepError`] with the code `CANCELLED` when the run is cancelled, and the store's or a hook's when it refuses.
    ///
    /// # Cancel safety
    /// Dropped, the run is seen to wait until the step ends.
    pub async fn wait_for_human<T>(
        &self,
        question: &str,
        decision: impl Future<Output = T> + Send,
    ) -> Result<T, StepError> {
        self.wait(LifecycleEvent::AskHuman, "human.asked", json!({"step": self.step, "question": question}))
            .await?;
        let decided = tokio::select! {
            biased;
            () = self.cancel().cancelled() => return Err(StepError::cancelled()),
            decided = decision => decided,
        };
        self.wait(LifecycleEvent::Answered, "human.answered", json!({"step": self.step})).await?;
        Ok(decided)
    }

    /// Begins or ends a wait. Of several at once, the first changes the state and the last changes it back.
    async fn wait(&self, event: LifecycleEvent, kind: &str, payload: Value) -> Result<(), StepError> {
        let next = {
            let mut place = self.around.place.lock();
            let is_asking = event == LifecycleEvent::AskHuman;
            place.waits = if is_asking { place.waits + 1 } else { place.waits.saturating_sub(1) };
            let is_edge = place.waits == u32::from(is_asking);
            if is_edge { Some((place.lifecycle.state(), place.lifecycle.on(event)?.0)) } else { None }
        };
        let entry = NewEntry::new(kind.parse().expect("it is a name"), payload.to_string());
        let mut changes = Changes::at(self.now_ms()).append(entry);
        if let Some((old, next)) = &next {
            self.around.hooks.call(&self.around.run, *old, next.state()).await?;
            changes = changes.status(state_name(next.state()));
        }
        self.store().write(self.lease(), changes).await?;
        if let Some((_, next)) = next {
            self.around.control.show(next.state(), next.current_step());
            self.around.place.lock().lifecycle = next;
        }
        Ok(())
    }
}

/// A state, as the store has it.
pub(super) fn state_name(state: AgentState) -> Name {
    state.as_str().parse().expect("a state's word is a name")
}
