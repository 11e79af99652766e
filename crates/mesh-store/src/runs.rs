//! Creating, finding and deleting runs.

use crate::journal::append;
use crate::run::{self, columns, genesis};
use crate::tx::{Operation, Tx, query_one};
use crate::{CheckpointId, Lease, Name, NewEntry, Run, RunId, Store, StoreError, checkpoints, leases};

/// The most that a list gives at once.
const PAGE_MAX: u32 = 1000;

/// A run that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    id: RunId,
    kind: Name,
    status: Name,
    tags: Vec<Name>,
    at_ms: i64,
    origin: Option<CheckpointId>,
    entries: Vec<NewEntry>,
}

impl NewRun {
    /// A run of this kind under an id that nobody else has, created at the time given. Its status is `idle`.
    #[must_use]
    pub fn new(kind: Name, at_ms: i64) -> Self {
        let status = "idle".parse().expect("it is a name");
        let id = RunId::generate();
        Self { id, kind, status, tags: Vec::new(), at_ms, origin: None, entries: Vec::new() }
    }

    /// Under an id of the caller's.
    #[must_use]
    pub fn id(mut self, id: RunId) -> Self {
        self.id = id;
        self
    }

    /// With this status from the beginning.
    #[must_use]
    pub fn status(mut self, status: Name) -> Self {
        self.status = status;
        self
    }

    /// Found by this word, too.
    #[must_use]
    pub fn tag(mut self, tag: Name) -> Self {
        self.tags.push(tag);
        self
    }

    /// With an entry in its journal from the beginning: what the run is given to do.
    #[must_use]
    pub fn entry(mut self, entry: NewEntry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Going on from a checkpoint of another run. That checkpoint stays as long as this run does, and is this run's
    /// latest until it saves its own.
    #[must_use]
    pub fn forked_from(mut self, checkpoint: CheckpointId) -> Self {
        self.origin = Some(checkpoint);
        self
    }
}

/// Which runs a list has. The default is the first hundred of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those that stand here.
    pub status: Option<Name>,
    /// Only those that have this tag.
    pub tag: Option<Name>,
    /// Only those of this kind.
    pub kind: Option<Name>,
    /// Only those behind this one: the last of the list before.
    pub after: Option<RunId>,
    /// How many at most; 100 by default, 1,000 at most.
    pub limit: u32,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self { status: None, tag: None, kind: None, after: None, limit: 100 }
    }
}

impl Store {
    /// Creates a run.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one with this id; [`StoreError::NotFound`] if it was to be forked from a
    /// checkpoint that is not there; [`StoreError::TooLarge`] for an entry that does not fit.
    pub async fn create_run(&self, run: NewRun) -> Result<Run, StoreError> {
        run.entries.iter().try_for_each(NewEntry::check)?;
        self.change(Create(run)).await
    }

    /// Finds a run.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and [`StoreError::Corrupt`].
    pub async fn run(&self, id: &RunId) -> Result<Run, StoreError> {
        self.look(Find(id.clone())).await
    }

    /// Lists runs in the order of their ids, which for generated ids is that of their creation.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one of them is damaged.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>, StoreError> {
        self.look(List(filter)).await
    }

    /// Deletes the run that the lease is of, with its journal, its checkpoints and its calls, and gives the lease back.
    /// Its approvals stay, as the record of who allowed what. Blobs go with the next [`Store::collect_blobs`].
    ///
    /// # Errors
    /// [`StoreError::Fenced`]; [`StoreError::Conflict`] while another run is forked from one of its checkpoints.
    pub async fn delete_run(&self, lease: &Lease) -> Result<(), StoreError> {
        self.change(Delete(lease.clone())).await
    }
}

struct Create(NewRun);

impl Operation for Create {
    type Output = Run;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Run, StoreError> {
        let new = &self.0;
        if let Some(origin) = new.origin {
            // Its run is locked, so that nobody deletes the checkpoint meanwhile.
            let source = checkpoints::find(tx, origin).await?.run;
            run::lock(tx, &source).await?;
            checkpoints::find(tx, origin).await?;
        }
        let mut run = Run {
            id: new.id.clone(),
            kind: new.kind.clone(),
            status: new.status.clone(),
            tags: run::sorted(&new.tags),
            created_ms: new.at_ms,
            updated_ms: new.at_ms,
            origin: new.origin,
            entries: 0,
            calls: 0,
            checkpoints: 0,
            latest: None,
            chain: genesis(&new.id),
        };
        run::insert(tx, &run).await?;
        if !new.entries.is_empty() {
            for entry in &new.entries {
                append(tx, &mut run, entry, new.at_ms).await?;
            }
            run::update(tx, &run).await?;
        }
        Ok(run)
    }
}

struct Find(RunId);

impl Operation for Find {
    type Output = Run;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Run, StoreError> {
        run::load(tx, &self.0).await
    }
}

struct List(RunFilter);

macro_rules! list {
    ($from:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM runs r ",
            $from,
            " AND r.id > $3 AND ($4 = '' OR r.kind = $4) ORDER BY r.id LIMIT $5"
        )
    };
}

impl Operation for List {
    type Output = Vec<Run>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Vec<Run>, StoreError> {
        let filter = &self.0;
        let text = |name: &Option<Name>| name.as_ref().map_or("", Name::as_str).into();
        let sql = match (&filter.status, &filter.tag) {
            (None, None) => list!("WHERE $1 = '' AND $2 = ''"),
            (Some(_), None) => list!("WHERE r.status = $1 AND $2 = ''"),
            (None, Some(_)) => list!("JOIN run_tags t ON t.run = r.id WHERE $1 = '' AND t.tag = $2"),
            (Some(_), Some(_)) => {
                list!("JOIN run_tags t ON t.run = r.id WHERE r.status = $1 AND t.tag = $2")
            }
        };
        let after = filter.after.as_ref().map_or("", RunId::as_str).into();
        let limit = i64::from(filter.limit.clamp(1, PAGE_MAX)).into();
        let values = [text(&filter.status), text(&filter.tag), after, text(&filter.kind), limit];
        tx.query(sql, &values).await?.into_iter().map(Run::read).collect()
    }
}

struct Delete(Lease);

impl Operation for Delete {
    type Output = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let id = leases::run_of(&self.0)?;
        leases::check(tx, &self.0).await?;
        run::lock(tx, id).await?;
        let forks = "SELECT r.id FROM runs r JOIN checkpoints c ON r.origin = c.id WHERE c.run = $1 LIMIT 1";
        if let Some(mut fork) = query_one(tx, forks, &[id.as_str().into()]).await? {
            let fork = fork.text()?;
            return Err(StoreError::conflict("run", id, format!("run {fork} is forked from it")));
        }
        tx.execute("DELETE FROM runs WHERE id = $1", &[id.as_str().into()]).await?;
        leases::free(tx, &self.0).await
    }
}
