//! The ledger of tool calls: what a run was about to do is durable before it does it, and how it ended after.
//!
//! A call whose intent is there and whose outcome is not is *in doubt*: it may have had its effect. Its policy says what
//! whoever resumes the run may do about it. The run's row counts its calls, so that a lost one cannot pass for one that
//! never was.

use bytes::Bytes;

use crate::journal::{ENTRY_BYTES_MAX, check_size};
use crate::sum::{Digest, Sum};
use crate::tx::{Operation, Tx, query_one};
use crate::value::Row;
use crate::{ContentHash, Lease, Name, Run, RunId, Store, StoreError, leases, run};

/// What may be done about a call that is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallPolicy {
    /// Call again under the same key: the tool knows it.
    Idempotent,
    /// Ask the tool what became of the key.
    Queryable,
    /// Ask a human.
    Manual,
}

impl CallPolicy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Idempotent => "idempotent",
            Self::Queryable => "queryable",
            Self::Manual => "manual",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let all = [Self::Idempotent, Self::Queryable, Self::Manual];
        let found = all.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| StoreError::corrupt("call", "its policy is unknown"))
    }
}

/// A call that a run is about to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// What tells it from every other call of the run, and is given to tools that know such keys.
    pub key: Name,
    /// Which tool.
    pub tool: Name,
    /// The hash of its arguments.
    pub args_hash: ContentHash,
    /// What may be done if its outcome never gets here.
    pub policy: CallPolicy,
}

/// A call of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// What tells it from every other call of the run.
    pub key: Name,
    /// Which call of the run it is, from 1.
    pub number: u64,
    /// Which tool.
    pub tool: Name,
    /// The hash of its arguments.
    pub args_hash: ContentHash,
    /// What may be done while it is in doubt.
    pub policy: CallPolicy,
    /// When it was intended, in milliseconds since 1970.
    pub intent_ms: i64,
    /// How it ended; `None` while it is in doubt.
    pub outcome: Option<CallOutcome>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutcome {
    /// Whether the tool did what it was asked.
    pub is_ok: bool,
    /// What it answered, at most [`ENTRY_BYTES_MAX`].
    pub payload: Bytes,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

impl CallOutcome {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_size("outcome", self.payload.len(), ENTRY_BYTES_MAX)
    }
}

/// What the ledger says to who is about to make a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// It was not known, and now it is: make it.
    Fresh(Call),
    /// It was intended before and may have had its effect: do what its policy says.
    InDoubt(Call),
    /// It was made before: take its outcome, and do not make it again.
    Finished(Call),
}

impl Store {
    /// Makes the intent of a call durable, unless it is known already. Only what is [`Intent::Fresh`] may be called
    /// without a second thought.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]; [`StoreError::Conflict`] if the key was used for another tool or other arguments.
    pub async fn intend(&self, lease: &Lease, call: NewCall, at_ms: i64) -> Result<Intent, StoreError> {
        self.change(Intend { lease: lease.clone(), call, at_ms }).await
    }

    /// All calls of a run, in the order in which they were intended.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] if one is damaged or missing.
    pub async fn calls(&self, run: &RunId) -> Result<Vec<Call>, StoreError> {
        self.look(List(run.clone())).await
    }

    /// The calls of a run that may have been made, or not.
    ///
    /// # Errors
    /// As of [`Store::calls`].
    pub async fn calls_in_doubt(&self, run: &RunId) -> Result<Vec<Call>, StoreError> {
        let mut calls = self.calls(run).await?;
        calls.retain(|call| call.outcome.is_none());
        Ok(calls)
    }
}

macro_rules! columns {
    () => {
        "key, number, tool, args_hash, policy, intent_ms, state, outcome, outcome_ms, sum"
    };
}

impl Call {
    fn state(&self) -> (&'static str, &[u8], i64) {
        match &self.outcome {
            None => ("intended", &[], 0),
            Some(outcome) if outcome.is_ok => ("ok", &outcome.payload, outcome.at_ms),
            Some(outcome) => ("failed", &outcome.payload, outcome.at_ms),
        }
    }

    fn sum(&self, run: &RunId) -> Sum {
        let (state, payload, at_ms) = self.state();
        let digest = Digest::new("call").text(run.as_str()).text(self.key.as_str()).uint(self.number);
        let digest =
            digest.text(self.tool.as_str()).bytes(self.args_hash.as_bytes()).text(self.policy.as_str());
        digest.int(self.intent_ms).text(state).bytes(payload).int(at_ms).finish()
    }

