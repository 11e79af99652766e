//! The tables, and how an older store becomes a newer one.

use crate::StoreError;

/// One step from a schema to the next. Steps are added at the end and never changed.
struct Migration {
    version: u32,
    /// `{bytes}`, `{int}` and `{kept}` stand for what databases write differently.
    statements: &'static [&'static str],
}

/// The newest schema that this program knows.
pub(crate) const KNOWN: u32 = 2;

const MIGRATIONS: &[Migration] = &[RUNS, MEMORIES];

const RUNS: Migration = Migration {
    version: 1,
    statements: &[
        "CREATE TABLE leases (resource TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch {int} NOT NULL,
            until_ms {int} NOT NULL, sum {bytes} NOT NULL) {kept}",
        "CREATE TABLE runs (id TEXT PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, tags TEXT NOT NULL,
            created_ms {int} NOT NULL, updated_ms {int} NOT NULL, origin {bytes} NOT NULL, head {int} NOT NULL,
            chain {bytes} NOT NULL, calls {int} NOT NULL, checkpoints {int} NOT NULL, latest {bytes} NOT NULL,
            sum {bytes} NOT NULL) {kept}",
        "CREATE INDEX runs_by_status ON runs (status, id)",
        "CREATE INDEX runs_by_origin ON runs (origin)",
        "CREATE TABLE run_tags (tag TEXT NOT NULL, run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            PRIMARY KEY (tag, run)) {kept}",
        "CREATE INDEX run_tags_by_run ON run_tags (run)",
        "CREATE TABLE journal (run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, seq {int} NOT NULL,
            kind TEXT NOT NULL, at_ms {int} NOT NULL, payload {bytes} NOT NULL, sum {bytes} NOT NULL,
            PRIMARY KEY (run, seq))",
        "CREATE TABLE checkpoints (id {bytes} PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, parent {bytes} NOT NULL,
            needs_parent {int} NOT NULL, step {int} NOT NULL, at_ms {int} NOT NULL, tags TEXT NOT NULL,
            payload {bytes} NOT NULL, sum {bytes} NOT NULL)",
        "CREATE INDEX checkpoints_by_run ON checkpoints (run, id)",
        "CREATE TABLE blobs (hash {bytes} PRIMARY KEY, at_ms {int} NOT NULL, bytes {bytes} NOT NULL)",
        "CREATE TABLE blob_refs (hash {bytes} NOT NULL REFERENCES blobs (hash),
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, owner {bytes} NOT NULL,
            PRIMARY KEY (hash, run, owner)) {kept}",
        "CREATE INDEX blob_refs_by_owner ON blob_refs (run, owner)",
        "CREATE TABLE calls (run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, key TEXT NOT NULL,
            number {int} NOT NULL, tool TEXT NOT NULL, args_hash {bytes} NOT NULL, policy TEXT NOT NULL,
            intent_ms {int} NOT NULL, state TEXT NOT NULL, outcome {bytes} NOT NULL, outcome_ms {int} NOT NULL,
            sum {bytes} NOT NULL, PRIMARY KEY (run, key))",
        "CREATE TABLE approvals (id {bytes} PRIMARY KEY, run TEXT NOT NULL, action TEXT NOT NULL,
            level TEXT NOT NULL, payload {bytes} NOT NULL, needed {int} NOT NULL, state TEXT NOT NULL,
            requested_ms {int} NOT NULL, expires_ms {int} NOT NULL, events {int} NOT NULL, chain {bytes} NOT NULL,
            sum {bytes} NOT NULL)",
        "CREATE INDEX approvals_by_state ON approvals (state, id)",
        "CREATE INDEX approvals_by_run ON approvals (run, id)",
        "CREATE TABLE approval_events (approval {bytes} NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
            seq {int} NOT NULL, at_ms {int} NOT NULL, actor TEXT NOT NULL, what TEXT NOT NULL,
            action_hash {bytes} NOT NULL, note TEXT NOT NULL, sum {bytes} NOT NULL,
            PRIMARY KEY (approval, seq))",
    ],
};

