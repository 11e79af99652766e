//! A document as a checkpoint holds it: what is large or the same in many is a blob, stored once by its hash.
//!
//! Results are cut into chunks, from the first on and always at the same places, so that those of two checkpoints are
//! the same blobs but for the last, which is in the checkpoint itself. So a run's storage grows with its results, and not
//! with their number times that of its checkpoints.

use mesh_store::{ContentHash, Store, StoreError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{ExecutionContext, RunDocument};

/// What is longer than this is a blob. A reference to one takes about 80 bytes.
const INLINE_BYTES_MAX: usize = 1 << 10;
/// A chunk of results is full at so many bytes, or results.
const CHUNK_BYTES: usize = 16 << 10;
const CHUNK_RESULTS: usize = 32;

/// Something that stands here, or in a blob.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored<T> {
    Inline(T),
    Blob(String),
}

/// The document, with the large parts replaced.
#[derive(Debug, Serialize, Deserialize)]
struct Packed {
    document: RunDocument,
    task: Stored<String>,
    plan: Stored<Value>,
    metadata: Stored<Value>,
    /// Full chunks of results, as blobs.
    chunks: Vec<String>,
    /// The results behind them.
    tail: Vec<Value>,
}

/// What is to be written: the blobs first, then the payload that refers to them.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) payload: Vec<u8>,
    pub(super) blobs: Vec<(ContentHash, Vec<u8>)>,
}

/// Why a checkpoint's payload is no document.
#[derive(Debug)]
pub(super) enum UnpackError {
    /// It is not ours, or damaged: an earlier one may be used.
    Foreign(String),
    /// The store failed.
    Store(StoreError),
}

/// Packs a document. The same one gives the same package.
pub(super) fn pack(document: &RunDocument) -> Package {
    let mut blobs = Vec::new();
    let context = &document.context;
    let task = store_away(context.task.clone(), &mut blobs);
    let plan = store_away(to_value(&context.plan), &mut blobs);
    let metadata = store_away(to_value(&context.metadata), &mut blobs);
    let (full, tail) = chunked(&context.results);
    let chunks = full.iter().map(|chunk| put(to_bytes(chunk), &mut blobs)).collect();
    let hollow = ExecutionContext {
        task: String::new(),
        plan: None,
        results: Vec::new(),
        metadata: serde_json::Map::new(),
        ..context.clone()
    };
    let document = RunDocument { context: hollow, ..document.clone() };
    let packed = Packed { document, task, plan, metadata, chunks, tail: tail.to_vec() };
    Package { payload: to_bytes(&packed), blobs }
}

/// Reads a payload, with its blobs.
pub(super) async fn unpack(store: &Store, payload: &[u8]) -> Result<RunDocument, UnpackError> {
    let packed: Packed = read(payload)?;
    let mut document = packed.document;
    let context = &mut document.context;
    context.task = fetch(store, packed.task).await?;
    context.plan = of_value(fetch(store, packed.plan).await?)?;
    context.metadata = of_value(fetch(store, packed.metadata).await?)?;
    for chunk in packed.chunks {
        context.results.append(&mut fetch(store, Stored::Blob(chunk)).await?);
    }
    context.results.extend(packed.tail);
    match document.problem() {
        Some(problem) => Err(UnpackError::Foreign(problem)),
        None => Ok(document),
    }
}

/// What a payload says without its blobs: everything but the task, the plan, the results and the metadata.
pub(super) fn peek(payload: &[u8]) -> Option<RunDocument> {
    serde_json::from_slice::<Packed>(payload).ok().map(|packed| packed.document)
}

/// Full chunks, and what is behind them.
fn chunked(results: &[Value]) -> (Vec<&[Value]>, &[Value]) {
    let (mut full, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, result) in results.iter().enumerate() {
        bytes += to_bytes(result).len();
        if bytes >= CHUNK_BYTES || at + 1 - begin >= CHUNK_RESULTS {
            full.push(&results[begin..=at]);
            (begin, bytes) = (at + 1, 0);
        }
    }
    (full, &results[begin..])
}

fn store_away<T: Serialize>(value: T, blobs: &mut Vec<(ContentHash, Vec<u8>)>) -> Stored<T> {
    let bytes = to_bytes(&value);
    if bytes.len() <= INLINE_BYTES_MAX { Stored::Inline(value) } else { Stored::Blob(put(bytes, blobs)) }
}

fn put(bytes: Vec<u8>, blobs: &mut Vec<(ContentHash, Vec<u8>)>) -> String {
    let hash = ContentHash::of(&bytes);
    blobs.push((hash, bytes));
    hash.to_string()
}

async fn fetch<T: DeserializeOwned>(store: &Store, stored: Stored<T>) -> Result<T, UnpackError> {
    let hash = match stored {
        Stored::Inline(value) => return Ok(value),
        Stored::Blob(hash) => hash,
    };
    let hash = hash.parse::<ContentHash>().map_err(|error| UnpackError::Foreign(error.to_string()))?;
    match store.blob(hash).await {
        Ok(bytes) => read(&bytes),
        Err(error @ (StoreError::NotFound { .. } | StoreError::Corrupt { .. })) => {
            Err(UnpackError::Foreign(error.to_string()))
        }
        Err(error) => Err(UnpackError::Store(error)),
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UnpackError> {
    serde_json::from_slice(bytes).map_err(|error| UnpackError::Foreign(error.to_string()))
}

fn of_value<T: DeserializeOwned>(value: Value) -> Result<T, UnpackError> {
    serde_json::from_value(value).map_err(|error| UnpackError::Foreign(error.to_string()))
}

fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts, numbers and JSON are JSON")
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("texts, numbers and JSON are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_cut_at_the_same_places_whatever_follows() {
        let results: Vec<Value> = (0..200).map(|at| Value::from("x".repeat(at * 20))).collect();
        let (all, _) = chunked(&results);
        assert!(all.len() > 6, "{}", all.len());
        for until in 0..=results.len() {
            let (full, tail) = chunked(&results[..until]);
            assert_eq!(full, all[..full.len()]);
            assert_eq!(full.concat().len() + tail.len(), until);
            assert!(tail.len() < CHUNK_RESULTS);
        }
    }
}
