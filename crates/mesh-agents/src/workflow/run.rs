//! One walk through a plan, as a pure state machine.
//!
//! ```text
//!            next_item ──► start it                       one task, one result
//!  Run ──────┤                                            items in any order, results in the input's order
//!            next_event ─► tell whoever watches
//!     ▲      └ next_consult ► ask the coordinator            after each stage, and before the next begins
//!     ├── on_item(stage, index, answer) ◄── it is done
//!     └── on_consult(stage, answer) ◄────── it has decided
//! ```
//!
//! This module does not start, wait, retry or ask the time: who drives a run does that, and gives each item its
//! [`Stage::timeout`](super::Stage).

mod coordinator;
mod event;
mod result;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use coordinator::{Consult, Decision};
pub use event::{Event, ItemError, Outcome};
pub use result::{ItemOutcome, ItemResult, StageResult};

use super::file::WorkflowType;
use super::plan::{Input, Plan, Stage};
use super::quote::{self, Choices, Document, unique};
use super::split::split;

/// The most items of one stage. A model that writes a longer list has lost its way.
const ITEMS_MAX: usize = 1_000;

/// The state of one run of a workflow.
///
/// Call [`next_item`](Self::next_item) until it gives nothing, start what it gave, and bring each answer to
/// [`on_item`](Self::on_item); then again, until there is an [`outcome`](Self::outcome). Events wait to be taken by
/// [`next_event`](Self::next_event): at most two for each item, two for each stage, two for each question to the
/// coordinator, and one for the run.
///
/// A hierarchical plan with a coordinator has it asked after each stage: [`next_consult`](Self::next_consult) gives the
/// question, and [`on_consult`](Self::on_consult) takes the answer. Until then no other stage begins.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    task: Arc<str>,
    /// The task as stages quote it; empty if none does.
    document: Document,
    stages: Vec<Progress>,
    /// The stage of which the coordinator is to be told, or is being told.
    consulting: Option<Consulting>,
    replans_left: u32,
    /// Items that the coordinator gave to stages, instead of those of their input.
    replanned: BTreeMap<usize, Vec<Arc<str>>>,
    events: VecDeque<Event>,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Consulting {
    stage: usize,
    is_asked: bool,
}

/// An item to start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The index of its stage in [`Plan::stages`].
    pub stage: usize,
    /// The item's place in the stage's input, from 0.
    pub index: usize,
    /// What the agent is to work on.
    pub input: Arc<str>,
    /// What it may answer.
    pub choices: Choices,
}

#[derive(Debug)]
enum Progress {
    /// What it takes isn't there yet.
    Waiting,
    Running(Items),
    Done(StageResult),
}

#[derive(Debug)]
struct Items {
    slots: Vec<Slot>,
    /// Those before it have been started.
    next: usize,
    in_flight: usize,
}

#[derive(Debug)]
struct Slot {
    input: Arc<str>,
    outcome: Option<ItemOutcome>,
}

impl Run {
    /// A run of the plan for one task, with its first stages ready to start.
    pub fn new(plan: impl Into<Arc<Plan>>, task: impl Into<Arc<str>>) -> Self {
        let plan = plan.into();
        let stages = plan.stages.iter().map(|_| Progress::Waiting).collect();
        let task = task.into();
        let quotes = plan.stages.iter().any(|stage| stage.quote.is_some());
        let document = if quotes { Document::of(&task) } else { Document::default() };
        let (replans_left, replanned) = (plan.max_replans, BTreeMap::new());
        let (consulting, events, outcome) = (None, VecDeque::new(), None);
        let mut run =
            Self { plan, task, document, stages, consulting, replans_left, replanned, events, outcome };
        run.advance();
        run
    }

