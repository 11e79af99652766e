//! What an agent is asked for: to work on an item, or to coordinate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::name;
use crate::agent::AgentArgs;
use crate::workflow::{Agent, Choices, Consult, Item, Plan};

/// How long the coordinator may take, as long as an item by default.
const CONSULT_MAX: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) enum Job {
    Item(Item),
    Consult(Consult),
}

impl Job {
    /// The index of its stage, or of the one that the coordinator is told of.
    pub(super) fn stage(&self) -> usize {
        match self {
            Self::Item(item) => item.stage,
            Self::Consult(consult) => consult.stage,
        }
    }

    /// The item's place in its stage's input; 0 for the coordinator.
    pub(super) fn index(&self) -> usize {
        match self {
            Self::Item(item) => item.index,
            Self::Consult(_) => 0,
        }
    }

    pub(super) fn is_consult(&self) -> bool {
        matches!(self, Self::Consult(_))
    }

    pub(super) fn input(&self) -> &Arc<str> {
        match self {
            Self::Item(item) => &item.input,
            Self::Consult(consult) => &consult.input,
        }
    }

    pub(super) fn limit(&self, plan: &Plan) -> Duration {
        match self {
            Self::Item(item) => plan.stages[item.stage].timeout,
            Self::Consult(_) => CONSULT_MAX,
        }
    }

    /// The labels that the agent's node must carry.
    pub(super) fn place<'p>(
        &self,
        plan: &'p Plan,
        anywhere: &'p BTreeMap<String, String>,
    ) -> &'p BTreeMap<String, String> {
        match self {
            Self::Item(item) => &plan.stages[item.stage].place,
            Self::Consult(_) => anywhere,
        }
    }

    /// What the agent's actor is called.
    pub(super) fn name(&self, run: &str, plan: &Plan, attempt: u32) -> String {
        let stage = &plan.stages[self.stage()].name;
        match self {
            Self::Item(item) => name::agent(run, &self.agent(plan).name, stage, item.index, attempt),
            Self::Consult(_) => name::coordinator(run, &self.agent(plan).name, stage, attempt),
        }
    }

    pub(super) fn args(&self, plan: &Plan) -> AgentArgs {
        let agent = self.agent(plan);
        let schema = match self {
            Self::Item(_) => agent.output_schema.as_ref().map(ToString::to_string),
            Self::Consult(consult) => Some(consult.schema().to_string()),
        };
        let (choices, prefers_list) = match self {
            Self::Item(item) => {
                let choices = match &item.choices {
                    Choices::OneOf(choices) => choices.clone(),
                    Choices::Free | Choices::Nothing(_) => Vec::new(),
                };
                (choices, plan.stages[item.stage].is_split(plan))
            }
            Self::Consult(_) => (Vec::new(), false),
        };
        AgentArgs {
            name: agent.name.clone(),
            role: agent.role.clone(),
            model: agent.model.clone(),
            system_prompt: agent.system_prompt.clone(),
            max_tokens: agent.max_tokens,
            temperature: agent.temperature,
            output_schema: schema,
            prefers_list,
            choices,
            once: true,
        }
    }

    fn agent<'p>(&self, plan: &'p Plan) -> &'p Arc<Agent> {
        let worker = &plan.stages[self.stage()].agent;
        match self {
            Self::Item(_) => worker,
            Self::Consult(_) => plan.coordinator.as_ref().unwrap_or(worker),
        }
    }
}
