//! Walks a run through its lifecycle, from where it was left to where it holds or ends.

mod attempt;
mod lease;
mod save;

use std::sync::Arc;

use mesh::Mesh;
use mesh_resilience::Backoff;
use mesh_store::{Lease, RunId, Store};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::sleep;

use self::save::entry;
use super::agent::AnyAgent;
use super::control::{Control, Wanted};
use super::document::plan_hash;
use super::hooks::Hooks;
use super::load::Loaded;
use super::run_context::{Around, Place};
use super::{RunDocument, RunError, RunFault, RunSettings, Step, StepError};
use crate::lifecycle::{AgentState, LifecycleAction, LifecycleEvent};

/// Makes an agent: when a run is taken up, and after a panic.
pub(super) type MakeAgent = Arc<dyn Fn() -> Box<dyn AnyAgent> + Send + Sync>;

/// Why a run is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// To do its task from the beginning.
    Start,
    /// Because nobody holds it, though it is not at an end.
    TakeUp,
    /// Because somebody says so: after a pause, a failure, or whatever else.
    Resume,
    /// To end it, without doing anything more.
    Cancel,
}

/// What a driver is made of.
pub(super) struct Parts {
    pub(super) run: RunId,
    pub(super) lease: Lease,
    pub(super) store: Store,
    pub(super) loaded: Loaded,
    pub(super) kind: String,
    pub(super) make: MakeAgent,
    pub(super) hooks: Hooks,
    pub(super) settings: RunSettings,
    pub(super) control: Control,
    pub(super) mesh: Option<Mesh>,
}

/// A run in the hands of this process.
pub(super) struct Driver {
    around: Arc<Around>,
    make: MakeAgent,
    agent: Box<dyn AnyAgent>,
    document: RunDocument,
    settings: RunSettings,
    backoff: Option<Backoff>,
    /// Checkpoints that the run has.
    checkpoints: u64,
    /// Whether the step in hand was left, since it waits for a person and the run is to hold.
    was_left: bool,
}

impl Driver {
    /// Takes up a run, and makes that durable.
    ///
    /// # Errors
    /// [`RunError`]; the run is as it was, but for a hook's refusal.
    pub(super) async fn begin(parts: Parts, begin: Begin) -> Result<Self, RunError> {
        let Parts { run, lease, store, loaded, kind, make, hooks, settings, control, mesh } = parts;
        let Loaded { document, checkpoints } = loaded;
        let agent = make();
        let is_idle = document.state() == AgentState::Idle && begin != Begin::Cancel;
        let is_anew = begin == Begin::Start || is_idle;
        let document = if is_anew { document.afresh() } else { document };
        let is_other = !document.code.is_empty() && document.code != agent.code();
        if is_other && begin != Begin::Cancel {
            return Err(RunError::CodeChanged { saved: document.code, now: agent.code() });
        }
        let place = Mutex::new(Place { lifecycle: document.lifecycle.clone(), waits: 0 });
        let clock = settings.clock.clone();
        let generation = document.generation;
        let around =
            Around { run, agent: kind, lease, store, clock, control, mesh, hooks, generation, place };
        let mut driver = Self {
            around: Arc::new(around),
            make,
            agent,
            document,
            settings,
            backoff: None,
            checkpoints,
            was_left: false,
        };
        driver.take_up(if is_anew { Begin::Start } else { begin }).await?;
        Ok(driver)
    }

    async fn take_up(&mut self, begin: Begin) -> Result<(), RunError> {
        let state = self.document.state();
        let is_in_doubt = state.is_live() && !self.document.is_handed_over;
        let event = match (begin, state) {
            (Begin::Start, _) => LifecycleEvent::Start,
            (Begin::Cancel, _) => LifecycleEvent::Cancel,
            (_, AgentState::Failed) => LifecycleEvent::Retry,
            (_, state) if state.is_live() => LifecycleEvent::Continue,
            _ => LifecycleEvent::Resume,
        };
        self.document.may_have_run |= is_in_doubt;
        self.document.is_handed_over = false;
        self.document.epoch = self.around.lease.epoch;
        match (begin, is_in_doubt) {
            (Begin::TakeUp, true) => self.document.interruptions += 1,
            _ => self.document.interruptions = 0,
        }
        if self.document.interruptions > self.settings.interruptions_max {
            let message = format!("it was taken up {} times at one step", self.document.interruptions);
            return self.break_off("POISONED", message).await;
        }
        if event == LifecycleEvent::Start {
            self.document.context.started_ms = Some(self.around.clock.now_ms());
        }
        let what = json!({
            "because": event.name(), "holder": self.around.lease.holder.as_str(), "epoch": self.around.lease.epoch,
            "step": self.document.context.current_step,
        });
        self.change(event, "run.taken", what).await
    }

