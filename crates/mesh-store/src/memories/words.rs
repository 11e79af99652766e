//! Finding memories by their words, with what each database has for that.

use crate::tx::{Operation, Tx};
use crate::{MemoryId, MemoryScope, Store, StoreError};

/// More words of a question than this are not looked for.
const WORDS_MAX: usize = 64;

/// The most that a search gives.
const FOUND_MAX: u32 = 1000;

/// A memory that has words of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundMemory {
    /// Which one.
    pub id: MemoryId,
    /// How well it fits, in millionths of what the database says: BM25 of SQLite, `ts_rank_cd` of Postgres. Only
    /// comparisons within one search mean something.
    pub score_micros: i64,
}

impl Store {
    /// The memories of the scope that have any of the words in `text`, the best first, `limit` at most, and never more than
    /// 1,000. Nothing in `text` is an operator. Capitals make no difference, but for letters beyond ASCII in a Postgres of
    /// the C locale.
    ///
    /// # Errors
    /// None of its own.
    pub async fn find_memories(
        &self,
        scope: &MemoryScope,
        text: &str,
        limit: u32,
    ) -> Result<Vec<FoundMemory>, StoreError> {
        let words = words(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        self.look(Find { scope: scope.clone(), words, limit: limit.clamp(1, FOUND_MAX) }).await
    }
}

/// What is between signs and spaces, each once.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let lower = word.to_lowercase();
        // A Postgres of the C locale knows capitals of ASCII alone, and keeps others as they were written.
        let as_written = (!word.is_ascii() && word != lower).then(|| word.to_owned());
        for word in [Some(lower), as_written].into_iter().flatten() {
            // Nobody writes longer words, and Postgres takes none of 2 KiB.
            if word.len() <= 200 && !words.contains(&word) {
                words.push(word);
            }
        }
        if words.len() >= WORDS_MAX {
            break;
        }
    }
    words
}

struct Find {
    scope: MemoryScope,
    words: Vec<String>,
    limit: u32,
}

impl Find {
    fn quoted(&self, quote: char, or: &str) -> String {
        let words = self.words.iter().map(|word| format!("{quote}{word}{quote}"));
        words.collect::<Vec<_>>().join(or)
    }
}

impl Operation for Find {
    type Output = Vec<FoundMemory>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<FoundMemory>, StoreError> {
        let key = self.scope.key();
        let (sql, question) = if T::IS_POSTGRES {
            let sql = "SELECT m.id, CAST(1000000 * ts_rank_cd(m.words, q) AS BIGINT) FROM memories m,
                to_tsquery('simple', $1) q WHERE m.words @@ q AND m.scope = $2
                ORDER BY ts_rank_cd(m.words, q) DESC, m.id LIMIT $3";
            (sql, self.quoted('\'', " | "))
        } else {
            // The scope is a word of its own, so that what is in other scopes is not even looked at.
            let sql =
                "SELECT m.id, CAST(-1000000 * bm25(memory_words, 1.0, 0.0) AS INTEGER) FROM memory_words
                JOIN memories m ON m.number = memory_words.rowid WHERE memory_words MATCH $1 AND m.scope = $2
                ORDER BY bm25(memory_words, 1.0, 0.0), m.id LIMIT $3";
            let scope = blake3::Hash::from_bytes(key.0).to_hex();
            (sql, format!("scope : \"{scope}\" AND content : ({})", self.quoted('"', " OR ")))
        };
        let rows =
            tx.query(sql, &[question.as_str().into(), key.into(), i64::from(self.limit).into()]).await?;
        let found = |mut row: crate::value::Row| {
            Ok(FoundMemory { id: MemoryId::from_bytes(&row.bytes()?)?, score_micros: row.int()? })
        };
        rows.into_iter().map(found).collect()
    }
}
