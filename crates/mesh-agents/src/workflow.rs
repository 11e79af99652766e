//! Workflow files: stages of agents that hand their results on.
//!
//! ```text
//! text ── tree ── file ── check ── Plan ── Run ⇄ whoever starts the items and brings their answers
//!          │       │        │
//!          └───────┴────────┴── Report: every problem at once, with its place in the file
//! ```
//!
//! [`load`] makes a [`Plan`] of a file's text, or says what is wrong with it. [`Run`] walks a plan: it says which
//! items to start, takes their answers in any order, and gives results in the order of the input.
//!
//! # What a stage takes
//! Without `input`, the task. Otherwise the `output` of a stage above, or that stage's name, or its name and
//! `_results`. With `parallel: true` the input is [`split`] into items.
//!
//! # What a stage may answer
//! Anything, unless it has `quote`: then one of the headings of the task, one of the sentences of a section of the task,
//! or one of the sentences of its input, word for word. A stage whose answer is split may choose up to three.
//! [`Item::choices`] has what can be chosen.
//!
//! # What a stage gives
//! The answer of its agent. A parallel stage of several items gives one numbered section for each item, in the
//! order of the input ([`StageResult::text`]); if the next stage is parallel as well, it gets one item for each answer.
//!
//! # What a coordinator may do
//! In a hierarchical workflow with a `coordinator`, that agent is told each stage's result before the next stage begins
//! ([`Run::next_consult`]), which costs one call of its model. It answers `{"decision": "continue"}`, or gives a parallel
//! stage that has not begun other items: `{"decision": "replan", "items": ["…"], "reason": "…"}`, `max_replans` times (once
//! by default). Any other answer counts as the first, and the events say so.
//!
//! ```
//! use mesh_agents::workflow::{Outcome, Run, Strictness, load};
//!
//! let text = r#"
//! version: "1.0"
//! agents:
//!   planner: {system_prompt: "List the steps."}
//!   doer: {system_prompt: "Do the step."}
//! workflow:
//!   type: pipeline
//!   stages:
//!     - {name: plan, agent: planner}
//!     - {name: work, agent: doer, input: plan, parallel: true, max_concurrent: 2}
//! "#;
//! let loaded = load("steps.yaml", text, Strictness::Strict)?;
//!
//! let mut run = Run::new(loaded.plan, "make tea");
//! while run.outcome().is_none() {
//!     let item = run.next_item().expect("nothing is in flight, so something is to be started");
//!     let answer = if item.stage == 0 { "1. boil\n2. pour".to_owned() } else { format!("{}: done", item.input) };
//!     run.on_item(item.stage, item.index, Ok(answer));
//! }
//! let result = "## item 1: boil\n\nboil: done\n\n## item 2: pour\n\npour: done".to_owned();
//! assert_eq!(run.outcome(), Some(&Outcome::Completed { result }));
//! # Ok::<(), mesh_agents::workflow::Report>(())
//! ```
//!
//! This module does not open files, ask the time, talk to models or start anything.

mod check;
mod describe;
mod diagnostic;
mod fields;
mod file;
mod plan;
mod quote;
mod read;
mod render;
mod run;
mod span;
mod split;
mod suggest;
mod tree;

pub use diagnostic::{Diagnostic, Report, Severity};
pub use fields::Strictness;
pub use file::{Interval, Quote, WorkflowType, schema};
pub use plan::{Agent, Checkpoints, Input, Plan, Stage};
pub use quote::Choices;
pub use run::{
    Consult, Decision, Event, Item, ItemError, ItemOutcome, ItemResult, Outcome, Run, StageResult,
};
pub use split::split;

use fields::Findings;
use span::Span;

/// The largest workflow file, in bytes: 1 MiB.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// A workflow file without errors.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// What to run.
    pub plan: Plan,
    /// What its author may not have meant; often empty.
    pub warnings: Report,
}

/// Reads and checks the text of a workflow file; `name` stands for the file in the report.
///
/// # Errors
/// The report of everything that is wrong, warnings included. It has at least one error, and the file's author has
/// to mend it. A text over [`FILE_BYTES_MAX`] or one that isn't YAML is reported as one error.
pub fn load(name: &str, text: &str, strictness: Strictness) -> Result<Loaded, Report> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", text.len());
        return Err(Report::new(name, "", vec![Diagnostic::error(Span::START, message)]));
    }
    let root = match tree::parse(text) {
        Ok(root) => root,
        Err(diagnostic) => return Err(Report::new(name, text, vec![diagnostic])),
    };
    let mut findings = Findings::new(strictness);
    let plan = read::file(&root, &mut findings).and_then(|file| check::file(&file, &mut findings));
    let report = Report::new(name, text, findings.found);
    match plan {
        Some(plan) => Ok(Loaded { plan, warnings: report }),
        None => Err(report),
    }
}
