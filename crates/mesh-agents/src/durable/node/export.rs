//! A run as one document, for people and for other programs.

use mesh::{Context, Handler};
use mesh_store::{RunId, StoreError};
use serde_json::{Value, json};

use super::RunsActor;
use super::change::run_id;
use crate::durable::RunError;
use crate::durable::load::load;
use crate::durable::message::{ExportRun, RunExported, RunRefused};

/// What a reply can carry, with some room for the rest of it.
const JSON_BYTES_MAX: usize = 15 << 20;

impl Handler<ExportRun> for RunsActor {
    async fn handle(&mut self, export: ExportRun, _: &mut Context<Self>) -> Result<RunExported, RunRefused> {
        Ok(RunExported { json: self.export(&run_id(&export.run)?).await? })
    }
}

impl RunsActor {
    async fn export(&self, id: &RunId) -> Result<String, RunError> {
        let store = &self.runs.store;
        let run = store.run(id).await?;
        let document = load(store, &run, self.runs.settings.attempts.max_attempts).await?.document;
        let mut journal = Vec::new();
        let mut damage = None;
        while (journal.len() as u64) < run.entries && damage.is_none() {
            let page = store.journal(id, journal.len() as u64 + 1, 1000).await?;
            if page.entries.is_empty() && page.damage.is_none() {
                break;
            }
            damage = page.damage.map(|damage| damage.to_string());
            journal.extend(page.entries.iter().map(|entry| {
                json!({"seq": entry.seq, "kind": entry.kind.as_str(), "at_ms": entry.at_ms, "said": said(&entry.payload)})
            }));
        }
        let calls: Vec<Value> = store.calls(id).await?.iter().map(|call| {
            let outcome = call.outcome.as_ref();
            json!({
                "key": call.key.as_str(), "tool": call.tool.as_str(), "args_hash": call.args_hash.to_string(),
                "intent_ms": call.intent_ms, "is_ok": outcome.map(|outcome| outcome.is_ok),
                "outcome": outcome.map(|outcome| said(&outcome.payload)),
            })
        }).collect();
        let tags: Vec<&str> = run.tags.iter().map(|tag| tag.as_str()).collect();
        let whole = json!({
            "version": 1, "run": run.id.as_str(), "agent": run.kind.as_str(), "status": run.status.as_str(), "tags": tags,
            "created_ms": run.created_ms, "updated_ms": run.updated_ms,
            "forked_from": run.origin.map(|origin| origin.to_string()),
            "document": document, "journal": journal, "calls": calls, "damage": damage,
        });
        let text = whole.to_string();
        if text.len() > JSON_BYTES_MAX {
            let (what, bytes, max) = ("export", text.len(), JSON_BYTES_MAX);
            return Err(StoreError::TooLarge { what, bytes, max }.into());
        }
        Ok(text)
    }
}

/// JSON as it is, and whatever else as text.
fn said(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into_owned().into())
}
