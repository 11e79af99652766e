//! What makes one agent different from another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The arguments of the actor kind `agent`. All but the name may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AgentArgs {
    /// What the agent is called, for logs.
    pub name: String,
    /// What the agent is, in a few words; the model is told.
    pub role: Option<String>,
    /// The model's name; left out, the node's default.
    pub model: Option<String>,
    /// The instructions that the model gets before every input.
    pub system_prompt: Option<String>,
    /// The most tokens of one answer, at least 1; left out, the provider decides.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// From 0 to 2; left out, the provider decides.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// A JSON Schema, as text, of every answer. An answer that is no JSON is refused then.
    pub output_schema: Option<String>,
    /// The only answers, word for word; there may be several of them with `prefers_list`. Empty, the answer is free;
    /// otherwise `output_schema` has no effect.
    pub choices: Vec<String>,
    /// Whether to ask for a JSON list of steps, where there is no `output_schema`. It is a wish: an answer in prose is
    /// taken as it is.
    pub prefers_list: bool,
    /// Whether the agent ends after its first work, or when none has come for a minute.
    pub once: bool,
}

impl AgentArgs {
    /// An agent of this name that adds nothing to what it is asked.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// What is wrong with the arguments, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.max_tokens == Some(0) {
            return Err("max_tokens: at least 1 is wanted".to_owned());
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err("temperature: from 0 to 2 is wanted".to_owned());
        }
        self.schema().map(drop)
    }

    /// The schema of `output_schema`.
    pub(super) fn schema(&self) -> Result<Option<serde_json::Value>, String> {
        let parsed = self.output_schema.as_deref().map(serde_json::from_str).transpose();
        parsed.map_err(|error| format!("output_schema: it is no JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(args: &AgentArgs) -> String {
        args.check().unwrap_err()
    }

    #[test]
    fn arguments_that_no_model_takes_are_refused_before_it_is_asked() {
        let plain = || AgentArgs::new("planner");
        assert_eq!(plain().check(), Ok(()));
        assert!(problem(&AgentArgs { max_tokens: Some(0), ..plain() }).starts_with("max_tokens"));
        assert!(problem(&AgentArgs { temperature: Some(f64::NAN), ..plain() }).starts_with("temperature"));
        assert!(
            problem(&AgentArgs { output_schema: Some("{".to_owned()), ..plain() })
                .starts_with("output_schema")
        );
    }

    #[test]
    fn arguments_may_be_left_out_but_not_misspelt() {
        let read = serde_json::from_str::<AgentArgs>;
        assert_eq!(read("{}").unwrap(), AgentArgs::default());
        assert!(read(r#"{"sytem_prompt": "x"}"#).is_err());
    }
}
