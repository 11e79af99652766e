//! Leases: who may write, until when, and which of two who think so is right.
//!
//! A lease has an *epoch*, which grows with each time it is given and never goes back, whatever becomes of the lease.
//! Time only decides when somebody else may ask; that an old holder can do no harm is decided by the epoch, which each
//! write names and the store compares. So clocks that disagree cost waiting, not damage.

use std::{fmt, str::FromStr};

use crate::sum::{Digest, Sum};
use crate::tx::{Operation, Tx, query_one};
use crate::value::Row;
use crate::{Name, RunId, Store, StoreError, run};

/// What a lease is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A run: its holder is the one who may write to it.
    Run(RunId),
    /// Anything else that has one owner.
    Named(Name),
}

/// The right to write, as it was given. Later ones have higher epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is of.
    pub resource: Resource,
    /// To whom it was given.
    pub holder: Name,
    /// Which giving it was, from 1.
    pub epoch: u64,
    /// From when on somebody else may have it, in milliseconds since 1970.
    pub until_ms: i64,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "run:{id}"),
            Self::Named(name) => write!(f, "name:{name}"),
        }
    }
}

impl FromStr for Resource {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            Some(("run", id)) => id.parse().map(Self::Run).map_err(|_| ()),
            Some(("name", name)) => name.parse().map(Self::Named).map_err(|_| ()),
            _ => Err(()),
        }
    }
}

impl Store {
    /// Takes the lease of a resource for `ttl_ms` from `now_ms` on, under an epoch that nobody had before.
    ///
    /// A name in `holder` should be of one process alone (`alpha@` and its boot): nobody is given a lease that is held,
    /// not even its holder.
    ///
    /// # Errors
    /// [`StoreError::Held`] while somebody has it and its time is not over; [`StoreError::NotFound`] for a run that is
    /// not there.
    pub async fn acquire(
        &self,
        resource: Resource,
        holder: Name,
        ttl_ms: u32,
        now_ms: i64,
    ) -> Result<Lease, StoreError> {
        self.change(Acquire { resource, holder, ttl_ms, now_ms }).await
    }

    /// Takes the lease of the first run with this status that nobody holds. `None` when there is none. Several that ask
    /// at once are given different runs.
    ///
    /// # Errors
    /// None of its own.
    pub async fn claim(
        &self,
        status: Name,
        holder: Name,
        ttl_ms: u32,
        now_ms: i64,
    ) -> Result<Option<Lease>, StoreError> {
        self.change(Claim { status, holder, ttl_ms, now_ms }).await
    }

    /// Makes a lease last for `ttl_ms` from `now_ms` on, never shorter than it does already. Its epoch stays. This works
    /// also after its time was over, as long as nobody else took it.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when somebody else has had it since, or it was given back.
    pub async fn renew(&self, lease: &Lease, ttl_ms: u32, now_ms: i64) -> Result<Lease, StoreError> {
        self.change(Renew { lease: lease.clone(), until_ms: now_ms.saturating_add(ttl_ms.into()) }).await
    }

    /// Gives a lease back, so that somebody else may have it at once. Nothing can be written under it any more.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it was no longer ours.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.change(Release(lease.clone())).await
    }

    /// Who holds a resource, if anybody does. Its time may be over.
    ///
    /// # Errors
    /// None of its own.
    pub async fn holder(&self, resource: Resource) -> Result<Option<Lease>, StoreError> {
        self.look(Holder(resource)).await
    }
}

/// A lease as it is stored. Without a holder it is free.
struct Stored {
    holder: Option<Name>,
    epoch: u64,
    until_ms: i64,
}

impl Stored {
    fn sum(&self, resource: &str) -> Sum {
        let digest = Digest::new("lease").text(resource).text(self.holder.as_ref().map_or("", Name::as_str));
        digest.uint(self.epoch).int(self.until_ms).finish()
    }

    fn read(mut row: Row, resource: &str) -> Result<Self, StoreError> {
        let holder = row.text()?;
        let holder = if holder.is_empty() {
            None
        } else {
            Some(holder.parse().map_err(|_| StoreError::corrupt("lease", "its holder is no name"))?)
        };
        let stored = Self { holder, epoch: row.uint()?, until_ms: row.int()? };
        if row.sum()? != stored.sum(resource) {
            return Err(StoreError::corrupt("lease", "its checksum does not fit"));
        }
        Ok(stored)
    }

    async fn write<T: Tx>(&self, tx: &mut T, resource: &str) -> Result<(), StoreError> {
        let holder = self.holder.as_ref().map_or("", Name::as_str);
        let sum = self.sum(resource);
        let values = [resource.into(), holder.into(), self.epoch.into(), self.until_ms.into(), sum.into()];
        let changed = tx
            .execute(
                "UPDATE leases SET holder = $2, epoch = $3, until_ms = $4, sum = $5 WHERE resource = $1",
                &values,
            )
            .await?;
        if changed == 1 { Ok(()) } else { Err(StoreError::corrupt("lease", "it went away")) }
    }
}

const READ: &str = "SELECT holder, epoch, until_ms, sum FROM leases WHERE resource = $1";
const LOCK: &str = "SELECT holder, epoch, until_ms, sum FROM leases WHERE resource = $1 FOR UPDATE";

/// Fails unless the lease is the newest and was not given back. It stays so until the end of the transaction.
pub(crate) async fn check<T: Tx>(tx: &mut T, lease: &Lease) -> Result<(), StoreError> {
    held(tx, lease).await.map(|_| ())
}

