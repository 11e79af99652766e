//! Approvals: what is asked of humans, what they answered, and that it is decided once.
//!
//! An answer names the hash of the action that its giver saw; if the action is another by now, the answer does not
//! count. Everything that happened to a request is kept in order, each event holding the one before by its checksum.

mod answer;
mod event;
mod request;

use std::fmt;

use bytes::Bytes;

use crate::journal::{ENTRY_BYTES_MAX, check_size};
use crate::sum::{Digest, Sum};
use crate::tx::{Operation, Tx, query_one};
use crate::value::Row;
use crate::{ApprovalId, ContentHash, Name, RunId, Store, StoreError};

pub use answer::{Answer, Answered, Verdict};
pub use event::ApprovalEvent;
pub use request::{ApprovalFilter, NewApproval};

/// Where a request stands. Only what is pending changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// Nobody, or not everybody, has answered.
    Pending,
    /// The action may be done: the one whose hash the request has now.
    Approved,
    /// It may not.
    Rejected,
    /// Nobody answered in time, which is a no.
    Expired,
}

impl ApprovalState {
    /// The word for it, as `pending`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let all = [Self::Pending, Self::Approved, Self::Rejected, Self::Expired];
        let found = all.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| StoreError::corrupt("approval", "its state is unknown"))
    }
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request for an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Approval {
    /// Which one.
    pub id: ApprovalId,
    /// The run that waits for it, if one does.
    pub run: Option<RunId>,
    /// What is to be done.
    pub action: Name,
    /// How closely somebody should look.
    pub level: Name,
    /// The action and its arguments: what may be done if this is approved. An edit changes it.
    pub payload: Bytes,
    /// How many must approve.
    pub needed: u32,
    /// Where it stands.
    pub state: ApprovalState,
    /// When it was asked for, in milliseconds since 1970.
    pub requested_ms: i64,
    /// From when on no answer counts, in milliseconds since 1970.
    pub expires_ms: i64,
    events: u64,
    chain: Sum,
}

impl Approval {
    /// The hash of the payload: what an answer is about.
    #[must_use]
    pub fn action_hash(&self) -> ContentHash {
        ContentHash::of(&self.payload)
    }

    fn sum(&self) -> Sum {
        let digest = Digest::new("approval").bytes(self.id.as_bytes());
        let digest = digest.text(self.run.as_ref().map_or("", RunId::as_str)).text(self.action.as_str());
        let digest = digest.text(self.level.as_str()).bytes(&self.payload).uint(self.needed.into());
        let digest = digest.text(self.state.as_str()).int(self.requested_ms).int(self.expires_ms);
        digest.uint(self.events).bytes(self.chain.as_bytes()).finish()
    }

    fn read(mut row: Row) -> Result<Self, StoreError> {
        let broken = |reason| StoreError::corrupt("approval", reason);
        let id = ApprovalId::from_bytes(&row.bytes()?)?;
        let run = row.text()?;
        let approval = Self {
            id,
            run: if run.is_empty() {
                None
            } else {
                Some(run.parse().map_err(|_| broken("its run is no id"))?)
            },
            action: row.parsed()?,
            level: row.parsed()?,
            payload: row.bytes()?,
            needed: u32::try_from(row.uint()?).map_err(|_| broken("its quorum is too large"))?,
            state: ApprovalState::parse(&row.text()?)?,
            requested_ms: row.int()?,
            expires_ms: row.int()?,
            events: row.uint()?,
            chain: row.sum()?,
        };
        if row.sum()? == approval.sum() { Ok(approval) } else { Err(broken("its checksum does not fit")) }
    }

    fn values(&self) -> Vec<crate::Value> {
        vec![
            self.id.as_bytes().into(),
            self.run.as_ref().map_or("", RunId::as_str).into(),
            self.action.as_str().into(),
            self.level.as_str().into(),
            (&self.payload).into(),
            u64::from(self.needed).into(),
            self.state.as_str().into(),
            self.requested_ms.into(),
            self.expires_ms.into(),
            self.events.into(),
            self.chain.into(),
            self.sum().into(),
        ]
    }
}

macro_rules! columns {
    () => {
        "id, run, action, level, payload, needed, state, requested_ms, expires_ms, events, chain, sum"
    };
}
use columns;

const FIND: &str = concat!("SELECT ", columns!(), " FROM approvals WHERE id = $1");
const LOCK: &str = concat!("SELECT ", columns!(), " FROM approvals WHERE id = $1 FOR UPDATE");

async fn find<T: Tx>(tx: &mut T, sql: &'static str, id: ApprovalId) -> Result<Approval, StoreError> {
    let row = query_one(tx, sql, &[id.as_bytes().into()]).await?;
    let approval = Approval::read(row.ok_or_else(|| StoreError::not_found("approval", &id))?)?;
    if approval.id == id { Ok(approval) } else { Err(StoreError::corrupt("approval", "it is another")) }
}

async fn update<T: Tx>(tx: &mut T, approval: &Approval) -> Result<(), StoreError> {
    let sql = "UPDATE approvals SET run = $2, action = $3, level = $4, payload = $5, needed = $6, state = $7,
        requested_ms = $8, expires_ms = $9, events = $10, chain = $11, sum = $12 WHERE id = $1";
    tx.execute(sql, &approval.values()).await.map(|_| ())
}

fn check_payload(payload: &Bytes) -> Result<(), StoreError> {
    check_size("action", payload.len(), ENTRY_BYTES_MAX)
}

impl Store {
    /// A request.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and [`StoreError::Corrupt`].
    pub async fn approval(&self, id: ApprovalId) -> Result<Approval, StoreError> {
        self.look(Find(id)).await
    }
}

struct Find(ApprovalId);

impl Operation for Find {
    type Output = Approval;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Approval, StoreError> {
        find(tx, FIND, self.0).await
    }
}
