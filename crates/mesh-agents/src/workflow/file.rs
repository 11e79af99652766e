//! The workflow file as it is written: every key, what it means, its default and its range.
//!
//! The doc comments here are the file's reference: [`schema`] carries them to editors. Required keys are
//! options as well, because a file with mistakes is read to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};

use super::span::{At, Span};

/// A workflow of agents.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct File {
    /// The dialect of the file. This program reads "1.0".
    #[schemars(required)]
    pub(super) version: Option<At<Version>>,
    /// The agents by name. A stage names the agent that works on it.
    #[schemars(required, with = "BTreeMap<String, AgentEntry>")]
    pub(super) agents: Option<Vec<AgentEntry>>,
    /// The stages and how they follow one another.
    #[schemars(required)]
    pub(super) workflow: Option<WorkflowEntry>,
    /// What is saved so that a run can be resumed.
    pub(super) checkpoints: Option<CheckpointsEntry>,
}

/// The dialects that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub(super) enum Version {
    #[schemars(rename = "1.0")]
    V1,
}

/// One agent: a model with its instructions.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Agent", deny_unknown_fields)]
pub(super) struct AgentEntry {
    #[schemars(skip)]
    pub(super) name: At<String>,
    /// What the agent is, in a few words. The model is told.
    pub(super) role: Option<At<String>>,
    /// The model's name as its provider knows it. Left out, the node's own default is used.
    pub(super) model: Option<At<String>>,
    /// The instructions that the model gets before every input.
    pub(super) system_prompt: Option<At<String>>,
    /// The most tokens that one answer may have, at least 1. Left out, the provider decides.
    #[schemars(range(min = 1))]
    pub(super) max_tokens: Option<At<u32>>,
    /// How freely the model chooses its words, from 0 to 2. Left out, the provider decides.
    #[schemars(range(min = 0, max = 2))]
    pub(super) temperature: Option<At<f64>>,
    /// A JSON Schema that every answer of this agent follows. A small model's list is a list when the schema
    /// says so.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub(super) output_schema: Option<At<serde_json::Value>>,
}

/// How the stages follow one another.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Workflow", deny_unknown_fields)]
pub(super) struct WorkflowEntry {
    /// In what order stages run. When left out, `hierarchical` if there is a `coordinator`, else `pipeline`.
    #[schemars(rename = "type")]
    pub(super) kind: Option<At<WorkflowType>>,
    /// The agent that leads a `hierarchical` workflow. After each stage it is told the result, with one call of its
    /// model, and decides how the run goes on.
    pub(super) coordinator: Option<At<String>>,
    /// How often the coordinator may give a `parallel` stage that follows other items than its input has, at least 1. 1
    /// when left out.
    #[schemars(range(min = 1))]
    pub(super) max_replans: Option<At<u32>>,
    /// The stages, at least one. A stage takes the task or the result of a stage above it.
    #[schemars(required, length(min = 1))]
    pub(super) stages: Option<Vec<StageEntry>>,
}

/// In what order the stages of a workflow run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum WorkflowType {
    /// One stage after another, in the file's order, under a coordinator.
    Hierarchical,
    /// A stage starts as soon as what it takes is there; agents are peers.
    Mesh,
    /// One stage after another, in the file's order.
    Pipeline,
    /// A stage starts as soon as what it takes is there, so that branches run side by side.
    Graph,
}