    /// The plan that this run walks through.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The task of the run.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The next item to start, which from now on is in flight; nothing while every slot is taken or once the run is
    /// over.
    pub fn next_item(&mut self) -> Option<Item> {
        if self.outcome.is_some() {
            return None;
        }
        let (nth, items) = self.stages.iter_mut().enumerate().find_map(|(nth, progress)| match progress {
            Progress::Running(items) if items.has_room(&self.plan.stages[nth]) => Some((nth, items)),
            Progress::Running(_) | Progress::Waiting | Progress::Done(_) => None,
        })?;
        let index = items.next;
        items.next += 1;
        items.in_flight += 1;
        let input = Arc::clone(&items.slots[index].input);
        self.events.push_back(Event::ItemStarted { stage: self.name(nth), index });
        let (input, choices) = match self.plan.stages[nth].quote {
            Some(quote) => quote::view(quote, &self.document, &input, self.quotes(nth)),
            None => (input, Choices::Free),
        };
        Some(Item { stage: nth, index, input, choices })
    }

    /// Takes the answer of an item in flight, or why there is none.
    ///
    /// False if the item isn't in flight: never started, answered before, or the run is over. Nothing changes then,
    /// so that an answer which comes late or twice does no harm.
    pub fn on_item(&mut self, stage: usize, index: usize, answer: Result<String, ItemError>) -> bool {
        let Some(Progress::Running(items)) = self.stages.get_mut(stage) else { return false };
        let is_started = index < items.next;
        let Some(slot) = items.slots.get_mut(index).filter(|slot| is_started && slot.outcome.is_none())
        else {
            return false;
        };
        if self.outcome.is_some() {
            return false;
        }
        let outcome = ItemOutcome::from(answer);
        slot.outcome = Some(outcome.clone());
        items.in_flight -= 1;
        self.events.push_back(Event::ItemFinished { stage: self.name(stage), index, outcome });
        self.advance();
        true
    }

    /// Ends the run; what is in flight should be stopped. Nothing happens if the run is over already.
    pub fn cancel(&mut self, reason: impl Into<String>) {
        if self.outcome.is_none() {
            self.finish(Outcome::Cancelled { reason: reason.into() });
        }
    }

    /// What has happened since it was last asked, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How the run ended; nothing while it goes on.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The result of the stage at this index, once it has one.
    pub fn result(&self, stage: usize) -> Option<&StageResult> {
        match self.stages.get(stage)? {
            Progress::Done(result) => Some(result),
            Progress::Waiting | Progress::Running(_) => None,
        }
    }

    /// Whether the stage at this index has its result, and the coordinator, if there is one, has decided on it.
    pub fn is_settled(&self, stage: usize) -> bool {
        let is_consulting = self.consulting.as_ref().is_some_and(|consulting| consulting.stage == stage);
        self.result(stage).is_some() && !is_consulting
    }

    /// The items in flight, as stage and index: those that are to be stopped when the run has failed or was cancelled.
    pub fn in_flight(&self) -> Vec<(usize, usize)> {
        let mut in_flight = Vec::new();
        for (nth, progress) in self.stages.iter().enumerate() {
            let Progress::Running(items) = progress else { continue };
            let started = items.slots.iter().enumerate().take(items.next);
            in_flight
                .extend(started.filter(|(_, slot)| slot.outcome.is_none()).map(|(index, _)| (nth, index)));
        }
        in_flight
    }

    /// Completes the stages that have all their items and opens those that have their input, until nothing moves. A
    /// stage takes what is before it, so one pass is enough.
    fn advance(&mut self) {
        for nth in 0..self.stages.len() {
            if self.outcome.is_some() || self.consulting.is_some() {
                return;
            }
            if matches!(self.stages[nth], Progress::Waiting) && self.is_ready(nth) {
                self.open(nth);
            }
            if matches!(&self.stages[nth], Progress::Running(items) if items.is_complete()) {
                self.complete(nth);
            }
        }
        let is_done = |progress: &Progress| matches!(progress, Progress::Done(_));
        if self.outcome.is_none() && self.consulting.is_none() && self.stages.iter().all(is_done) {
            let result =
                self.result(self.stages.len().saturating_sub(1)).map(StageResult::text).unwrap_or_default();
            self.finish(Outcome::Completed { result });
        }
    }