    /// Drives the run until it holds, ends, or is to be handed over, and gives the lease back.
    ///
    /// # Errors
    /// [`RunError`]: the store failed, or somebody else has the run. It is as it was after the last write.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the run as it was after the last write, and its lease to run out.
    pub(super) async fn drive(mut self) -> Result<AgentState, RunError> {
        let around = Arc::clone(&self.around);
        let ended = tokio::select! {
            biased;
            lost = lease::lost(&around, self.settings.lease_ms()) => Err(lost),
            ended = self.walk() => ended,
        };
        let ended = match ended {
            // The run has failed as it stood; that is durable, and no failure of this driver.
            Err(RunError::Hook { .. }) => Ok(AgentState::Failed),
            ended => ended,
        };
        match &ended {
            // Nothing of the step may go on here while somebody else does it.
            Err(error) if error.is_fenced() => around.control.cancel().cancel(),
            _ => {
                if let Err(error) = around.store.release(&around.lease).await {
                    tracing::debug!(run = %around.run, %error, "lease is left to run out");
                }
            }
        }
        ended
    }

    async fn walk(&mut self) -> Result<AgentState, RunError> {
        loop {
            let state = self.state();
            if !state.is_live() {
                return Ok(state);
            }
            let step = self.document.context.current_step;
            match self.around.control.wanted() {
                Wanted::Cancel => {
                    self.change(LifecycleEvent::Cancel, "run.cancelled", json!({"step": step})).await?
                }
                Wanted::Pause => {
                    self.change(LifecycleEvent::Pause, "run.paused", json!({"step": step})).await?
                }
                Wanted::HandOver => {
                    self.document.is_handed_over = true;
                    let lifecycle = self.document.lifecycle.clone();
                    let entries = vec![entry("run.handed_over", &json!({"step": step}))];
                    self.save(lifecycle, entries).await?;
                    return Ok(state);
                }
                Wanted::Run if state == AgentState::Planning => self.plan().await?,
                Wanted::Run => self.execute().await?,
            }
        }
    }

    fn state(&self) -> AgentState {
        self.document.state()
    }

    async fn plan(&mut self) -> Result<(), RunError> {
        match self.attempt_plan().await {
            Ok(plan) => {
                self.document.code = self.agent.code();
                self.document.plan_hash = plan_hash(&plan);
                let steps = plan.len() as u64;
                let names: Vec<&str> = plan.iter().map(|step| step.name.as_str()).collect();
                let said = json!({ "steps": names });
                self.document.context.plan = Some(plan);
                self.done(LifecycleEvent::Planned { steps }, "run.planned", said).await
            }
            Err(error) => self.failed(error).await,
        }
    }

    async fn execute(&mut self) -> Result<(), RunError> {
        let at = self.document.context.current_step;
        let plan = self.document.context.plan.as_deref().unwrap_or_default();
        let step = usize::try_from(at).ok().and_then(|at| plan.get(at)).cloned();
        let Some(step) = step else {
            // The machine knows how many steps there are, and completes behind the last.
            return self.change(LifecycleEvent::Continue, "run.completed", json!({})).await;
        };
        let attempt = self.document.lifecycle.failures() + 1;
        let began = tokio::time::Instant::now();
        match self.attempt_step(&step).await {
            Ok((result, more)) => {
                self.extend(more)?;
                self.document.context.results.push(result);
                self.document.context.current_step += 1;
                let elapsed_ms = crate::millis(began.elapsed());
                let said =
                    json!({"step": at, "name": step.name, "attempt": attempt, "elapsed_ms": elapsed_ms});
                self.done(LifecycleEvent::StepDone, "step.done", said).await
            }
            Err(error) => self.failed(error).await,
        }
    }

    /// Puts steps behind those of the plan; they are durable with the next write.
    fn extend(&mut self, more: Vec<Step>) -> Result<(), RunError> {
        if more.is_empty() {
            return Ok(());
        }
        self.document.lifecycle =
            self.document.lifecycle.on(LifecycleEvent::Extended { more: more.len() as u64 })?.0;
        let plan = self.document.context.plan.get_or_insert_default();
        plan.extend(more);
        self.document.plan_hash = plan_hash(plan);
        Ok(())
    }