/// The run that the lease is of.
pub(crate) fn run_of(lease: &Lease) -> Result<&RunId, StoreError> {
    match &lease.resource {
        Resource::Run(id) => Ok(id),
        Resource::Named(name) => Err(StoreError::conflict("lease", name, "it is not of a run")),
    }
}

async fn held<T: Tx>(tx: &mut T, lease: &Lease) -> Result<Stored, StoreError> {
    let resource = lease.resource.to_string();
    let row = query_one(tx, LOCK, &[resource.as_str().into()]).await?;
    let stored = match row {
        Some(row) => Stored::read(row, &resource)?,
        None => Stored { holder: None, epoch: 0, until_ms: 0 },
    };
    if stored.epoch == lease.epoch && stored.holder.as_ref() == Some(&lease.holder) {
        return Ok(stored);
    }
    Err(StoreError::Fenced {
        resource: lease.resource.clone(),
        epoch: lease.epoch,
        current: stored.epoch,
        held_by: stored.holder,
    })
}

struct Acquire {
    resource: Resource,
    holder: Name,
    ttl_ms: u32,
    now_ms: i64,
}

impl Operation for Acquire {
    type Output = Lease;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Lease, StoreError> {
        if let Resource::Run(id) = &self.resource {
            run::load(tx, id).await?;
        }
        take(tx, &self.resource, &self.holder, self.ttl_ms, self.now_ms).await
    }
}

async fn take<T: Tx>(
    tx: &mut T,
    resource: &Resource,
    holder: &Name,
    ttl_ms: u32,
    now_ms: i64,
) -> Result<Lease, StoreError> {
    let key = resource.to_string();
    let free = Stored { holder: None, epoch: 0, until_ms: 0 };
    // A row to be locked, also by the second of two who ask for the first time.
    tx.execute(
        "INSERT INTO leases (resource, holder, epoch, until_ms, sum) VALUES ($1, '', 0, 0, $2)
            ON CONFLICT (resource) DO NOTHING",
        &[key.as_str().into(), free.sum(&key).into()],
    )
    .await?;
    let row = query_one(tx, LOCK, &[key.as_str().into()]).await?;
    let stored = Stored::read(row.ok_or_else(|| StoreError::corrupt("lease", "it went away"))?, &key)?;
    if let Some(by) = stored.holder
        && stored.until_ms > now_ms
    {
        let (epoch, until_ms) = (stored.epoch, stored.until_ms);
        return Err(StoreError::Held { resource: resource.clone(), by, epoch, until_ms });
    }
    let (epoch, until_ms) = (stored.epoch + 1, now_ms.saturating_add(ttl_ms.into()));
    Stored { holder: Some(holder.clone()), epoch, until_ms }.write(tx, &key).await?;
    Ok(Lease { resource: resource.clone(), holder: holder.clone(), epoch, until_ms })
}

struct Claim {
    status: Name,
    holder: Name,
    ttl_ms: u32,
    now_ms: i64,
}

/// Runs that another transaction is claiming are passed by. A writer locks its lease before its run and this the other
/// way round; the database notices the rare deadlock of the two, and the loser runs again.
const CLAIMABLE: &str = "SELECT r.id FROM runs r LEFT JOIN leases l ON l.resource = 'run:' || r.id
    WHERE r.status = $1 AND r.id > $2 AND COALESCE(l.holder, '') = '' OR
          r.status = $1 AND r.id > $2 AND l.until_ms <= $3
    ORDER BY r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED";

impl Operation for Claim {
    type Output = Option<Lease>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Option<Lease>, StoreError> {
        let mut behind = String::new();
        loop {
            let values = [self.status.as_str().into(), behind.as_str().into(), self.now_ms.into()];
            let Some(mut row) = query_one(tx, CLAIMABLE, &values).await? else { return Ok(None) };
            let id: RunId = row.parsed()?;
            behind = id.to_string();
            match take(tx, &Resource::Run(id), &self.holder, self.ttl_ms, self.now_ms).await {
                // Somebody who asked for this very run was faster.
                Err(StoreError::Held { .. }) => {}
                taken => return taken.map(Some),
            }
        }
    }
}

struct Renew {
    lease: Lease,
    until_ms: i64,
}

impl Operation for Renew {
    type Output = Lease;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Lease, StoreError> {
        let mut stored = held(tx, &self.lease).await?;
        stored.until_ms = stored.until_ms.max(self.until_ms);
        stored.write(tx, &self.lease.resource.to_string()).await?;
        Ok(Lease { until_ms: stored.until_ms, ..self.lease.clone() })
    }
}

struct Release(Lease);

impl Operation for Release {
    type Output = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        free(tx, &self.0).await
    }
}

/// Ends the lease in the transaction; its epoch stays in the store.
pub(crate) async fn free<T: Tx>(tx: &mut T, lease: &Lease) -> Result<(), StoreError> {
    let mut stored = held(tx, lease).await?;
    stored.holder = None;
    stored.write(tx, &lease.resource.to_string()).await
}

struct Holder(Resource);

impl Operation for Holder {
    type Output = Option<Lease>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Option<Lease>, StoreError> {
        let key = self.0.to_string();
        let Some(row) = query_one(tx, READ, &[key.as_str().into()]).await? else { return Ok(None) };
        let Stored { holder, epoch, until_ms } = Stored::read(row, &key)?;
        Ok(holder.map(|holder| Lease { resource: self.0.clone(), holder, epoch, until_ms }))
    }
}
