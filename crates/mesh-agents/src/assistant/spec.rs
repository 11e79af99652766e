//! What makes one assistant different from another.

use std::sync::Arc;
use std::time::Duration;

use mesh_models::{Compaction, PriceTable};
use mesh_resilience::Money;
use mesh_store::MemoryScope;
use serde_json::Value;

/// What an assistant is, what it may use, and how much of it.
#[derive(Debug, Clone)]
pub struct AssistantSpec {
    /// What people call it: 1 to 60 bytes of `a-z A-Z 0-9 . _ - : /`. Who is asked for approval sees it.
    pub name: String,
    /// What it is, in a few words; the model is told.
    pub role: Option<String>,
    /// The instructions that the model gets before everything else.
    pub system_prompt: Option<String>,
    /// The model's name; the provider's default where there is none.
    pub model: Option<String>,
    /// The most tokens of one turn, at least 1; the provider decides where there is none.
    pub max_tokens: Option<u32>,
    /// From 0 to 2; the provider decides where there is none.
    pub temperature: Option<f32>,
    /// The tools that it may call, by their names. None by default.
    pub tools: Vec<String>,
    /// Whose memories it is reminded of before its first turn, as `acme/planner`: those of its own node that have to do with
    /// the task. None by default.
    pub memory: Option<String>,
    /// How many memories at most; 5 by default.
    pub memories_max: u32,
    /// The JSON Schema of its answer; a text where there is none.
    pub output_schema: Option<Value>,
    /// How many turns a run may take; 50 by default, at least 1.
    pub turns_max: u32,
    /// How many tokens a run may use, read and written, in all its turns; a million by default.
    pub tokens_max: u64,
    /// How much a run may cost, by `prices`; there is no such limit by default.
    pub money_max: Option<Money>,
    /// What models cost.
    pub prices: Option<Arc<PriceTable>>,
    /// What the model can have before it, its answer included; 100,000 by default.
    pub context_tokens: u64,
    /// What goes when a conversation does not fit into that; the oldest by default. One that lets a model write a summary
    /// asks it anew at each turn that is too long.
    pub compaction: Compaction,
    /// How long one turn may take; 5 min by default.
    pub turn_timeout: Duration,
    /// How long one call of a tool may take, with the approval that it may need; 10 min by default.
    pub call_timeout: Duration,
}

impl AssistantSpec {
    /// An assistant of this name with the defaults: no instructions, no tools, no memories.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            role: None,
            system_prompt: None,
            model: None,
            max_tokens: None,
            temperature: None,
            tools: Vec::new(),
            memory: None,
            memories_max: 5,
            output_schema: None,
            turns_max: 50,
            tokens_max: 1_000_000,
            money_max: None,
            prices: None,
            context_tokens: 100_000,
            compaction: Compaction::OldestFirst,
            turn_timeout: Duration::from_secs(300),
            call_timeout: Duration::from_secs(600),
        }
    }

    /// What is wrong with it first, if anything.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.turns_max == 0 || self.max_tokens == Some(0) {
            return Err("turns_max and max_tokens: at least 1 is wanted".to_owned());
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err("temperature: from 0 to 2 is wanted".to_owned());
        }
        if let Some(scope) = &self.memory {
            scope.parse::<MemoryScope>().map_err(|error| format!("memory: {error}"))?;
        }
        if self.money_max.is_some() && self.prices.is_none() {
            return Err("money_max: without prices nothing is known of what is spent".to_owned());
        }
        if let Some(schema) = &self.output_schema {
            jsonschema::validator_for(schema).map_err(|error| format!("output_schema: {error}"))?;
        }
        match self.tools.iter().enumerate().find(|(at, tool)| self.tools[..*at].contains(tool)) {
            Some((_, twice)) => Err(format!("tools: {twice} is there twice")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        let problem = |change: fn(&mut AssistantSpec)| {
            let mut spec = AssistantSpec::new("clerk");
            change(&mut spec);
            spec.check().unwrap_err().split(':').next().unwrap().to_owned()
        };
        assert_eq!(AssistantSpec::new("clerk").check(), Ok(()));
        assert_eq!(problem(|spec| spec.temperature = Some(f32::NAN)), "temperature");
        assert_eq!(problem(|spec| spec.memory = Some("../x".to_owned())), "memory");
        assert_eq!(problem(|spec| spec.money_max = Some(Money::from_micros(1))), "money_max");
        assert_eq!(problem(|spec| spec.output_schema = Some(json!({"type": 1}))), "output_schema");
        assert_eq!(problem(|spec| spec.tools = vec!["a".to_owned(), "a".to_owned()]), "tools");
        assert_eq!(problem(|spec| spec.turns_max = 0), "turns_max and max_tokens");
    }
}
