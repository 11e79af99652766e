//! The form of an answer: what the model is told of it, and what is made of what it wrote.

use mesh_models::{Collected, FinishReason, JsonSchema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::AgentArgs;

/// Steps that a list has at least: it was asked for because they are worked on side by side.
const STEPS_MIN: usize = 2;

/// Steps that a list has at most. Small models do not know when to stop.
const STEPS_MAX: usize = 5;

/// Choices that an answer has at most.
const PICKS_MAX: usize = 3;

/// What an answer has to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// Anything.
    Free,
    /// Rather a list of steps, but anything will do.
    Steps,
    /// JSON by this schema.
    Json(Value),
    /// One of these texts.
    Choice(Vec<String>),
    /// Some of these texts, as a list of steps.
    Choices(Vec<String>),
}

#[derive(Deserialize)]
struct Chosen {
    answer: String,
}

#[derive(Deserialize)]
struct Steps {
    steps: Vec<String>,
}

impl Form {
    /// The form that an agent's arguments ask for.
    ///
    /// # Errors
    /// What is wrong with the arguments.
    pub(super) fn of(args: &AgentArgs) -> Result<Self, String> {
        let schema = args.schema()?;
        Ok(match (args.choices.is_empty(), args.prefers_list, schema) {
            (false, false, _) => Self::Choice(args.choices.clone()),
            (false, true, _) => Self::Choices(args.choices.clone()),
            (true, _, Some(schema)) => Self::Json(schema),
            (true, true, None) => Self::Steps,
            (true, false, None) => Self::Free,
        })
    }

    /// The schema for the model's server.
    pub(super) fn schema(&self) -> Option<JsonSchema> {
        let (name, schema) = match self {
            Self::Free => return None,
            Self::Json(schema) => ("answer", schema.clone()),
            Self::Steps => ("steps", steps(&json!({ "type": "string" }), STEPS_MIN, STEPS_MAX)),
            Self::Choice(choices) => {
                ("choice", closed("answer", &json!({ "type": "string", "enum": choices })))
            }
            Self::Choices(choices) => {
                ("choices", steps(&json!({ "type": "string", "enum": choices }), 1, PICKS_MAX))
            }
        };
        Some(JsonSchema::new(name, schema))
    }

    /// The answer as those after it take it.
    ///
    /// # Errors
    /// Why the model's text has not the form. Not every server keeps a model to its schema, so it is checked.
    pub(super) fn read(&self, collected: &Collected) -> Result<String, String> {
        let text = collected.text.trim();
        match self {
            Self::Free | Self::Steps => Ok(collected.text.clone()),
            Self::Json(_) => {
                let parsed = collected.json::<serde::de::IgnoredAny>();
                parsed.map(|_| text.to_owned()).map_err(|error| error.to_string())
            }
            Self::Choice(choices) => {
                let chosen = match serde_json::from_str::<Chosen>(text) {
                    Ok(chosen) => chosen.answer,
                    Err(_) => text.to_owned(),
                };
                if choices.contains(&chosen) { Ok(chosen) } else { Err(none_of(choices, collected)) }
            }
            Self::Choices(choices) => {
                let steps: Steps = serde_json::from_str(text).map_err(|_| none_of(choices, collected))?;
                let mut picked: Vec<String> = Vec::new();
                for step in steps.steps.into_iter().filter(|step| choices.contains(step)) {
                    if !picked.contains(&step) {
                        picked.push(step);
                    }
                }
                if picked.is_empty() {
                    Err(none_of(choices, collected))
                } else {
                    Ok(json!({ "steps": picked }).to_string())
                }
            }
        }
    }
}

/// A list that every provider takes: an object at the top, closed, all of it required.
fn steps(item: &Value, least: usize, most: usize) -> Value {
    closed("steps", &json!({ "type": "array", "items": item, "minItems": least, "maxItems": most }))
}

fn closed(key: &str, value: &Value) -> Value {
    json!({ "type": "object", "properties": { key: value }, "required": [key], "additionalProperties": false })
}

fn none_of(choices: &[String], collected: &Collected) -> String {
    match collected.reason {
        Some(FinishReason::Length) => "the answer was cut at its token limit".to_owned(),
        _ => format!("the answer is none of the {} that it can be", choices.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices() -> Vec<String> {
        ["red", "green", "blue"].map(str::to_owned).to_vec()
    }

    fn read(form: &Form, text: &str) -> Result<String, String> {
        let mut collected = Collected::default();
        collected.text.push_str(text);
        form.read(&collected)
    }

    #[test]
    fn a_choice_is_unpacked_and_anything_else_is_refused() {
        let form = Form::Choice(choices());
        assert_eq!(read(&form, r#"{"answer": "green"}"#).as_deref(), Ok("green"));
        assert_eq!(read(&form, " green\n").as_deref(), Ok("green"), "a server without schemas");
        assert_eq!(
            read(&form, r#"{"answer": "pink"}"#),
            Err("the answer is none of the 3 that it can be".to_owned())
        );
    }

    #[test]
    fn several_choices_become_a_list_without_repetitions() {
        let form = Form::Choices(choices());
        let list = read(&form, r#"{"steps": ["blue", "blue", "pink", "red"]}"#).unwrap();
        assert_eq!(crate::workflow::split(&list), ["blue", "red"]);
        assert!(read(&form, r#"{"steps": ["pink"]}"#).is_err());
        assert!(read(&form, "blue and red").is_err());
    }

    #[test]
    fn a_wish_for_a_list_takes_prose_but_a_schema_takes_json_only() {
        assert_eq!(read(&Form::Steps, "just do it").as_deref(), Ok("just do it"));
        assert!(read(&Form::Json(json!({})), "just do it").is_err());
        assert_eq!(read(&Form::Json(json!({})), " [1] ").as_deref(), Ok("[1]"));
    }
}
