//! The runs of one store, and the kinds of agents that this process has for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh::Mesh;
use mesh_store::{ContentHash, Lease, Name, NewEntry, NewRun, Resource, Run, RunId, Store};
use serde_json::json;

use super::agent::AnyAgent;
use super::control::Control;
use super::driver::{Begin, Driver, MakeAgent, Parts};
use super::hooks::{HookError, Hooks};
use super::load::{CREATED, load};
use super::run_context::state_name;
use super::{DurableAgent, RunDocument, RunError, RunSettings};
use crate::lifecycle::AgentState;

/// The runs of one store, and the kinds of agents that this process has for them.
///
/// It is of use without a mesh, too: this runs an agent, and what it did so far survives the process.
///
/// ```
/// # use mesh_agents::durable::{DurableAgent, RunContext, RunError, Runs, Step, StepError, StepResult};
/// # use mesh_store::{SqliteOptions, Store};
/// struct Greeter;
/// impl DurableAgent for Greeter {
///     async fn plan(&mut self, task: &str, _: &mut RunContext) -> Result<Vec<Step>, StepError> {
///         Ok(task.split(' ').map(|name| Step::with("greet", name)).collect())
///     }
///     async fn execute(&mut self, step: &Step, _: &mut RunContext) -> StepResult {
///         Ok(format!("Hello, {}", step.input.as_str().unwrap_or_default()).into())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), RunError> {
/// # let folder = tempfile::tempdir().unwrap();
/// let store = Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await?;
/// let runs = Runs::new(store, "me").agent("greeter", || Greeter)?;
/// let done = runs.run("greeter", "Ada Grace").await?;
/// assert_eq!(done.context.results, ["Hello, Ada", "Hello, Grace"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runs {
    pub(super) store: Store,
    pub(super) settings: RunSettings,
    pub(super) holder: Name,
    pub(super) kinds: BTreeMap<String, MakeAgent>,
    hooks: Hooks,
}

/// A run that is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    pub(super) agent: String,
    pub(super) task: String,
    pub(super) run: Option<String>,
    pub(super) tags: Vec<String>,
    /// What the task refers to.
    pub(super) blobs: Vec<ContentHash>,
    /// Whether nobody takes it up before somebody says so.
    pub(super) is_held: bool,
}

impl Runs {
    /// The runs of `store`, for a process on the node `node` (a-z, 0-9 and -; who holds a run is told by it).
    ///
    /// # Panics
    /// If that cannot be the name of a node.
    #[must_use]
    pub fn new(store: Store, node: &str) -> Self {
        // Another process of the same name is somebody else.
        let boot = uuid::Uuid::new_v4().simple().to_string();
        let holder = format!("{node}@{}", &boot[..12]).parse().expect("a node's name and digits are a name");
        let (settings, hooks) = (RunSettings::default(), Hooks::default());
        Self { store, settings, holder, kinds: BTreeMap::new(), hooks }
    }

    /// With other settings.
    #[must_use]
    pub fn settings(mut self, settings: RunSettings) -> Self {
        self.settings = settings;
        self
    }

