//! Asking, listing and giving up.

use bytes::Bytes;

use super::event::{all, genesis, record};
use super::{Approval, ApprovalState, LOCK, check_payload, columns, find, update};
use crate::tx::{Operation, Tx};
use crate::{ApprovalId, ContentHash, Name, RunId, Store, StoreError};

/// The most that a list gives, or a sweep expires, at once.
const PAGE_MAX: u32 = 1000;

/// A request that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// The run that waits for it, if one does.
    pub run: Option<RunId>,
    /// Who asks.
    pub by: Name,
    /// What is to be done.
    pub action: Name,
    /// How closely somebody should look, as `confirm` or `review`.
    pub level: Name,
    /// The action and its arguments, exactly as they will be done; at most 1 MiB.
    pub payload: Bytes,
    /// How many must approve, at least 1.
    pub needed: u32,
    /// For the record and for who is asked, at most 1 MiB.
    pub note: String,
    /// Now, in milliseconds since 1970.
    pub at_ms: i64,
    /// From when on no answer counts, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// Which requests a list has. The default is the first hundred of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only those that stand here.
    pub state: Option<ApprovalState>,
    /// Only those for which this run waits.
    pub run: Option<RunId>,
    /// Only those behind this one: the last of the list before.
    pub after: Option<ApprovalId>,
    /// How many at most; 100 by default, 1,000 at most.
    pub limit: u32,
}

impl Default for ApprovalFilter {
    fn default() -> Self {
        Self { state: None, run: None, after: None, limit: 100 }
    }
}

impl Store {
    /// Asks for an approval.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub async fn request_approval(&self, new: NewApproval) -> Result<Approval, StoreError> {
        check_payload(&new.payload)?;
        crate::journal::check_size("note", new.note.len(), crate::ENTRY_BYTES_MAX)?;
        self.change(Request(new)).await
    }

    /// Asks for an approval under an id that the caller knows ([`ApprovalId::of`]), once: if there is a request with that
    /// id, it is given as it stands now, whatever became of it.
    ///
    /// With `by_rule` nobody has to be asked: a new request is written as approved, by `policy`, at once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the id was used to ask for another action; [`StoreError::TooLarge`].
    pub async fn request_approval_once(
        &self,
        id: ApprovalId,
        new: NewApproval,
        by_rule: bool,
    ) -> Result<Approval, StoreError> {
        check_payload(&new.payload)?;
        crate::journal::check_size("note", new.note.len(), crate::ENTRY_BYTES_MAX)?;
        self.change(RequestOnce { id, new, by_rule }).await
    }

    /// The requests that were made last, the newest first; 1,000 at most.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one of them is damaged.
    pub async fn latest_approvals(&self, limit: u32) -> Result<Vec<Approval>, StoreError> {
        self.look(Latest { limit }).await
    }

    /// Lists requests by their ids: those whose id the store made are in the order in which they were asked.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one of them is damaged.
    pub async fn approvals(&self, filter: ApprovalFilter) -> Result<Vec<Approval>, StoreError> {
        self.look(List(filter)).await
    }

    /// Ends what is pending and whose time is over at `now_ms`, a thousand at most, and gives them. Each is given by one
    /// call only.
    ///
    /// # Errors
    /// None of its own.
    pub async fn expire_approvals(&self, now_ms: i64) -> Result<Vec<Approval>, StoreError> {
        self.change(Expire { now_ms }).await
    }
}

struct Request(NewApproval);

impl Operation for Request {
    type Output = Approval;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Approval, StoreError> {
        let id = ApprovalId::after(None, self.0.at_ms);
        let made = insert(tx, id, &self.0).await?;
        made.ok_or_else(|| StoreError::conflict("approval", &id, "there is one with this id"))
    }
}

/// `None` if there is one with this id: somebody else was faster.
async fn insert<T: Tx>(
    tx: &mut T,
    id: ApprovalId,
    new: &NewApproval,
) -> Result<Option<Approval>, StoreError> {
    let mut approval = Approval {
        id,
        run: new.run.clone(),
        action: new.action.clone(),
        level: new.level.clone(),
        payload: new.payload.clone(),
        needed: new.needed.max(1),
        state: ApprovalState::Pending,
        requested_ms: new.at_ms,
        expires_ms: new.expires_ms,
        events: 0,
        chain: genesis(id),
    };
    let sql = concat!(
        "INSERT INTO approvals (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (id) DO NOTHING"
    );
    if tx.execute(sql, &approval.values()).await? == 0 {
        return Ok(None);
    }
    record(tx, &mut approval, &new.by, ("requested", &new.note), new.at_ms).await?;
    update(tx, &approval).await?;
    Ok(Some(approval))
}

