//! Calls through the ledger, in one process: what is recorded, what is in doubt, and who may repeat it.

use std::sync::Arc;

use futures::future::BoxFuture;
use mesh_agents::tools::{Call, CallId, Callable, Ledgered, Probe, ToolError};
use mesh_store::{CallPolicy, Lease, Name, NewRun, Resource, RunId, SqliteOptions, Store};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// A tool whose every answer is written in advance.
struct Script {
    policy: CallPolicy,
    answers: Mutex<Vec<Result<Value, ToolError>>>,
    probes: Mutex<Vec<Probe<Value>>>,
    calls: Mutex<Vec<CallId>>,
}

impl Script {
    fn new(policy: CallPolicy, answers: Vec<Result<Value, ToolError>>) -> Arc<Self> {
        let (probes, calls) = (Mutex::default(), Mutex::default());
        Arc::new(Self { policy, answers: Mutex::new(answers), probes, calls })
    }
}

impl Callable for Script {
    fn policy<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<CallPolicy, ToolError>> {
        Box::pin(std::future::ready(Ok(self.policy)))
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Result<Value, ToolError>> {
        self.calls.lock().push(call.id);
        Box::pin(std::future::ready(self.answers.lock().remove(0)))
    }

    fn probe<'a>(&'a self, _: &'a str, _: CallId) -> BoxFuture<'a, Result<Probe<Value>, ToolError>> {
        Box::pin(std::future::ready(Ok(self.probes.lock().remove(0))))
    }
}

struct Ground {
    store: Store,
    lease: Lease,
    _folder: tempfile::TempDir,
}

async fn ground() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await.unwrap();
    let run: RunId = "run".parse().unwrap();
    store.create_run(NewRun::new("test".parse().unwrap(), 1).id(run.clone())).await.unwrap();
    let lease = store.acquire(Resource::Run(run), "alpha@1".parse().unwrap(), 30_000, 1).await.unwrap();
    Ground { store, lease, _folder: folder }
}

impl Ground {
    fn ledgered(&self, tools: &Arc<Script>) -> Ledgered {
        let tools: Arc<dyn Callable> = Arc::<Script>::clone(tools);
        Ledgered::new(self.store.clone(), self.lease.clone(), tools).unwrap()
    }
}

fn key(key: &str) -> Name {
    key.parse().unwrap()
}

fn pay() -> Call {
    Call::new("pay", json!({"euro": 5}))
}

fn lost() -> Result<Value, ToolError> {
    Err(ToolError::unsure("UNREACHABLE", "the node went away"))
}

#[tokio::test]
async fn a_call_that_has_ended_is_answered_as_it_was_and_not_repeated() {
    let ground = ground().await;
    let tools = Script::new(CallPolicy::Manual, vec![Ok(json!("paid")), Err(ToolError::failed("no money"))]);
    let ledgered = ground.ledgered(&tools);
    for _ in 0..3 {
        assert_eq!(ledgered.call(key("1"), pay()).await, Ok(json!("paid")));
        assert_eq!(ledgered.call(key("2"), pay()).await, Err(ToolError::failed("no money")));
    }
    assert_eq!(tools.calls.lock().len(), 2);
    let other = ledgered.call(key("1"), Call::new("pay", json!({"euro": 6}))).await.unwrap_err();
    assert_eq!((other.code.as_str(), other.may_have_run), ("STORE_CONFLICT", false));
}

#[tokio::test]
async fn an_idempotent_call_in_doubt_is_made_again_under_its_id() {
    let ground = ground().await;
    let tools = Script::new(CallPolicy::Idempotent, vec![lost(), Ok(json!("paid"))]);
    let ledgered = ground.ledgered(&tools);
    assert!(ledgered.call(key("1"), pay()).await.unwrap_err().in_doubt);
    assert_eq!(ledgered.call(key("1"), pay()).await, Ok(json!("paid")));
    let calls = tools.calls.lock().clone();
    assert_eq!(calls, [CallId::of_run(&"run".parse().unwrap(), &key("1")); 2]);
}

#[tokio::test]
async fn a_queryable_call_in_doubt_is_probed() {
    let ground = ground().await;
    let tools = Script::new(CallPolicy::Queryable, vec![lost(), lost(), lost(), Ok(json!("again"))]);
    *tools.probes.lock() = vec![Probe::Done(json!("paid")), Probe::Unknown, Probe::NotDone];
    let ledgered = ground.ledgered(&tools);
    for of in ["1", "2", "3"] {
        assert!(ledgered.call(key(of), pay()).await.unwrap_err().in_doubt);
    }
    assert_eq!(ledgered.call(key("1"), pay()).await, Ok(json!("paid")));
    assert_eq!(ledgered.call(key("2"), pay()).await.unwrap_err().code, "NEEDS_HUMAN");
    assert_eq!(ledgered.call(key("3"), pay()).await, Ok(json!("again")));
    assert_eq!(
        ledgered.call(key("1"), pay()).await,
        Ok(json!("paid")),
        "it is recorded, and not probed again"
    );
    assert_eq!(tools.calls.lock().len(), 4);
}

#[tokio::test]
async fn a_manual_call_in_doubt_needs_a_human() {
    let ground = ground().await;
    let tools = Script::new(CallPolicy::Manual, vec![lost(), lost(), Ok(json!("again"))]);
    let ledgered = ground.ledgered(&tools);
    for of in ["1", "2"] {
        ledgered.call(key(of), pay()).await.unwrap_err();
        let error = ledgered.call(key(of), pay()).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.in_doubt), ("NEEDS_HUMAN", true));
    }
    assert_eq!(tools.calls.lock().len(), 2, "nothing is repeated by itself");
    ledgered.settle(key("1"), &Ok(json!("it was paid"))).await.unwrap();
    assert_eq!(ledgered.call(key("1"), pay()).await, Ok(json!("it was paid")));
    assert_eq!(ledgered.repeat(key("2"), pay()).await, Ok(json!("again")));
    assert_eq!(ledgered.call(key("2"), pay()).await, Ok(json!("again")));
    assert_eq!(tools.calls.lock().len(), 3);
}

#[tokio::test]
async fn a_call_that_did_not_begin_is_in_nobodys_doubt() {
    let ground = ground().await;
    let denied = ToolError::refused("HOOK_CANCELLED", "no");
    let tools = Script::new(CallPolicy::Manual, vec![Err(denied.clone())]);
    let ledgered = ground.ledgered(&tools);
    assert_eq!(ledgered.call(key("1"), pay()).await, Err(denied.clone()));
    assert_eq!(ledgered.call(key("1"), pay()).await, Err(denied));
    assert_eq!(ground.store.calls_in_doubt(&"run".parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn who_has_lost_the_lease_calls_nothing() {
    let ground = ground().await;
    let tools = Script::new(CallPolicy::Idempotent, vec![Ok(json!("paid"))]);
    let ledgered = ground.ledgered(&tools);
    let resource = Resource::Run("run".parse().unwrap());
    ground.store.acquire(resource, "beta@1".parse().unwrap(), 30_000, 1_000_000).await.unwrap();
    assert_eq!(ledgered.call(key("1"), pay()).await.unwrap_err().code, "STORE_FENCED");
    assert_eq!(tools.calls.lock().len(), 0);
}
