//! From the tree to the typed file. Shape is settled here: keys, kinds, ranges. What names mean to one
//! another is settled in the check.

use super::diagnostic::Diagnostic;
use super::fields::{Fields, Findings, entries, is_name};
use super::file::{AgentEntry, CheckpointsEntry, File, StageEntry, WorkflowEntry};
use super::span::{At, Span};
use super::tree::{Node, Value};

const NAMED_AGENTS: &str = "agents are a mapping from a name to what the agent is";

/// Reads what can be read; nothing only if the file isn't a mapping at all.
pub(super) fn file(root: &Node, findings: &mut Findings) -> Option<File> {
    if root.value == Value::Null {
        let empty = Diagnostic::error(Span::START, "the file is empty");
        findings.push(empty.help("a workflow file has `version`, `agents` and `workflow`"));
        return None;
    }
    let mut fields = Fields::open(root, "the file", first_key(root), findings)?;
    let version = fields.choice("version");
    fields.require("version", Some("this program reads version \"1.0\""));
    let agents = fields.take("agents").and_then(|node| agents(node, fields.findings));
    fields.require("agents", Some(NAMED_AGENTS));
    let workflow = fields.take("workflow").and_then(|node| workflow(node, fields.findings));
    fields.require("workflow", None);
    let checkpoints = fields.take("checkpoints").and_then(|node| checkpoints(node, fields.findings));
    fields.close();
    Some(File { version, agents, workflow, checkpoints })
}

fn agents(node: &Node, findings: &mut Findings) -> Option<Vec<AgentEntry>> {
    let agents = entries(node, "`agents`", findings)?;
    if agents.is_empty() {
        findings.push(Diagnostic::error(node.span, "`agents` is empty").help(NAMED_AGENTS));
    }
    Some(agents.into_iter().map(|(name, node)| agent(name, node, findings)).collect())
}

/// An agent with mistakes is still an agent: stages that name it are not to blame.
fn agent(name: &At<String>, node: &Node, findings: &mut Findings) -> AgentEntry {
    let mut agent = AgentEntry {
        name: name.clone(),
        role: None,
        model: None,
        system_prompt: None,
        max_tokens: None,
        temperature: None,
        output_schema: None,
    };
    is_name(name, "the name of an agent", findings);
    let owner = format!("agent \"{}\"", name.value);
    let Some(mut fields) = Fields::open(node, owner, name.span, findings) else { return agent };
    agent.role = fields.text("role");
    agent.model = fields.name("model");
    agent.system_prompt = fields.text("system_prompt");
    agent.max_tokens = fields.count("max_tokens", "the model could say nothing");
    agent.temperature = fields.number("temperature", 0.0, 2.0);
    agent.output_schema = output_schema(&mut fields);
    fields.close();
    agent
}

fn output_schema(fields: &mut Fields<'_, '_>) -> Option<At<serde_json::Value>> {
    let node = fields.take("output_schema")?;
    match &node.value {
        Value::Map(_) => Some(At { value: node.value.to_json(), span: node.span }),
        _ => fields.wrong_kind("output_schema", node, "a JSON Schema, which is a mapping", None),
    }
}

fn workflow(node: &Node, findings: &mut Findings) -> Option<WorkflowEntry> {
    let mut fields = Fields::open(node, "`workflow`", first_key(node), findings)?;
    let kind = fields.choice("type");
    let coordinator = fields.name("coordinator");
    let max_replans = fields.count("max_replans", "leave `coordinator` out to have none");
    let stages = fields.take("stages").and_then(|node| match &node.value {
        Value::List(nodes) => Some(stages(node, nodes, fields.findings)),
        _ => fields.wrong_kind("stages", node, "a list", Some("begin each stage with `- name:`".to_owned())),
    });
    fields.require("stages", None);
    fields.close();
    Some(WorkflowEntry { kind, coordinator, max_replans, stages })
}

fn stages(list: &Node, nodes: &[Node], findings: &mut Findings) -> Vec<StageEntry> {
    if nodes.is_empty() {
        findings.push(Diagnostic::error(list.span, "`stages` is empty").label("at least one is needed"));
    }
    nodes.iter().enumerate().filter_map(|(nth, node)| stage(nth + 1, node, findings)).collect()
}

fn stage(nth: usize, node: &Node, findings: &mut Findings) -> Option<StageEntry> {
    let span = first_key(node);
    let mut fields = Fields::open(node, format!("stage {nth}"), span, findings)?;
    let name = fields.name("name");
    fields.require("name", None);
    if let Some(name) = &name {
        fields.set_owner(format!("stage \"{}\"", name.value));
    }
    let agent = fields.name("agent");
    fields.require("agent", None);
    let stage = StageEntry {
        span,
        name,
        agent,
        input: fields.name("input"),
        output: fields.name("output"),
        parallel: fields.flag("parallel"),
        max_concurrent: fields.count("max_concurrent", "no item would ever start; leave it out for 5"),
        timeout: fields.duration("timeout"),
        quote: fields.choice("quote"),
        place: place(&mut fields),
    };
    fields.close();
    Some(stage)
}

/// Labels are texts; `gpu: true` says the label `gpu=true`.
fn place(fields: &mut Fields<'_, '_>) -> Option<Vec<(At<String>, String)>> {
    let node = fields.take("place")?;
    let labels = entries(node, "`place`", fields.findings)?;
    let mut place = Vec::with_capacity(labels.len());
    for (label, node) in labels {
        let owner = format!("label `{}`", label.value);
        let Some(text) = node.value.scalar_text() else {
            let message = format!("{owner} must be text, not {}", node.value.kind());
            fields.findings.push(Diagnostic::error(label.span, message));
            continue;
        };
        let value = At { value: text.into_owned(), span: node.span };
        if is_name(label, "the name of a label", fields.findings) && is_name(&value, &owner, fields.findings)
        {
            place.push((label.clone(), value.value));
        }
    }
    Some(place)
}

fn checkpoints(node: &Node, findings: &mut Findings) -> Option<CheckpointsEntry> {
    let mut fields = Fields::open(node, "`checkpoints`", first_key(node), findings)?;
    let checkpoints = CheckpointsEntry {
        enabled: fields.flag("enabled"),
        interval: fields.choice("interval"),
        storage: fields.text("storage"),
    };
    fields.close();
    Some(checkpoints)
}

/// Where to point when something is missing from a mapping, which has no place of its own but its first key.
fn first_key(node: &Node) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map_or(node.span, |(key, _)| key.span),
        _ => node.span,
    }
}