/// Words are looked up by what each database brings: SQLite's FTS5, filled by triggers, or a `tsvector` of Postgres. Both
/// follow from the rows, so they are in no backup.
const MEMORIES: Migration = Migration {
    version: 2,
    statements: &[
        "CREATE TABLE memory_scopes (scope {bytes} PRIMARY KEY, path TEXT NOT NULL, version {int} NOT NULL,
            model TEXT NOT NULL, dimensions {int} NOT NULL, sum {bytes} NOT NULL) {kept}",
        "CREATE TABLE memories (id {bytes} PRIMARY KEY, scope {bytes} NOT NULL REFERENCES memory_scopes (scope),
            number {int} NOT NULL UNIQUE, hash {bytes} NOT NULL, content TEXT NOT NULL, metadata TEXT NOT NULL,
            importance {int} NOT NULL, by_whom TEXT NOT NULL, created_ms {int} NOT NULL,
            updated_ms {int} NOT NULL, accessed_ms {int} NOT NULL, accesses {int} NOT NULL,
            expires_ms {int} NOT NULL, vector {bytes} NOT NULL, sum {bytes} NOT NULL)",
        "CREATE UNIQUE INDEX memories_by_hash ON memories (scope, hash)",
        "CREATE INDEX memories_by_scope ON memories (scope, id)",
        "CREATE TABLE memory_events (memory {bytes} NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
            seq {int} NOT NULL, at_ms {int} NOT NULL, by_whom TEXT NOT NULL, what TEXT NOT NULL,
            before TEXT NOT NULL, sum {bytes} NOT NULL, PRIMARY KEY (memory, seq))",
        "sqlite: CREATE VIRTUAL TABLE memory_words USING fts5 (content, scope,
            tokenize = 'unicode61 remove_diacritics 0')",
        "sqlite: CREATE TRIGGER memory_is_added AFTER INSERT ON memories BEGIN
            INSERT INTO memory_words (rowid, content, scope)
            VALUES (new.number, new.content, lower(hex(new.scope))); END",
        "sqlite: CREATE TRIGGER memory_is_changed AFTER UPDATE OF content ON memories BEGIN
            UPDATE memory_words SET content = new.content WHERE rowid = new.number; END",
        "sqlite: CREATE TRIGGER memory_is_gone AFTER DELETE ON memories BEGIN
            DELETE FROM memory_words WHERE rowid = old.number; END",
        "postgres: ALTER TABLE memories ADD COLUMN words tsvector
            GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, content)) STORED",
        "postgres: CREATE INDEX memories_by_word ON memories USING gin (words)",
    ],
};

/// What a database calls things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// Stands before statements that are for it alone.
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static str,
    pub(crate) int: &'static str,
    /// What stands behind a table whose rows are small, and kept in the order of their key.
    pub(crate) kept: &'static str,
}

impl Dialect {
    /// The statement as it is written here; `None` if it is for another database.
    fn spell(&self, statement: &str) -> Option<String> {
        let statement = match statement.split_once(": ") {
            Some((name, statement)) if name == self.name => statement,
            Some((name, _)) if ["sqlite", "postgres"].contains(&name) => return None,
            _ => statement,
        };
        let statement = statement.replace("{bytes}", self.bytes).replace("{int}", self.int);
        Some(statement.replace("{kept}", self.kept))
    }
}

/// The statements that lead from `found` to what this program knows, with the versions that they reach.
///
/// # Errors
/// [`StoreError::Newer`] if `found` is ahead.
pub(crate) fn steps(found: u32, dialect: Dialect) -> Result<Vec<(u32, Vec<String>)>, StoreError> {
    if found > KNOWN {
        return Err(StoreError::Newer { found, known: KNOWN });
    }
    let missing = MIGRATIONS.iter().filter(|step| step.version > found);
    Ok(missing
        .map(|step| (step.version, step.statements.iter().filter_map(|text| dialect.spell(text)).collect()))
        .collect())
}

