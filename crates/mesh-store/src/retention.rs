//! Which checkpoints may go.
//!
//! What is kept: the newest, what is tagged `pin`, what another run was forked from, and whatever one of these needs to
//! be read. Nothing of any other run is touched.

use std::collections::{HashMap, HashSet};

use crate::run::{self, read_optional};
use crate::tx::{Operation, Tx};
use crate::{CheckpointId, Lease, Run, Store, StoreError, blobs, leases};

/// The tag that keeps a checkpoint.
const PIN: &str = "pin";

impl Store {
    /// Deletes old checkpoints of the run that the lease is of, all but the newest `keep` (at least 1) and what must
    /// stay, and says how many they were.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    pub async fn retain_checkpoints(&self, lease: &Lease, keep: usize) -> Result<u64, StoreError> {
        self.change(Retain { lease: lease.clone(), keep: keep.max(1) }).await
    }

    /// Deletes one checkpoint of the run that the lease is of, pinned or not.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]; [`StoreError::NotFound`] if the run has no such checkpoint; [`StoreError::Conflict`] if
    /// another needs it to be read, or a run was forked from it.
    pub async fn delete_checkpoint(&self, lease: &Lease, id: CheckpointId) -> Result<(), StoreError> {
        self.change(DeleteOne { lease: lease.clone(), id }).await
    }
}

/// What retention has to know of a checkpoint.
struct Link {
    id: CheckpointId,
    needs: Option<CheckpointId>,
    is_pinned: bool,
}

struct Retain {
    lease: Lease,
    keep: usize,
}

impl Operation for Retain {
    type Output = u64;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<u64, StoreError> {
        let mut run = locked(tx, &self.lease).await?;
        let links = links(tx, &run).await?;
        let newest = links.iter().take(self.keep);
        let mut kept: HashSet<_> =
            newest.chain(links.iter().filter(|link| link.is_pinned)).map(|l| l.id).collect();
        kept.extend(forked_from(tx, &run).await?);
        let needs: HashMap<_, _> = links.iter().filter_map(|link| Some((link.id, link.needs?))).collect();
        for mut id in kept.clone() {
            while let Some(&parent) = needs.get(&id) {
                kept.insert(parent);
                id = parent;
            }
        }
        let gone: Vec<_> = links.iter().map(|link| link.id).filter(|id| !kept.contains(id)).collect();
        remove(tx, &mut run, &gone).await?;
        Ok(gone.len() as u64)
    }
}

struct DeleteOne {
    lease: Lease,
    id: CheckpointId,
}

impl Operation for DeleteOne {
    type Output = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let mut run = locked(tx, &self.lease).await?;
        let links = links(tx, &run).await?;
        let refuse = |reason: &str| Err(StoreError::conflict("checkpoint", &self.id, reason));
        if !links.iter().any(|link| link.id == self.id) {
            return Err(StoreError::not_found("checkpoint", &self.id));
        }
        if links.iter().any(|link| link.needs == Some(self.id)) {
            return refuse("a later one cannot be read without it");
        }
        if forked_from(tx, &run).await?.contains(&self.id) {
            return refuse("another run was forked from it");
        }
        if run.latest == Some(self.id) {
            run.latest = links.iter().map(|link| link.id).find(|id| *id != self.id);
        }
        remove(tx, &mut run, &[self.id]).await
    }
}

async fn locked<T: Tx>(tx: &mut T, lease: &Lease) -> Result<Run, StoreError> {
    let id = leases::run_of(lease)?;
    leases::check(tx, lease).await?;
    run::lock(tx, id).await
}

/// The run's checkpoints, newest first, without their payloads.
async fn links<T: Tx>(tx: &mut T, run: &Run) -> Result<Vec<Link>, StoreError> {
    let sql = "SELECT id, parent, needs_parent, tags FROM checkpoints WHERE run = $1 ORDER BY id DESC";
    let mut links = Vec::new();
    for mut row in tx.query(sql, &[run.id.as_str().into()]).await? {
        let (id, parent) = (CheckpointId::from_bytes(&row.bytes()?)?, read_optional(&row.bytes()?)?);
        let needs = if row.int()? == 0 { None } else { parent };
        links.push(Link { id, needs, is_pinned: row.text()?.split(' ').any(|tag| tag == PIN) });
    }
    Ok(links)
}

async fn forked_from<T: Tx>(tx: &mut T, run: &Run) -> Result<Vec<CheckpointId>, StoreError> {
    let sql = "SELECT c.id FROM checkpoints c JOIN runs r ON r.origin = c.id WHERE c.run = $1";
    let rows = tx.query(sql, &[run.id.as_str().into()]).await?;
    rows.into_iter().map(|mut row| CheckpointId::from_bytes(&row.bytes()?)).collect()
}

async fn remove<T: Tx>(tx: &mut T, run: &mut Run, gone: &[CheckpointId]) -> Result<(), StoreError> {
    for id in gone {
        blobs::let_go(tx, &run.id, id.as_bytes()).await?;
        tx.execute("DELETE FROM checkpoints WHERE id = $1", &[id.as_bytes().into()]).await?;
        run.checkpoints = run.checkpoints.saturating_sub(1);
    }
    run::update(tx, run).await
}