    fn read(mut row: Row, run: &RunId) -> Result<Self, StoreError> {
        let mut call = Self {
            key: row.parsed()?,
            number: row.uint()?,
            tool: row.parsed()?,
            args_hash: ContentHash::from_bytes(row.hash()?),
            policy: CallPolicy::parse(&row.text()?)?,
            intent_ms: row.int()?,
            outcome: None,
        };
        let (state, payload, at_ms) = (row.text()?, row.bytes()?, row.int()?);
        if state != "intended" {
            call.outcome = Some(CallOutcome { is_ok: state == "ok", payload, at_ms });
        }
        if row.sum()? == call.sum(run) {
            return Ok(call);
        }
        Err(StoreError::corrupt("call", format!("the checksum of {} does not fit", call.key)).in_run(run))
    }
}

struct Intend {
    lease: Lease,
    call: NewCall,
    at_ms: i64,
}

impl Operation for Intend {
    type Output = Intent;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Intent, StoreError> {
        let id = leases::run_of(&self.lease)?;
        leases::check(tx, &self.lease).await?;
        let mut run = run::lock(tx, id).await?;
        if let Some(known) = find(tx, id, &self.call.key).await? {
            return self.known(known);
        }
        run.calls += 1;
        run.updated_ms = self.at_ms;
        let NewCall { key, tool, args_hash, policy } = self.call.clone();
        let call =
            Call { key, number: run.calls, tool, args_hash, policy, intent_ms: self.at_ms, outcome: None };
        let values = [
            call.key.as_str().into(),
            call.number.into(),
            call.tool.as_str().into(),
            call.args_hash.as_bytes().as_slice().into(),
            call.policy.as_str().into(),
            call.intent_ms.into(),
            "intended".into(),
            [].as_slice().into(),
            0_i64.into(),
            call.sum(id).into(),
            id.as_str().into(),
        ];
        let sql = concat!(
            "INSERT INTO calls (",
            columns!(),
            ", run) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        );
        tx.execute(sql, &values).await?;
        run::update(tx, &run).await?;
        Ok(Intent::Fresh(call))
    }
}

impl Intend {
    fn known(&self, call: Call) -> Result<Intent, StoreError> {
        if call.tool != self.call.tool || call.args_hash != self.call.args_hash {
            let reason = "the key was used for another tool or other arguments";
            return Err(StoreError::conflict("call", &call.key, reason));
        }
        Ok(if call.outcome.is_none() { Intent::InDoubt(call) } else { Intent::Finished(call) })
    }
}

async fn find<T: Tx>(tx: &mut T, run: &RunId, key: &Name) -> Result<Option<Call>, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM calls WHERE run = $1 AND key = $2");
    let row = query_one(tx, sql, &[run.as_str().into(), key.as_str().into()]).await?;
    let call = row.map(|row| Call::read(row, run)).transpose()?;
    match call {
        Some(call) if call.key != *key => Err(StoreError::corrupt("call", "it is another").in_run(run)),
        call => Ok(call),
    }
}

/// Records how a call ended. The same outcome again changes nothing.
pub(crate) async fn settle<T: Tx>(
    tx: &mut T,
    run: &Run,
    key: &Name,
    outcome: &CallOutcome,
) -> Result<(), StoreError> {
    let known = find(tx, &run.id, key).await?;
    let mut call = known.ok_or_else(|| StoreError::not_found("call", key))?;
    if let Some(before) = &call.outcome {
        let is_same = before.is_ok == outcome.is_ok && before.payload == outcome.payload;
        let other = || StoreError::conflict("call", key, "it ended otherwise before");
        return if is_same { Ok(()) } else { Err(other()) };
    }
    call.outcome = Some(outcome.clone());
    let (state, payload, at_ms) = call.state();
    let values = [
        run.id.as_str().into(),
        key.as_str().into(),
        state.into(),
        payload.into(),
        at_ms.into(),
        call.sum(&run.id).into(),
    ];
    let sql =
        "UPDATE calls SET state = $3, outcome = $4, outcome_ms = $5, sum = $6 WHERE run = $1 AND key = $2";
    tx.execute(sql, &values).await.map(|_| ())
}

struct List(RunId);

impl Operation for List {
    type Output = Vec<Call>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<Call>, StoreError> {
        let run = run::load(tx, &self.0).await?;
        let sql = concat!("SELECT ", columns!(), " FROM calls WHERE run = $1");
        let rows = tx.query(sql, &[self.0.as_str().into()]).await?;
        let calls: Result<Vec<_>, _> = rows.into_iter().map(|row| Call::read(row, &self.0)).collect();
        let mut calls = calls.map_err(|error| error.in_run(&self.0))?;
        calls.sort_unstable_by_key(|call| call.number);
        if calls.iter().map(|call| call.number).ne(1..=run.calls) {
            let reason = format!("{} of {} are there", calls.len(), run.calls);
            return Err(StoreError::corrupt("call", reason).in_run(&self.0));
        }
        Ok(calls)
    }
}
