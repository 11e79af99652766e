//! An agent that does what a test says, and notes what it did.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mesh_agents::durable::{Clock, DurableAgent, RunContext, RunSettings, Runs, Step, StepError, StepResult};
use mesh_resilience::{Jitter, RetryConfig};
use mesh_store::{SqliteOptions, Store};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// No wait of a test is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What an agent's steps do, and what they did. A step's name says what it does: `gate` waits for the test, `fail`
/// fails as often as it was told, `fatal` fails for good, `grow` adds a step, `panic` panics once, `ask` waits for a person, `cancel` waits
/// until it is cancelled, `deaf` does not even hear of that; the rest just succeed.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) executed: Mutex<Vec<String>>,
    pub(crate) failures: Mutex<HashMap<String, u32>>,
    pub(crate) doubts: Mutex<Vec<(String, bool)>>,
    pub(crate) keys: Mutex<Vec<String>>,
    pub(crate) entered: Entered,
    pub(crate) gate: Gate,
    pub(crate) now_ms: AtomicI64,
}

pub(crate) struct Entered(Semaphore);
pub(crate) struct Gate(Semaphore);

impl Default for Entered {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Entered {
    /// Waits until another step stands at the gate.
    pub(crate) async fn one(&self) {
        timeout(LIMIT, self.0.acquire()).await.expect("a step comes to the gate").unwrap().forget();
    }
}

impl Gate {
    /// Lets one step pass.
    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let world = Self::default();
        world.now_ms.store(1_800_000_000_000, Ordering::Relaxed);
        Arc::new(world)
    }

    pub(crate) fn fail(&self, step: &str, times: u32) {
        self.failures.lock().insert(step.to_owned(), times);
    }

    pub(crate) fn executed(&self) -> Vec<String> {
        self.executed.lock().clone()
    }

    pub(crate) fn later(&self, time: Duration) {
        self.now_ms.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn fails_now(&self, step: &str) -> bool {
        let mut failures = self.failures.lock();
        let left = failures.entry(step.to_owned()).or_default();
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        fails
    }
}

pub(crate) struct Scripted {
    pub(crate) world: Arc<World>,
    pub(crate) code: &'static str,
}

impl DurableAgent for Scripted {
    fn code(&self) -> String {
        self.code.to_owned()
    }

    /// The words of the task are the steps.
    async fn plan(&mut self, task: &str, cx: &mut RunContext) -> Result<Vec<Step>, StepError> {
        cx.note("planned", true);
        if self.world.fails_now("plan") {
            return Err(StepError::new("NO_PLAN", "it cannot decide"));
        }
        Ok(task.split_whitespace().enumerate().map(|(at, name)| Step::with(name, at)).collect())
    }

    async fn execute(&mut self, step: &Step, cx: &mut RunContext) -> StepResult {
        let world = Arc::clone(&self.world);
        world.executed.lock().push(step.name.clone());
        world.doubts.lock().push((step.name.clone(), cx.may_have_run()));
        world.keys.lock().push(cx.call_key().to_string());
        cx.note("last", step.name.as_str());
        match step.name.as_str() {
            "gate" => {
                world.entered.0.add_permits(1);
                world.gate.0.acquire().await.unwrap().forget();
            }
            "grow" => {
                cx.then(Step::with("late", "more"));
                if world.fails_now("grow") {
                    return Err(StepError::new("NOT_YET", "not yet"));
                }
            }
            "fail" if world.fails_now("fail") => return Err(StepError::new("NOT_YET", "not yet")),
            "fatal" if world.fails_now("fatal") => return Err(StepError::new("NEVER", "never").fatal()),
            "panic" if world.fails_now("panic") => panic!("told to"),
            "ask" => {
                world.entered.0.add_permits(1);
                let answer = cx.wait_for_human("may I?", world.gate.0.acquire()).await?;
                answer.unwrap().forget();
            }
            "cancel" => {
                world.entered.0.add_permits(1);
                cx.cancel().cancelled().await;
                return Err(StepError::cancelled());
            }
            "deaf" => {
                world.entered.0.add_permits(1);
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        Ok(json!({"did": step.name, "step": step.input}))
    }
}

/// A store in a folder of its own, with the world of its agents.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) world: Arc<World>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), world: World::new() }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open_sqlite(self.folder.path().join("store.db"), SqliteOptions::default()).await.unwrap()
    }

    pub(crate) fn settings(&self) -> RunSettings {
        let world = Arc::clone(&self.world);
        let base = Duration::from_millis(1);
        RunSettings {
            attempts: RetryConfig { base, jitter: Jitter::None, ..RetryConfig::default() },
            cancel_grace: Duration::from_millis(100),
            clock: Clock::of(move || world.now_ms.load(Ordering::Relaxed)),
            ..RunSettings::default()
        }
    }

    /// The runs of the store, for a process of its own.
    pub(crate) async fn runs(&self) -> Runs {
        self.runs_of(&self.open().await, "1")
    }

    pub(crate) fn runs_of(&self, store: &Store, code: &'static str) -> Runs {
        let world = Arc::clone(&self.world);
        let make = move || Scripted { world: Arc::clone(&world), code };
        Runs::new(store.clone(), "alpha").settings(self.settings()).agent("scripted", make).unwrap()
    }
}