/// One stage: an agent that turns an input into a result.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Stage", deny_unknown_fields)]
pub(super) struct StageEntry {
    /// Where the stage begins in the file.
    #[schemars(skip)]
    pub(super) span: Span,
    /// The stage's name, of which there is only one in the file.
    #[schemars(required)]
    pub(super) name: Option<At<String>>,
    /// The agent that does the work.
    #[schemars(required)]
    pub(super) agent: Option<At<String>>,
    /// What the stage takes: the `output` of a stage above, or that stage's name, or its name and `_results`.
    /// Left out, the workflow's task.
    pub(super) input: Option<At<String>>,
    /// Another name for the stage's result.
    pub(super) output: Option<At<String>>,
    /// Whether the input is split into items that are worked on side by side: a JSON array, an object's `steps`,
    /// `tasks` or `items`, or a numbered or bulleted list. `false` when left out.
    pub(super) parallel: Option<At<bool>>,
    /// The most items of a `parallel` stage at once, at least 1. 5 when left out.
    #[schemars(range(min = 1))]
    pub(super) max_concurrent: Option<At<u32>>,
    /// How long one item may take, from its start to its answer, as in "30s" or "2m". "2m" when left out.
    #[schemars(with = "Option<String>")]
    pub(super) timeout: Option<At<Duration>>,
    /// What the answer is taken from, word for word: the `headings` of the task, the `section` of the task that the
    /// input names, or the `input` itself. The task is Markdown with a question above its first heading; the model is
    /// shown the question and what it can choose from. Left out, the answer is free.
    pub(super) quote: Option<At<Quote>>,
    /// The labels that a node must carry to run this stage's agents. Left out, any node does.
    #[schemars(schema_with = "labels")]
    pub(super) place: Option<Vec<(At<String>, String)>>,
}

/// What an answer is taken from, word for word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Quote {
    /// The headings of the task.
    Headings,
    /// The sentences in that section of the task whose heading the input is.
    Section,
    /// The quotes in the input, if it comes from a stage that quotes; otherwise its sentences.
    Input,
}

/// What is saved so that a run can be resumed.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Checkpoints", deny_unknown_fields)]
pub(super) struct CheckpointsEntry {
    /// Whether the run is kept in the node's store, so that it can be resumed: the text of the file, the task, and what
    /// each item and the coordinator answered. `false` when left out.
    pub(super) enabled: Option<At<bool>>,
    /// When a stage counts as done for good. `after_each_stage` when left out. What a parallel stage's items bring is
    /// saved item by item besides.
    pub(super) interval: Option<At<Interval>>,
    /// The namespace in the node's store, by which runs are found (`meshctl runs list --tag`), never a path ("./checkpoints" is the namespace
    /// `checkpoints`). `checkpoints` when left out.
    pub(super) storage: Option<At<String>>,
}

/// When a checkpoint is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Interval {
    /// Each time that a stage has its result.
    AfterEachStage,
}

/// A scalar that is one of a few words.
pub(super) trait Choice: Copy + 'static {
    const KNOWN: &'static [(&'static str, Self)];
}

impl Choice for Version {
    const KNOWN: &'static [(&'static str, Self)] = &[("1.0", Self::V1)];
}

impl Choice for WorkflowType {
    const KNOWN: &'static [(&'static str, Self)] = &[
        ("hierarchical", Self::Hierarchical),
        ("mesh", Self::Mesh),
        ("pipeline", Self::Pipeline),
        ("graph", Self::Graph),
    ];
}

impl Choice for Quote {
    const KNOWN: &'static [(&'static str, Self)] =
        &[("headings", Self::Headings), ("section", Self::Section), ("input", Self::Input)];
}

impl Choice for Interval {
    const KNOWN: &'static [(&'static str, Self)] = &[("after_each_stage", Self::AfterEachStage)];
}

/// Labels are texts, and a text needs no quotes for looking like a number or a boolean.
fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "boolean", "number"] } })
}

/// The JSON Schema of the workflow file, draft 2020-12, for editors and for other programs.
pub fn schema() -> serde_json::Value {
    let mut generator: SchemaGenerator = SchemaSettings::draft2020_12()
        .with(|settings| settings.meta_schema = Some("https://json-schema.org/draft/2020-12/schema".into()))
        .with_transform(RecursiveTransform(without_null))
        .into_generator();
    let mut schema = generator.root_schema_for::<File>();
    schema.insert("title".to_owned(), "Workflow file".into());
    schema.to_value()
}

/// A key without a value is a mistake in the file, while schemars lets an option be null.
fn without_null(schema: &mut Schema) {
    let is_null = |branch: &serde_json::Value| branch.get("type").is_some_and(|kind| kind == "null");
    if let Some(serde_json::Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            schema.insert("type".to_owned(), kind);
        }
    }
    let Some(serde_json::Value::Array(branches)) = schema.get_mut("anyOf") else { return };
    branches.retain(|branch| !is_null(branch));
    if let [serde_json::Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            schema.insert(key, value);
        }
    }
}