/// What records the steps: one row each.
pub(crate) const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS mesh_store_schema (version BIGINT PRIMARY KEY, program TEXT NOT NULL)";
pub(crate) const RECORD: &str = "INSERT INTO mesh_store_schema (version, program) VALUES ($1, $2)";
pub(crate) const NEWEST: &str = "SELECT COALESCE(MAX(version), 0) FROM mesh_store_schema";

/// A table, as a backup reads and fills it.
pub(crate) struct Table {
    /// Reads a page of rows behind the key that is given, which is the leading columns.
    pub(crate) first: &'static str,
    pub(crate) next: &'static str,
    pub(crate) insert: &'static str,
    pub(crate) key_columns: usize,
    pub(crate) columns: usize,
}

macro_rules! tables {
    ($($name:literal: ($($key:literal),*; $($column:literal),*) ($marks:literal, $values:literal);)*) => {
        /// Every table, in the order in which their rows can be put back. A page is a few rows, since they may be large.
        pub(crate) const TABLES: &[Table] = &[$(Table {
            first: concat!("SELECT ", tables!(@list $($key),*), $(", ", $column,)* " FROM ", $name, " ORDER BY ",
                tables!(@list $($key),*), " LIMIT 64"),
            next: concat!("SELECT ", tables!(@list $($key),*), $(", ", $column,)* " FROM ", $name, " WHERE (",
                tables!(@list $($key),*), ") > (", $marks, ") ORDER BY ", tables!(@list $($key),*), " LIMIT 64"),
            insert: concat!("INSERT INTO ", $name, " (", tables!(@list $($key),*), $(", ", $column,)* ") VALUES (",
                $values, ")"),
            key_columns: [$($key),*].len(),
            columns: [$($key),*].len() + tables!(@count $($column),*),
        }),*];
    };
    (@list $first:literal $(, $rest:literal)*) => { concat!($first $(, ", ", $rest)*) };
    (@count) => { 0 };
    (@count $($column:literal),+) => { [$($column),+].len() };
}

tables! {
    "leases": ("resource"; "holder", "epoch", "until_ms", "sum") ("$1", "$1, $2, $3, $4, $5");
    "runs": ("id"; "kind", "status", "tags", "created_ms", "updated_ms", "origin", "head", "chain", "calls",
        "checkpoints", "latest", "sum") ("$1", "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13");
    "run_tags": ("tag", "run";) ("$1, $2", "$1, $2");
    "journal": ("run", "seq"; "kind", "at_ms", "payload", "sum") ("$1, $2", "$1, $2, $3, $4, $5, $6");
    "checkpoints": ("id"; "run", "parent", "needs_parent", "step", "at_ms", "tags", "payload", "sum")
        ("$1", "$1, $2, $3, $4, $5, $6, $7, $8, $9");
    "blobs": ("hash"; "at_ms", "bytes") ("$1", "$1, $2, $3");
    "blob_refs": ("hash", "run", "owner";) ("$1, $2, $3", "$1, $2, $3");
    "calls": ("run", "key"; "number", "tool", "args_hash", "policy", "intent_ms", "state", "outcome",
        "outcome_ms", "sum") ("$1, $2", "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11");
    "approvals": ("id"; "run", "action", "level", "payload", "needed", "state", "requested_ms", "expires_ms",
        "events", "chain", "sum") ("$1", "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12");
    "approval_events": ("approval", "seq"; "at_ms", "actor", "what", "action_hash", "note", "sum")
        ("$1, $2", "$1, $2, $3, $4, $5, $6, $7, $8");
    "memory_scopes": ("scope"; "path", "version", "model", "dimensions", "sum")
        ("$1", "$1, $2, $3, $4, $5, $6");
    "memories": ("id"; "scope", "number", "hash", "content", "metadata", "importance", "by_whom", "created_ms",
        "updated_ms", "accessed_ms", "accesses", "expires_ms", "vector", "sum")
        ("$1", "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15");
    "memory_events": ("memory", "seq"; "at_ms", "by_whom", "what", "before", "sum")
        ("$1, $2", "$1, $2, $3, $4, $5, $6, $7");
}
