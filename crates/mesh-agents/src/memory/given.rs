//! What a message gives, checked, and what its reply shows.

use mesh_store::MemoryId;
use serde_json::{Map, Value};

use super::index::Entry;
use super::message::{MemoryRefusal, MemoryRow};

/// The most that a content, a question or metadata may have.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// A hundred years, in milliseconds: longer than anything is remembered.
const TTL_MS_MAX: u64 = 100 * 365 * 24 * 3_600_000;

pub(super) fn row(entry: &Entry) -> MemoryRow {
    let memory = &entry.memory;
    MemoryRow {
        id: memory.id.to_string(),
        content: memory.content.clone(),
        metadata: memory.metadata.clone(),
        importance: f64::from(memory.importance_micros) / 1e6,
        by: memory.by.clone(),
        created_ms: memory.created_ms,
        updated_ms: memory.updated_ms,
        accessed_ms: memory.accessed_ms,
        accesses: memory.accesses,
        expires_ms: memory.expires_ms,
    }
}

pub(super) fn id(text: &str) -> Result<MemoryId, MemoryRefusal> {
    text.parse().map_err(|_| MemoryRefusal::invalid(format!("{text:.80?} is no id of a memory")))
}

pub(super) fn check_text(what: &str, text: &str) -> Result<(), MemoryRefusal> {
    if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.contains('\0') {
        return Err(MemoryRefusal::invalid(format!("{what} is 1 byte to 16 KiB of text, without NUL")));
    }
    Ok(())
}

pub(super) fn metadata(text: &str) -> Result<Map<String, Value>, MemoryRefusal> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    check_text("metadata", text)?;
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(MemoryRefusal::invalid("metadata is a JSON object")),
    }
}

pub(super) fn importance(share: f64) -> Result<u32, MemoryRefusal> {
    if !(0.0..=1.0).contains(&share) {
        return Err(MemoryRefusal::invalid(format!("importance is a number from 0 to 1, not {share}")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to a million")]
    let micros = (share * 1e6).round() as u32;
    Ok(micros)
}

pub(super) fn end(ttl_ms: Option<u64>, now_ms: i64) -> Result<Option<i64>, MemoryRefusal> {
    let Some(ttl_ms) = ttl_ms else { return Ok(None) };
    match i64::try_from(ttl_ms) {
        Ok(ttl) if (1..=TTL_MS_MAX).contains(&ttl_ms) => Ok(Some(now_ms.saturating_add(ttl))),
        _ => Err(MemoryRefusal::invalid("ttl_ms is from 1 to a hundred years")),
    }
}

pub(super) fn limit(given: Option<u32>, default: u32, max: u32) -> Result<usize, MemoryRefusal> {
    let limit = given.unwrap_or(default);
    if !(1..=max).contains(&limit) {
        return Err(MemoryRefusal::invalid(format!("limit is a number from 1 to {max}")));
    }
    Ok(limit as usize)
}
