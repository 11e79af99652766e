use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mesh_agents::assistant::AssistantSpec;
use mesh_models::PriceTable;
use mesh_resilience::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, label_problems, units};

/// A model with tools, as a durable agent: a kind whose runs `meshctl runs start NAME --task TEXT` starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssistantSettings {
    /// The kind's name: `meshctl runs start NAME`.
    pub name: String,
    /// What it is, in a few words; the model is told. Default: none.
    #[serde(default)]
    pub role: Option<String>,
    /// The instructions that the model gets before everything else. Default: none.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// The model's name. Default: the node's; MESH_MODEL overrules both.
    #[serde(default)]
    pub model: Option<String>,
    /// The tools that it may call, wherever on the mesh they are; no others, whatever a model asks for. Default: none.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Whose memories it is reminded of before its first turn: TENANT, TENANT/AGENT or TENANT/AGENT/RUN. Default: nobody's.
    #[serde(default)]
    pub memory: Option<String>,
    /// The JSON Schema of its answer, as text. Default: none, so that the answer is a text.
    #[serde(default)]
    pub output_schema: Option<String>,
    /// How many turns of the model a run may take, at least 1. Default: 50.
    #[serde(default = "turns_max")]
    pub turns_max: u32,
    /// How many tokens a run may use in all its turns, read and written. Default: 1000000.
    #[serde(default = "tokens_max")]
    pub tokens_max: u64,
    /// How much a run may cost, in the currency of `prices`. Default: no such limit.
    #[serde(default)]
    pub money_max: Option<String>,
    /// A file with what models cost, as JSON: {"as_of","currency","models":{NAME:{"input","output"}}}, each for a million
    /// tokens. Default: none.
    #[serde(default)]
    pub prices: Option<PathBuf>,
    /// The tokens that the model can have before it, its answer included. Default: 100000.
    #[serde(default = "context_tokens")]
    pub context_tokens: u64,
    /// The most tokens of one turn, at least 1. Default: as the model's server has it.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// How long one call of a tool may take, with the approval that it may need. Default: 10min.
    #[serde(default = "call_timeout", with = "units::duration")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// Have the kind only where the node has all of these labels, so that several nodes can share one file. Default: none,
    /// so everywhere.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn defaults() -> AssistantSpec {
    AssistantSpec::new("")
}

fn turns_max() -> u32 {
    defaults().turns_max
}

fn tokens_max() -> u64 {
    defaults().tokens_max
}

fn context_tokens() -> u64 {
    defaults().context_tokens
}

fn call_timeout() -> Duration {
    defaults().call_timeout
}

impl AssistantSettings {
    /// Whether a node with these labels has it.
    #[must_use]
    pub fn is_for(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }

    /// What it comes to, with the text of its file of prices.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn spec(&self, prices: Option<&str>) -> Result<AssistantSpec, String> {
        let schema = self.output_schema.as_deref().map(serde_json::from_str).transpose();
        let prices =
            prices.map(PriceTable::from_json).transpose().map_err(|error| format!("prices: {error}"))?;
        let spec = AssistantSpec {
            role: self.role.clone(),
            system_prompt: self.system_prompt.clone(),
            model: self.model.clone(),
            tools: self.tools.clone(),
            memory: self.memory.clone(),
            output_schema: schema.map_err(|error| format!("output_schema: it is no JSON: {error}"))?,
            turns_max: self.turns_max,
            tokens_max: self.tokens_max,
            money_max: self.money_max.as_deref().map(money).transpose()?,
            prices: prices.map(Arc::new),
            context_tokens: self.context_tokens,
            max_tokens: self.max_tokens,
            call_timeout: self.call_timeout,
            ..AssistantSpec::new(&self.name)
        };
        spec.check()?;
        Ok(spec)
    }
}

/// An amount as people write it: `0.50`.
fn money(text: &str) -> Result<Money, String> {
    let wrong = || format!("money_max: {text:?} is no amount, such as \"0.50\"");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 6 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
    let micros =
        whole.checked_mul(1_000_000).and_then(|micros| micros.checked_add(part)).ok_or_else(wrong)?;
    Ok(Money::from_micros(micros))
}

pub(super) fn problems(assistants: &[AssistantSettings]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (index, assistant) in assistants.iter().enumerate() {
        let key = |name: &str| format!("assistants[{index}].{name}");
        if let Err(reason) = mesh_proto::check_name(&assistant.name) {
            problems.push(Problem::new(key("name"), format!("{:?}: {reason}", assistant.name)));
        }
        if !names.insert(&assistant.name) {
            let message = format!("{:?} is the name of an earlier assistant", assistant.name);
            problems.push(Problem::new(key("name"), message));
        }
        // The file is read when the node starts.
        let unread = r#"{"as_of": "", "currency": "", "models": {}}"#;
        if let Err(reason) = assistant.spec(assistant.prices.as_ref().map(|_| unread)) {
            let (name, message) = reason.split_once(": ").unwrap_or(("name", &reason));
            problems.push(Problem::new(key(name), message));
        }
        problems.extend(label_problems(&key("labels"), &assistant.labels));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_as_people_write_it() {
        let micros = |text| money(text).map(Money::micros);
        assert_eq!(micros("0.50"), Ok(500_000));
        assert_eq!(micros("12"), Ok(12_000_000));
        assert_eq!(micros("0.000001"), Ok(1));
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "0.0000001", "99999999999999999999"] {
            assert!(micros(wrong).is_err(), "{wrong}");
        }
    }
}
