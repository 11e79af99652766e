//! Agents, each as a tool that takes work.

use std::collections::BTreeMap;

use mesh::{AskError, Cancel, Mesh};
use mesh_agents::tools::ToolError;
use mesh_agents::{Said, Work};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::progress::Teller;

/// The agents that are offered, by the names of their tools.
#[derive(Debug)]
pub(super) struct AgentTools(BTreeMap<String, String>);

impl AgentTools {
    pub(super) fn new(paths: impl IntoIterator<Item = String>) -> Self {
        Self(paths.into_iter().map(|path| (name(&path), path)).collect())
    }

    pub(super) fn path(&self, tool: &str) -> Option<&str> {
        self.0.get(tool).map(String::as_str)
    }

    pub(super) fn tools(&self) -> impl Iterator<Item = Tool> {
        self.0.iter().map(|(name, path)| {
            let description = format!("Gives work to the agent {path}, and answers with what it made of it.");
            // What an agent does with its tools is not known here.
            let hints =
                ToolAnnotations::new().read_only(false).destructive(true).idempotent(false).open_world(true);
            Tool::new(name.clone(), description, schema()).with_annotations(hints)
        })
    }
}

/// `agent_NODE_NAME`
fn name(path: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("agent_{}", path.chars().map(letter).collect::<String>())
}

fn schema() -> JsonObject {
    let schema = json!({
        "type": "object",
        "properties": {"input": {"type": "string", "description": "What to work on."}},
        "required": ["input"],
        "additionalProperties": false,
    });
    let Value::Object(schema) = schema else { unreachable!("it is written as one") };
    schema
}

/// Gives an agent work, tells what it says while it works, and brings its answer.
pub(super) async fn ask(
    mesh: &Mesh,
    path: &str,
    args: &Value,
    deadline: Instant,
    cancel: &Cancel,
    progress: &Teller,
) -> Result<Value, ToolError> {
    let wrong = || ToolError::refused("BAD_ARGUMENTS", "an agent takes {\"input\": \"…\"}, and nothing else");
    let input = args
        .get("input")
        .and_then(Value::as_str)
        .filter(|_| args.as_object().is_some_and(|args| args.len() == 1));
    let work = Work::new(input.ok_or_else(wrong)?);
    let agent = mesh.stream_recipient::<Work>(path);
    let agent = agent.map_err(|error| ToolError::from(AskError::BadPath { reason: error.to_string() }))?;
    let left = deadline.saturating_duration_since(Instant::now());
    let mut stream = agent.stream(work).timeout(left).cancel_on(cancel.clone());
    let mut pieces = 0_u32;
    while let Some(said) = stream.next().await {
        if let Said::Text { text } = said {
            pieces += 1;
            progress.tell(f64::from(pieces), None, text).await;
        }
    }
    match stream.finish().await? {
        Ok(answer) => Ok(json!({"text": answer.text, "model": answer.model, "is_cut": answer.is_cut})),
        Err(refusal) => Err(ToolError {
            code: refusal.code,
            message: refusal.message,
            retry: refusal.retry,
            may_have_run: refusal.may_have_run,
            in_doubt: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_s_tool_is_called_for_its_path() {
        let agents = AgentTools::new(["alpha/writer".to_owned(), "critic.v2".to_owned()]);
        assert_eq!(agents.path("agent_alpha_writer"), Some("alpha/writer"));
        assert_eq!(agents.path("agent_critic_v2"), Some("critic.v2"));
        assert_eq!(agents.path("alpha/writer"), None);
        let tools: Vec<_> = agents.tools().collect();
        assert_eq!(tools[0].input_schema["required"], json!(["input"]));
    }
}
