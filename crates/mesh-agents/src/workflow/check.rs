//! What the names of a file mean to one another: stages and agents, inputs and results.

mod inputs;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Severity};
use super::fields::Findings;
use super::file::{
    AgentEntry, CheckpointsEntry, File, Interval, StageEntry, Version, WorkflowEntry, WorkflowType,
};
use super::plan::{Agent, Checkpoints, Plan, Stage};
use super::span::At;
use super::suggest::{listed, nearest};

const MAX_CONCURRENT: u32 = 5;
const MAX_REPLANS: u32 = 1;
const TIMEOUT: Duration = Duration::from_secs(120);
const NAMESPACE: &str = "checkpoints";
const NAMESPACE_CHARS_MAX: usize = 64;

/// Checks all of the file; a plan comes out only if no error was found, here or before.
pub(super) fn file(file: &File, findings: &mut Findings) -> Option<Plan> {
    let mut ignored = Vec::new();
    let checkpoints = file.checkpoints.as_ref().and_then(|entry| checkpoints(entry, findings));
    let workflow = file.workflow.as_ref()?;
    let stages = workflow.stages.as_ref()?;
    let inputs = inputs::resolve(stages, findings);
    concurrency(stages, findings);
    quotes(file, stages, findings);

    let agents: Option<Vec<Arc<Agent>>> =
        file.agents.as_ref().map(|entries| entries.iter().map(|entry| Arc::new(agent(entry))).collect());
    // Without readable agents every stage would be blamed for naming an unknown one.
    let agents = agents?;
    let staffed: Vec<Option<Arc<Agent>>> = stages
        .iter()
        .map(|stage| named(stage.agent.as_ref()?, &stage_title(stage), &agents, findings))
        .collect();
    let coordinator = coordinator(workflow, &agents, findings, &mut ignored);
    let max_replans = max_replans(workflow, findings);
    unused(file, workflow, findings);

    if findings.found.iter().any(|found| found.severity == Severity::Error) {
        return None;
    }
    let Version::V1 = file.version.as_ref()?.value;
    let stages = stages
        .iter()
        .zip(inputs)
        .zip(staffed)
        .map(|((entry, input), agent)| {
            Some(Stage {
                name: entry.name.as_ref()?.value.clone(),
                agent: agent?,
                input: input?,
                input_name: entry.input.as_ref().map(|name| name.value.clone()),
                output: entry.output.as_ref().map(|name| name.value.clone()),
                parallel: is_parallel(entry),
                max_concurrent: match is_parallel(entry) {
                    true => entry.max_concurrent.as_ref().map_or(MAX_CONCURRENT, |most| most.value),
                    false => 1,
                },
                timeout: entry.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.value),
                quote: entry.quote.as_ref().map(|quote| quote.value),
                place: place(entry),
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let workflow_type = workflow_type(workflow);
    Some(Plan { workflow_type, coordinator, max_replans, agents, stages, checkpoints, ignored })
}

fn workflow_type(workflow: &WorkflowEntry) -> WorkflowType {
    match (&workflow.kind, &workflow.coordinator) {
        (Some(kind), _) => kind.value,
        (None, Some(_)) => WorkflowType::Hierarchical,
        (None, None) => WorkflowType::Pipeline,
    }
}

fn is_parallel(stage: &StageEntry) -> bool {
    stage.parallel.as_ref().is_some_and(|parallel| parallel.value)
}

fn place(stage: &StageEntry) -> BTreeMap<String, String> {
    let labels = stage.place.iter().flatten();
    labels.map(|(label, value)| (label.value.clone(), value.clone())).collect()
}

fn stage_title(stage: &StageEntry) -> String {
    match &stage.name {
        Some(name) => format!("stage \"{}\"", name.value),
        None => format!("the stage at line {}", stage.span.line),
    }
}

fn agent(entry: &AgentEntry) -> Agent {
    let text = |text: &Option<At<String>>| text.as_ref().map(|text| text.value.clone());
    Agent {
        name: entry.name.value.clone(),
        role: text(&entry.role),
        model: text(&entry.model),
        system_prompt: text(&entry.system_prompt),
        max_tokens: entry.max_tokens.as_ref().map(|most| most.value),
        temperature: entry.temperature.as_ref().map(|temperature| temperature.value),
        output_schema: entry.output_schema.as_ref().map(|schema| schema.value.clone()),
    }
}

/// The agent of that name, or a report that there is none.
fn named(name: &At<String>, who: &str, agents: &[Arc<Agent>], findings: &mut Findings) -> Option<Arc<Agent>> {
    if let Some(agent) = agents.iter().find(|agent| agent.name == name.value) {
        return Some(Arc::clone(agent));
    }
    let known = || agents.iter().map(|agent| agent.name.as_str());
    let mut unknown =
        Diagnostic::error(name.span, format!("{who} names agent `{}`, which is not in `agents`", name.value));
    match nearest(&name.value, known()) {
        Some(near) => unknown = unknown.label(format!("did you mean `{near}`?")),
        None if agents.is_empty() => {}
        None => unknown = unknown.help(format!("known here: {}", listed(known()))),
    }
    findings.push(unknown);
    None
}

/// A hierarchical workflow without a coordinator is fine; a coordinator elsewhere leads nobody.
fn coordinator(
    workflow: &WorkflowEntry,
    agents: &[Arc<Agent>],
    findings: &mut Findings,
    ignored: &mut Vec<String>,
) -> Option<Arc<Agent>> {
    let name = workflow.coordinator.as_ref()?;
    let agent = named(name, "`coordinator`", agents, findings)?;
    if workflow_type(workflow) == WorkflowType::Hierarchical {
        return Some(agent);
    }
    let reason = "only a hierarchical workflow has a coordinator";
    findings.push(Diagnostic::warning(name.span, reason).label("this is ignored"));
    ignored.push(format!("`coordinator: {}`: {reason}", name.value));
    None
}

/// Only a coordinator re-plans.
fn max_replans(workflow: &WorkflowEntry, findings: &mut Findings) -> u32 {
    let Some(most) = &workflow.max_replans else { return MAX_REPLANS };
    if workflow.coordinator.is_none() {
        let message = "`max_replans` has no effect: `workflow` has no `coordinator`";
        findings.push(Diagnostic::warning(most.span, message).label("this is ignored"));
    }
    most.value
}

fn concurrency(stages: &[StageEntry], findings: &mut Findings) {
    for stage in stages.iter().filter(|stage| !is_parallel(stage)) {
        if let Some(most) = &stage.max_concurrent {
            let message = format!("`max_concurrent` has no effect: {} is not parallel", stage_title(stage));
            findings
                .push(Diagnostic::warning(most.span, message).label("add `parallel: true`, or remove this"));
        }
    }
}

/// What is quoted has the form of what it is quoted from.
fn quotes(file: &File, stages: &[StageEntry], findings: &mut Findings) {
    let has_schema = |name: &At<String>| {
        let named = file.agents.iter().flatten().find(|agent| agent.name.value == name.value);
        named.is_some_and(|agent| agent.output_schema.is_some())
    };
    for stage in stages.iter().filter(|stage| stage.agent.as_ref().is_some_and(has_schema)) {
        if let Some(quote) = &stage.quote {
            let message =
                format!("{} quotes, so the `output_schema` of its agent has no effect", stage_title(stage));
            findings.push(Diagnostic::warning(quote.span, message));
        }
    }
}

/// Warns of agents that nobody names, unless a missing stage or a misspelt name may be the reason.
fn unused(file: &File, workflow: &WorkflowEntry, findings: &mut Findings) {
    let agents = file.agents.as_deref().unwrap_or_default();
    let stages = workflow.stages.as_deref().unwrap_or_default();
    if stages.is_empty() {
        return;
    }
    let mut uses: HashMap<&str, bool> =
        agents.iter().map(|agent| (agent.name.value.as_str(), false)).collect();
    let named = stages.iter().map(|stage| stage.agent.as_ref());
    for name in named.chain(workflow.coordinator.as_ref().map(Some)) {
        match name.and_then(|name| uses.get_mut(name.value.as_str())) {
            Some(used) => *used = true,
            None => return,
        }
    }
    for agent in agents.iter().filter(|agent| !uses[agent.name.value.as_str()]) {
        let message = format!("agent \"{}\" is used by no stage", agent.name.value);
        findings.push(Diagnostic::warning(agent.name.span, message));
    }
}

fn checkpoints(entry: &CheckpointsEntry, findings: &mut Findings) -> Option<Checkpoints> {
    let namespace = match &entry.storage {
        Some(storage) => namespace(storage, findings)?,
        None => NAMESPACE.to_owned(),
    };
    entry.enabled.as_ref().filter(|enabled| enabled.value)?;
    let interval = entry.interval.as_ref().map_or(Interval::AfterEachStage, |interval| interval.value);
    Some(Checkpoints { interval, namespace })
}

/// The namespace that `storage` names. Older files write it as a folder beside the file, `./checkpoints`.
fn namespace(storage: &At<String>, findings: &mut Findings) -> Option<String> {
    let written = storage.value.as_str();
    let name = written.strip_prefix("./").unwrap_or(written);
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_namespace = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(is_plain)
        && name.chars().count() <= NAMESPACE_CHARS_MAX;
    if is_namespace {
        return Some(name.to_owned());
    }
    let message = format!("`storage` is `{written}`, which is no name of a namespace");
    findings.push(
        Diagnostic::error(storage.span, message)
            .label("checkpoints are kept in the node's store, not in a folder")
            .help("a name has letters, digits, `.`, `_` and `-`, at most 64, as in `checkpoints`"),
    );
    None
}