    /// With a kind of agent, made by `make` whenever a run is taken up.
    ///
    /// # Errors
    /// [`RunError::Name`] if that is no name for a kind: 1 to 100 bytes of `a-z A-Z 0-9 . _ - : / @`.
    pub fn agent<A: DurableAgent>(
        mut self,
        kind: &str,
        make: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<Self, RunError> {
        let kind: Name = kind.parse()?;
        let make: MakeAgent = Arc::new(move || -> Box<dyn AnyAgent> { Box::new(make()) });
        self.kinds.insert(kind.to_string(), make);
        Ok(self)
    }

    /// Has `hook` told of each change of a run's state before it happens, with the run, the old state and the new one.
    /// Hooks are called one after the other.
    ///
    /// A hook's error fails the run (`HOOK_FAILED`), as it stands: a result that was there is kept, and the run can be
    /// resumed. That a run has failed no hook can prevent.
    #[must_use]
    pub fn on_change<F>(
        mut self,
        hook: impl Fn(&RunId, AgentState, AgentState) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.hooks.add(hook);
        self
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Creates a run and drives it in this task until it holds or ends, and gives what it is then.
    ///
    /// # Errors
    /// [`RunError`] when the run could not be created, or driven to where it holds. That its steps failed is no error:
    /// see [`RunDocument::state`].
    ///
    /// # Cancel safety
    /// Dropped, it leaves the run as it was after the last step that was done; it can be resumed when its lease has run
    /// out.
    pub async fn run(&self, kind: &str, task: &str) -> Result<RunDocument, RunError> {
        let order = Order { agent: kind.to_owned(), task: task.to_owned(), ..Order::default() };
        let run = self.create(&order).await?;
        self.drive(&run.id, Begin::Start).await
    }

    /// Takes up a run in this task: one that was paused, that failed (it gets all its attempts again), or that was left
    /// in the middle by a process that ended. Drives it until it holds or ends, and gives what it is then.
    ///
    /// # Errors
    /// As for [`run`](Self::run); [`StoreError::Held`](mesh_store::StoreError::Held) while somebody else has it.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn resume(&self, run: &RunId) -> Result<RunDocument, RunError> {
        self.drive(run, Begin::Resume).await
    }

    /// Starts a run anew that has come to an end or was never begun, as [`run`](Self::run) does. Nothing that it did
    /// before counts.
    ///
    /// # Errors
    /// As for [`resume`](Self::resume).
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn restart(&self, run: &RunId) -> Result<RunDocument, RunError> {
        self.drive(run, Begin::Start).await
    }

    /// A run as it is in the store.
    ///
    /// # Errors
    /// [`RunError::Store`] and [`RunError::NoCheckpoint`].
    pub async fn document(&self, run: &RunId) -> Result<RunDocument, RunError> {
        let run = self.store.run(run).await?;
        Ok(load(&self.store, &run, self.settings.attempts.max_attempts).await?.document)
    }

    /// The time, as it is written to the store.
    pub(crate) fn now_ms(&self) -> i64 {
        self.settings.clock.now_ms()
    }

    /// Who this process is to the store.
    pub(crate) fn holder(&self) -> &Name {
        &self.holder
    }

    /// How long a run stays with a process that says nothing.
    pub(crate) fn lease_time(&self) -> Duration {
        Duration::from_millis(self.settings.lease_ms().into())
    }

    /// Creates a run that nobody takes up before it is resumed; its task refers to blobs.
    pub(crate) async fn create_held(
        &self,
        kind: &str,
        task: &str,
        tag: &str,
        blobs: &[ContentHash],
    ) -> Result<RunId, RunError> {
        let (agent, task, tags) = (kind.to_owned(), task.to_owned(), vec![tag.to_owned()]);
        let order = Order { agent, task, tags, blobs: blobs.to_vec(), is_held: true, ..Order::default() };
        Ok(self.create(&order).await?.id)
    }

    async fn drive(&self, run: &RunId, begin: Begin) -> Result<RunDocument, RunError> {
        let driver = self.take(run, begin, Control::new(), None).await?;
        driver.drive().await?;
        self.document(run).await
    }

    /// Creates a run that stands idle.
    pub(super) async fn create(&self, order: &Order) -> Result<Run, RunError> {
        self.make(&order.agent)?;
        let said = json!({ "task": order.task }).to_string();
        let entry = NewEntry::new(CREATED.parse()?, said);
        let entry = order.blobs.iter().fold(entry, |entry, blob| entry.with_blob(*blob));
        let mut new = NewRun::new(order.agent.parse()?, self.settings.clock.now_ms()).entry(entry);
        if let Some(id) = &order.run {
            new = new.id(id.parse()?);
        }
        if order.is_held {
            new = new.status(state_name(AgentState::Paused));
        }
        for tag in &order.tags {
            new = new.tag(tag.parse()?);
        }
        Ok(self.store.create_run(new).await?)
    }

    /// Takes the lease of a run and takes it up.
    pub(super) async fn take(
        &self,
        run: &RunId,
        begin: Begin,
        control: Control,
        mesh: Option<Mesh>,
    ) -> Result<Driver, RunError> {
        let found = self.store.run(run).await?;
        let make = self.make(found.kind.as_str())?;
        let lease = self.lease(run).await?;
        // What it was before the lease was ours does not count.
        let taken = self.begin(run, begin, control, mesh, make, lease.clone()).await;
        if taken.is_err()
            && let Err(error) = self.store.release(&lease).await
        {
            tracing::debug!(%run, %error, "lease is left to run out");
        }
        taken
    }

    async fn begin(
        &self,
        run: &RunId,
        begin: Begin,
        control: Control,
        mesh: Option<Mesh>,
        make: MakeAgent,
        lease: Lease,
    ) -> Result<Driver, RunError> {
        let found = self.store.run(run).await?;
        let loaded = load(&self.store, &found, self.settings.attempts.max_attempts).await?;
        let parts = Parts {
            run: run.clone(),
            lease,
            store: self.store.clone(),
            loaded,
            kind: found.kind.to_string(),
            make,
            hooks: self.hooks.clone(),
            settings: self.settings.clone(),
            control,
            mesh,
        };
        Driver::begin(parts, begin).await
    }

    pub(super) async fn lease(&self, run: &RunId) -> Result<Lease, RunError> {
        let (ttl_ms, now_ms) = (self.settings.lease_ms(), self.settings.clock.now_ms());
        Ok(self.store.acquire(Resource::Run(run.clone()), self.holder.clone(), ttl_ms, now_ms).await?)
    }

    fn make(&self, kind: &str) -> Result<MakeAgent, RunError> {
        let known = || self.kinds.keys().cloned().collect();
        let unknown = || RunError::UnknownKind { kind: kind.to_owned(), known: known() };
        self.kinds.get(kind).cloned().ok_or_else(unknown)
    }
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<_> = self.kinds.keys().collect();
        f.debug_struct("Runs").field("holder", &self.holder).field("kinds", &kinds).finish_non_exhaustive()
    }
}