    fn is_ready(&self, nth: usize) -> bool {
        let has_input = match self.plan.stages[nth].input {
            Input::Task => true,
            Input::Stage(giver) => self.result(giver).is_some(),
        };
        match self.plan.workflow_type {
            WorkflowType::Mesh | WorkflowType::Graph => has_input,
            WorkflowType::Hierarchical | WorkflowType::Pipeline => {
                nth.checked_sub(1).is_none_or(|before| self.result(before).is_some())
            }
        }
    }

    fn open(&mut self, nth: usize) {
        let inputs = self.inputs(nth);
        if inputs.len() > ITEMS_MAX {
            let message = format!("its input has {} items; at most {ITEMS_MAX} are worked on", inputs.len());
            self.fail(nth, ItemError::new("TOO_MANY_ITEMS", message));
            return;
        }
        let agent = self.plan.stages[nth].agent.name.clone();
        self.events.push_back(Event::StageStarted { stage: self.name(nth), agent, items: inputs.len() });
        let slots = inputs.into_iter().map(|input| Slot { input, outcome: None }).collect();
        self.stages[nth] = Progress::Running(Items { slots, next: 0, in_flight: 0 });
    }

    /// A parallel stage that takes a stage's items gets their answers one by one; sections would not split again.
    fn inputs(&self, nth: usize) -> Vec<Arc<str>> {
        if let Some(items) = self.replanned.get(&nth) {
            return items.clone();
        }
        let stage = &self.plan.stages[nth];
        let given = match stage.input {
            Input::Task => None,
            Input::Stage(giver) => self.result(giver),
        };
        match given {
            Some(given) if stage.parallel && given.items.len() > 1 => {
                given.answers().map(Arc::from).collect()
            }
            Some(given) if stage.parallel => split(&given.text()).into_iter().map(Arc::from).collect(),
            Some(given) => vec![Arc::from(given.text())],
            None if stage.parallel => split(&self.task).into_iter().map(Arc::from).collect(),
            None => vec![Arc::clone(&self.task)],
        }
    }

    /// The quotes that a stage takes, without those that were not found; nothing if it takes anything else.
    fn quotes(&self, nth: usize) -> Option<Vec<String>> {
        let stage = &self.plan.stages[nth];
        let Input::Stage(giver) = stage.input else { return None };
        let quotes = &self.plan.stages[giver];
        if stage.parallel || quotes.quote.is_none() {
            return None;
        }
        let given = self.result(giver)?;
        Some(match quotes.is_split(&self.plan) {
            true => unique(given.answers().flat_map(split)),
            false => unique(given.answers().map(str::to_owned)),
        })
    }

    fn complete(&mut self, nth: usize) {
        let Progress::Running(items) = std::mem::replace(&mut self.stages[nth], Progress::Waiting) else {
            return;
        };
        let result = items.into_result();
        self.events.push_back(Event::StageFinished { stage: self.name(nth), result: result.clone() });
        let failure = result.failure();
        self.stages[nth] = Progress::Done(result);
        match failure {
            Some(failure) => self.fail(nth, failure),
            None if self.plan.coordinator.is_some() => {
                self.consulting = Some(Consulting { stage: nth, is_asked: false });
            }
            None => {}
        }
    }

    fn fail(&mut self, nth: usize, error: ItemError) {
        let stage = &self.plan.stages[nth];
        self.finish(Outcome::Failed { stage: stage.name.clone(), code: stage.failure_code(), error });
    }

    fn finish(&mut self, outcome: Outcome) {
        self.events.push_back(Event::RunFinished { outcome: outcome.clone() });
        self.outcome = Some(outcome);
    }

    fn name(&self, nth: usize) -> String {
        self.plan.stages[nth].name.clone()
    }
}

impl Items {
    fn has_room(&self, stage: &Stage) -> bool {
        self.next < self.slots.len() && self.in_flight < stage.max_concurrent as usize
    }

    fn is_complete(&self) -> bool {
        self.next == self.slots.len() && self.in_flight == 0
    }

    fn into_result(self) -> StageResult {
        let items = self.slots.into_iter().map(|slot| ItemResult {
            input: slot.input.to_string(),
            outcome: slot.outcome.expect("a complete stage has every item's outcome"),
        });
        StageResult { items: items.collect() }
    }
}

#[cfg(test)]
mod tests;