    /// Makes a success durable: the result, the step that is next and the state after it are one write.
    async fn done(&mut self, event: LifecycleEvent, kind: &str, said: Value) -> Result<(), RunError> {
        self.document.may_have_run = false;
        self.backoff = None;
        self.document.fault = None;
        self.document.interruptions = 0;
        let mut entries = vec![entry(kind, &said)];
        let saving = self.document.lifecycle.on(event)?.0;
        let mut refused = self.tell(self.state(), saving.state()).await.err();
        self.around.control.show(saving.state(), saving.current_step());
        let mut next = match (&refused, self.around.control.wanted()) {
            (Some(_), _) => saving.on(LifecycleEvent::Break)?.0,
            (None, Wanted::Pause) => saving.on(LifecycleEvent::Pause)?.0,
            (None, _) => saving.on(LifecycleEvent::Saved)?.0,
        };
        if refused.is_none() {
            refused = self.tell(saving.state(), next.state()).await.err();
            if refused.is_some() {
                next = saving.on(LifecycleEvent::Break)?.0;
            }
        }
        if let Some(refused) = &refused {
            self.document.fault = Some(fault_of(refused));
        }
        entries.extend(match next.state() {
            AgentState::Paused => Some(entry("run.paused", &json!({"step": next.current_step()}))),
            AgentState::Completed => Some(entry("run.completed", &json!({"steps": next.current_step()}))),
            AgentState::Failed => Some(entry("run.failed", &json!({ "fault": self.document.fault }))),
            _ => None,
        });
        self.save(next, entries).await?;
        refused.map_or(Ok(()), Err)
    }

    /// Makes a failed attempt durable, and waits before the next if there is one.
    async fn failed(&mut self, error: StepError) -> Result<(), RunError> {
        self.settle();
        self.document.may_have_run = true;
        let was_left = std::mem::take(&mut self.was_left);
        if was_left || error.is_held() || self.around.control.wanted() == Wanted::Cancel {
            // It was cut off, or ended by itself because of that; the walk goes on to what is wanted.
            return Ok(());
        }
        let fault = RunFault { code: error.code().to_owned(), message: error.message().to_owned() };
        let step = self.document.context.current_step;
        let (state, attempt) = (self.state(), self.document.lifecycle.failures() + 1);
        tracing::warn!(run = %self.around.run, step, attempt, code = fault.code, "attempt has failed");
        let said = json!({"at": state.as_str(), "step": step, "attempt": attempt, "fault": &fault});
        self.document.fault = Some(fault);
        let may_retry = error.may_retry();
        let (next, actions) = self.document.lifecycle.on(LifecycleEvent::AttemptFailed { may_retry })?;
        let mut entries = vec![entry("step.failed", &said)];
        if next.state() == AgentState::Failed {
            entries.push(entry("run.failed", &json!({ "fault": self.document.fault })));
            self.tell_end(next.state()).await;
        }
        self.save(next, entries).await?;
        if actions.iter().any(|action| matches!(action, LifecycleAction::BackOff { .. })) {
            self.back_off().await;
        }
        Ok(())
    }

    /// Waits, unless something else is wanted of the run.
    async fn back_off(&mut self) {
        let attempts = self.settings.attempts;
        let seed = || uuid::Uuid::new_v4().as_u64_pair().0;
        let pause = self.backoff.get_or_insert_with(|| Backoff::new(attempts, seed())).pause();
        let control = self.around.control.clone();
        tokio::select! {
            biased;
            () = control.until(Wanted::Pause) => {}
            () = sleep(pause) => {}
        }
    }

    /// Goes over to another state, and makes it durable.
    async fn change(&mut self, event: LifecycleEvent, kind: &str, said: Value) -> Result<(), RunError> {
        let (next, _) = self.document.lifecycle.on(event)?;
        if let Err(refused) = self.tell(self.state(), next.state()).await {
            let fault = fault_of(&refused);
            self.break_off(&fault.code, fault.message).await?;
            return Err(refused);
        }
        self.save(next, vec![entry(kind, &said)]).await
    }

    /// The run has failed as it stands. Hooks are not asked: one of them may be the reason.
    async fn break_off(&mut self, code: &str, message: String) -> Result<(), RunError> {
        self.document.fault = Some(RunFault { code: code.to_owned(), message });
        let (next, _) = self.document.lifecycle.on(LifecycleEvent::Break)?;
        let entries = vec![entry("run.failed", &json!({ "fault": self.document.fault }))];
        self.save(next, entries).await
    }

    async fn tell(&mut self, old: AgentState, new: AgentState) -> Result<(), RunError> {
        self.around.hooks.call(&self.around.run, old, new).await
    }

    /// Tells of an end that no hook can prevent.
    async fn tell_end(&mut self, new: AgentState) {
        if let Err(error) = self.tell(self.state(), new).await {
            tracing::warn!(run = %self.around.run, %error, "hook has failed at the end of a run");
        }
    }

    /// What the step left of its waiting for a person is over with it.
    fn settle(&mut self) {
        let mut place = self.around.place.lock();
        place.waits = 0;
        place.lifecycle = self.document.lifecycle.clone();
    }
}

fn fault_of(error: &RunError) -> RunFault {
    RunFault { code: error.code().to_owned(), message: error.to_string() }
}
