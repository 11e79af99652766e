use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Problem, label_problems};

/// An actor that is spawned when the node starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// One of the kinds that the binary registers.
    pub kind: String,
    /// The actor's name on its node: it is reached as `NODE/NAME`.
    pub name: String,
    /// What the kind needs to know; which keys there are is the kind's own affair. Default: nothing.
    #[serde(default = "no_args", deserialize_with = "args")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub args: serde_json::Value,
    /// Spawn it only where the node has all of these labels, so that several nodes can share one file. Default: none,
    /// so everywhere.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl AgentSettings {
    /// Whether a node with these labels spawns it.
    #[must_use]
    pub fn is_for(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

fn no_args() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn args<'de, D: Deserializer<'de>>(deserializer: D) -> Result<serde_json::Value, D::Error> {
    toml::Table::deserialize(deserializer).map(|args| json(toml::Value::Table(args)))
}

/// JSON knows no dates: they become the text that they are written as.
fn json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}

pub(super) fn problems(agents: &[AgentSettings]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (index, agent) in agents.iter().enumerate() {
        if agent.kind.is_empty() {
            problems.push(Problem::new(
                format!("agents[{index}].kind"),
                "a kind that the binary registers is wanted",
            ));
        }
        if let Err(reason) = mesh_proto::check_name(&agent.name) {
            problems
                .push(Problem::new(format!("agents[{index}].name"), format!("{:?}: {reason}", agent.name)));
        }
        if !names.insert(&agent.name) {
            let message = format!("{:?} is the name of an earlier agent", agent.name);
            problems.push(Problem::new(format!("agents[{index}].name"), message));
        }
        problems.extend(label_problems(&format!("agents[{index}].labels"), &agent.labels));
    }
    problems
}