struct RequestOnce {
    id: ApprovalId,
    new: NewApproval,
    by_rule: bool,
}

impl Operation for RequestOnce {
    type Output = Approval;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Approval, StoreError> {
        match find(tx, LOCK, self.id).await {
            Ok(known) => return self.as_known(tx, known).await,
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let Some(mut approval) = insert(tx, self.id, &self.new).await? else {
            let known = find(tx, LOCK, self.id).await?;
            return self.as_known(tx, known).await;
        };
        if self.by_rule {
            approval.state = ApprovalState::Approved;
            let policy = "policy".parse().expect("it is a name");
            record(tx, &mut approval, &policy, ("approved", ""), self.new.at_ms).await?;
            update(tx, &approval).await?;
        }
        Ok(approval)
    }
}

impl RequestOnce {
    /// An edit may have made it another action since; what counts is what was asked for.
    async fn as_known<T: Tx>(&self, tx: &mut T, known: Approval) -> Result<Approval, StoreError> {
        let asked = all(tx, &known).await?.into_iter().next();
        let is_same = asked.is_some_and(|event| event.action_hash == ContentHash::of(&self.new.payload));
        if is_same && known.action == self.new.action && known.run == self.new.run {
            return Ok(known);
        }
        Err(StoreError::conflict("approval", &self.id, "it was asked for another action, or other arguments"))
    }
}

struct Latest {
    limit: u32,
}

impl Operation for Latest {
    type Output = Vec<Approval>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<Approval>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM approvals ORDER BY requested_ms DESC, id LIMIT $1");
        let limit = i64::from(self.limit.clamp(1, PAGE_MAX)).into();
        tx.query(sql, &[limit]).await?.into_iter().map(Approval::read).collect()
    }
}

struct List(ApprovalFilter);

impl Operation for List {
    type Output = Vec<Approval>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<Approval>, StoreError> {
        macro_rules! list {
            ($condition:literal) => {
                concat!(
                    "SELECT ",
                    columns!(),
                    " FROM approvals WHERE ",
                    $condition,
                    " AND id > $3 ORDER BY id LIMIT $4"
                )
            };
        }
        let filter = &self.0;
        let sql = match (&filter.state, &filter.run) {
            (None, None) => list!("$1 = '' AND $2 = ''"),
            (Some(_), None) => list!("state = $1 AND $2 = ''"),
            (None, Some(_)) => list!("$1 = '' AND run = $2"),
            (Some(_), Some(_)) => list!("state = $1 AND run = $2"),
        };
        let state = filter.state.map_or("", ApprovalState::as_str).into();
        let run = filter.run.as_ref().map_or("", RunId::as_str).into();
        let after = filter.after.as_ref().map_or(&[][..], |id| id.as_bytes()).into();
        let limit = i64::from(filter.limit.clamp(1, PAGE_MAX)).into();
        tx.query(sql, &[state, run, after, limit]).await?.into_iter().map(Approval::read).collect()
    }
}

struct Expire {
    now_ms: i64,
}

impl Operation for Expire {
    type Output = Vec<Approval>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<Approval>, StoreError> {
        let sql =
            "SELECT id FROM approvals WHERE state = 'pending' AND expires_ms <= $1 ORDER BY id LIMIT $2";
        let late = tx.query(sql, &[self.now_ms.into(), i64::from(PAGE_MAX).into()]).await?;
        let mut expired = Vec::new();
        for mut row in late {
            let mut approval = find(tx, LOCK, ApprovalId::from_bytes(&row.bytes()?)?).await?;
            // Somebody may have been faster, before the row was locked.
            if approval.state != ApprovalState::Pending || approval.expires_ms > self.now_ms {
                continue;
            }
            approval.state = ApprovalState::Expired;
            let clock = "clock".parse().expect("it is a name");
            record(tx, &mut approval, &clock, ("expired", ""), self.now_ms).await?;
            update(tx, &approval).await?;
            expired.push(approval);
        }
        Ok(expired)
    }
}
