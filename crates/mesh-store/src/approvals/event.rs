//! The record of a request: what happened, by whom, in order.

use crate::sum::{Digest, Sum};
use crate::tx::{Operation, Tx};
use crate::value::Row;
use crate::{ApprovalId, ContentHash, Name, Store, StoreError};

use super::{Approval, FIND, find};

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalEvent {
    /// Its number among those of the request, from 1.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who did it.
    pub actor: Name,
    /// What: `requested`, `approved`, `edited`, `rejected` or `expired`.
    pub what: Name,
    /// The hash of the action that it was about; of an edit, the new one.
    pub action_hash: ContentHash,
    /// What was said about it.
    pub note: String,
}

impl Store {
    /// The record of a request, from its beginning.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] if any of it is not what was written.
    pub async fn approval_events(&self, id: ApprovalId) -> Result<Vec<ApprovalEvent>, StoreError> {
        self.look(Events(id)).await
    }
}

pub(super) fn genesis(id: ApprovalId) -> Sum {
    Digest::new("approval events").bytes(id.as_bytes()).finish()
}

impl ApprovalEvent {
    fn sum(&self, approval: ApprovalId, before: Sum) -> Sum {
        let digest = Digest::new("approval event").bytes(before.as_bytes()).bytes(approval.as_bytes());
        let digest = digest.uint(self.seq).int(self.at_ms).text(self.actor.as_str()).text(self.what.as_str());
        digest.bytes(self.action_hash.as_bytes()).text(&self.note).finish()
    }

    fn read(mut row: Row) -> Result<(Self, Sum), StoreError> {
        let event = Self {
            seq: row.uint()?,
            at_ms: row.int()?,
            actor: row.parsed()?,
            what: row.parsed()?,
            action_hash: ContentHash::from_bytes(row.hash()?),
            note: row.text()?,
        };
        Ok((event, row.sum()?))
    }
}

/// Writes an event behind the last. The request's row is the caller's to write.
pub(super) async fn record<T: Tx>(
    tx: &mut T,
    approval: &mut Approval,
    actor: &Name,
    (what, note): (&str, &str),
    at_ms: i64,
) -> Result<(), StoreError> {
    let event = ApprovalEvent {
        seq: approval.events + 1,
        at_ms,
        actor: actor.clone(),
        what: what.parse().expect("ours are names"),
        action_hash: approval.action_hash(),
        note: note.to_owned(),
    };
    let sum = event.sum(approval.id, approval.chain);
    let values = [
        approval.id.as_bytes().into(),
        event.seq.into(),
        at_ms.into(),
        actor.as_str().into(),
        what.into(),
        event.action_hash.as_bytes().as_slice().into(),
        note.into(),
        sum.into(),
    ];
    let sql = "INSERT INTO approval_events (approval, seq, at_ms, actor, what, action_hash, note, sum)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    tx.execute(sql, &values).await?;
    (approval.events, approval.chain) = (event.seq, sum);
    Ok(())
}

/// All events of the request, each checked.
pub(super) async fn all<T: Tx>(tx: &mut T, approval: &Approval) -> Result<Vec<ApprovalEvent>, StoreError> {
    let sql = "SELECT seq, at_ms, actor, what, action_hash, note, sum FROM approval_events
        WHERE approval = $1 ORDER BY seq";
    let (mut events, mut chain) = (Vec::new(), genesis(approval.id));
    for row in tx.query(sql, &[approval.id.as_bytes().into()]).await? {
        let (event, sum) = ApprovalEvent::read(row)?;
        if sum != event.sum(approval.id, chain) {
            return Err(StoreError::corrupt("approval event", "its checksum does not fit"));
        }
        events.push(event);
        chain = sum;
    }
    if chain != approval.chain {
        return Err(StoreError::corrupt("approval event", "the last is not the last that was written"));
    }
    Ok(events)
}

struct Events(ApprovalId);

impl Operation for Events {
    type Output = Vec<ApprovalEvent>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<ApprovalEvent>, StoreError> {
        let approval = find(tx, FIND, self.0).await?;
        all(tx, &approval).await
    }
}
