//! What the assistant is reminded of before its first turn.

use std::time::Duration;

use mesh::{AskError, Mesh};
use mesh_models::Remembered;
use serde_json::{Value, json};

use super::spec::AssistantSpec;
use crate::durable::{RunContext, StepError};
use crate::memory::{Memory, RecallMemories, RecalledMemories};

/// Under which the memories stand in the run's metadata.
const NOTE: &str = "memories";
/// The longest question.
const QUERY_BYTES_MAX: usize = 16 << 10;
/// How long a memory may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks the memories of the spec's scope about the task, and notes what they say.
pub(super) async fn recall(spec: &AssistantSpec, task: &str, cx: &mut RunContext) -> Result<(), StepError> {
    let Some(scope) = spec.memory.as_deref().filter(|_| !task.trim().is_empty()) else { return Ok(()) };
    let no_mesh = || StepError::new("NO_MEMORY", "the run is on no mesh, and memories are actors").fatal();
    let mesh = cx.mesh().ok_or_else(no_mesh)?.clone();
    let query = task[..task.floor_char_boundary(QUERY_BYTES_MAX)].to_owned();
    let limit = Some(spec.memories_max.clamp(1, 100));
    let question = RecallMemories { query, limit, ..RecallMemories::default() };
    let found = asked(&mesh, scope, question).await?;
    let note = |found: &crate::memory::Recalled| json!({"id": found.memory.id, "text": found.memory.content, "value": found.score});
    cx.note(NOTE, found.memories.iter().map(note).collect::<Vec<_>>());
    Ok(())
}

/// What was recalled when the run began.
pub(super) fn recalled(cx: &RunContext) -> Vec<Remembered> {
    let text = |memory: &Value, key: &str| memory[key].as_str().unwrap_or_default().to_owned();
    let remembered = |memory: &Value| Remembered {
        id: text(memory, "id"),
        text: text(memory, "text"),
        value: memory["value"].as_f64().unwrap_or(0.0),
    };
    let noted = cx.metadata().get(NOTE).and_then(Value::as_array);
    noted.map(|all| all.iter().map(remembered).collect()).unwrap_or_default()
}

/// The actor is started where nobody has needed it since its node was.
async fn asked(mesh: &Mesh, scope: &str, question: RecallMemories) -> Result<RecalledMemories, StepError> {
    let (node, name) = (mesh.node_name(), format!("memory/{scope}"));
    let memory = mesh.recipient::<RecallMemories>(&format!("{node}/{name}"))?;
    let answer = match memory.ask(question.clone()).timeout(TIMEOUT).await {
        Err(AskError::NoSuchActor { .. }) => {
            // Somebody else may have started it just now: then it answers.
            let spawned = mesh.spawn_kind(&node, Memory::KIND, &name, "{}").await;
            if let Err(error) = &spawned
                && !matches!(error, AskError::NameTaken { .. })
            {
                return Err(StepError::new(error.code(), format!("no memory of {scope}: {error}")));
            }
            memory.ask(question).timeout(TIMEOUT).await
        }
        answer => answer,
    };
    answer?.map_err(|refusal| StepError::new(refusal.code, refusal.message))
}
