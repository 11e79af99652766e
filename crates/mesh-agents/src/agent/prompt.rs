//! What the model is told.

use mesh_models::ChatRequest;
use tokio::time::Instant;

use super::args::AgentArgs;
use super::form::Form;
use crate::models::Models;

/// The request for one piece of work.
pub(super) fn request(
    models: &Models,
    args: &AgentArgs,
    form: &Form,
    input: &str,
    deadline: Option<Instant>,
) -> ChatRequest {
    let mut request = ChatRequest::user(input);
    request.model = models.choose(args.model.as_deref());
    request.system = system(args.role.as_deref(), args.system_prompt.as_deref());
    request.max_tokens = args.max_tokens;
    request.temperature = args.temperature.map(narrowed);
    request.deadline = deadline;
    request.response_schema = form.schema();
    request
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "from 0 to 2, where a hundredth more or less makes no difference"
)]
fn narrowed(temperature: f64) -> f32 {
    temperature as f32
}

/// What stands above a conversation.
pub(crate) fn system(role: Option<&str>, prompt: Option<&str>) -> Option<String> {
    let role = role.map(str::trim).filter(|role| !role.is_empty());
    let prompt = prompt.map(str::trim).filter(|prompt| !prompt.is_empty());
    match (role, prompt) {
        (Some(role), Some(prompt)) => Some(format!("Your role: {role}.\n\n{prompt}")),
        (Some(role), None) => Some(format!("Your role: {role}.")),
        (None, prompt) => prompt.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_and_prompt_stand_above_the_conversation() {
        let both = system(Some("Planner"), Some("  List the steps.\n"));
        assert_eq!(both.as_deref(), Some("Your role: Planner.\n\nList the steps."));
        assert_eq!(system(Some("Planner"), Some(" ")).as_deref(), Some("Your role: Planner."));
        assert_eq!(system(None, Some("List.")).as_deref(), Some("List."));
        assert_eq!(system(None, None), None);
    }
}
