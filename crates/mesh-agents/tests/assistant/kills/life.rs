//! The process that is killed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mesh_agents::Models;
use mesh_agents::approvals::Word;
use mesh_agents::durable::{Clock, RunSettings};
use mesh_agents::tools::{
    Annotations, Call, CallId, Callable, HookedTool, Offered, Probe, Tool, ToolContext, ToolDescription,
    ToolError, ToolSet, ToolSpec,
};
use mesh_models::{
    ChatRequest, HttpProvider, ModelError, ModelSettings, ModelStream, Provider, Role, Timeouts,
};
use mesh_resilience::{Jitter, RetryConfig};
use mesh_store::{CallPolicy, NewEntry, NewRun};
use parking_lot::Mutex;

use super::*;
use crate::people::People;

/// Started with the other tests it has nothing to do.
#[test]
fn the_run() {
    let Ok(folder) = std::env::var("MESH_ASSISTANT_RUN") else { return };
    let url = std::env::var("MESH_ASSISTANT_MODEL").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(live(Places::of(PathBuf::from(folder)), &url));
}

async fn live(places: Arc<Places>, url: &str) {
    let folder = places.folder.clone();
    let store = Store::open_sqlite(folder.join("store.db"), SqliteOptions::default()).await.unwrap();
    let said = json!({"task": "do all of it"}).to_string();
    let new = NewRun::new("clerk".parse().unwrap(), 1).id(run_id());
    match store.create_run(new.entry(NewEntry::new("run.created".parse().unwrap(), said))).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let settings = ModelSettings::openai_compatible(url, "recorded");
    let provider = HttpProvider::new(settings, Timeouts::default()).unwrap();
    let models = Models::new(Arc::new(Watched { provider, places: Arc::clone(&places) }));
    let tools = ["idempotent", "queryable", "manual"].into_iter().fold(ToolSet::default(), |tools, name| {
        tools.with(HookedTool::new(Worldly { name, places: Arc::clone(&places) }).unwrap())
    });
    let tools = Arc::new(WatchedTools { tools, places: Arc::clone(&places) });
    let names = ["idempotent", "queryable", "manual"].map(str::to_owned).to_vec();
    let spec = AssistantSpec { tools: names, ..AssistantSpec::new("clerk") };
    let clerk = Assistant::new(spec).models(models).tools(tools);

    let mut document = lived(&store, &places, clerk.clone()).await;
    if document.fault.as_ref().is_some_and(|fault| fault.code == "NEEDS_HUMAN") {
        let people = People::at(&store).await;
        let decides = decide(&people, &places);
        let clerk = clerk.gate(people.gate.clone());
        tokio::select! {
            ended = lived(&store, &places, clerk) => document = ended,
            () = decides => unreachable!("they decide until they are dropped"),
        }
    }
    store.close().await;
    match document.state() {
        AgentState::Completed => say("done"),
        state => say(&format!("failed {state} {:?}", document.fault)),
    }
}

/// Takes the run up, and drives it to where it holds.
async fn lived(store: &Store, places: &Arc<Places>, clerk: Assistant) -> RunDocument {
    let (base, clock) = (Duration::from_millis(1), Arc::clone(places));
    let settings = RunSettings {
        attempts: RetryConfig { base, jitter: Jitter::None, ..RetryConfig::default() },
        interruptions_max: 1_000,
        // The process before is dead for certain: each life is hours after it.
        clock: Clock::of(move || {
            clock.place("write");
            clock.life * 3_600_000
        }),
        ..RunSettings::default()
    };
    let runs = Runs::new(store.clone(), "alpha").settings(settings);
    let runs = runs.agent("clerk", move || clerk.clone()).unwrap();
    runs.resume(&run_id()).await.unwrap()
}

/// Where the process can be killed: at each place once.
struct Places {
    folder: PathBuf,
    life: i64,
    killed: Vec<String>,
    /// What was done last, and how often the same place was come to since.
    at: Mutex<(String, BTreeMap<String, u32>)>,
}

impl Places {
    fn of(folder: PathBuf) -> Arc<Self> {
        let killed = fs::read_to_string(folder.join("killed")).unwrap_or_default();
        let killed: Vec<_> = killed.lines().map(str::to_owned).collect();
        append(&folder.join("lives"), "one more");
        let life = fs::read_to_string(folder.join("lives")).unwrap().lines().count();
        let life = i64::try_from(life).unwrap();
        Arc::new(Self { folder, life, killed, at: Mutex::default() })
    }

    /// Something else is done from here on.
    fn begin(&self, what: String) {
        *self.at.lock() = (what, BTreeMap::new());
    }

    /// Comes to a place; stays there for ever, if it was not killed here before.
    fn place(&self, name: &str) {
        let mut at = self.at.lock();
        let times = at.1.entry(name.to_owned()).or_default();
        *times += 1;
        let times = *times;
        let place = format!("{name}-{times} {}", at.0);
        if self.killed.contains(&place) {
            return;
        }
        append(&self.folder.join("killed"), &place);
        say(&format!("stopped {place}"));
        loop {
            std::thread::park();
        }
    }
}

/// The model, with a place before it is asked.
#[derive(Debug)]
struct Watched {
    provider: HttpProvider,
    places: Arc<Places>,
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Provider for Watched {
    fn stream(&self, request: ChatRequest) -> mesh_models::BoxFuture<Result<ModelStream, ModelError>> {
        let turn = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        self.places.begin(format!("turn {turn}"));
        self.places.place("ask");
        self.provider.stream(request)
    }
}

/// The tools, with places around their intents and their outcomes.
struct WatchedTools {
    tools: ToolSet,
    places: Arc<Places>,
}

impl Callable for WatchedTools {
    fn policy<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<CallPolicy, ToolError>> {
        self.places.place("intent");
        Callable::policy(&self.tools, tool)
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move {
            let what = format!("call {}", call.args);
            self.places.begin(what.clone());
            self.places.place("intended");
            let ended = Callable::call(&self.tools, call).await;
            self.places.begin(what);
            self.places.place("outcome");
            ended
        })
    }

    fn probe<'a>(&'a self, tool: &'a str, call: CallId) -> BoxFuture<'a, Result<Probe<Value>, ToolError>> {
        Callable::probe(&self.tools, tool, call)
    }
}

impl Offered for WatchedTools {
    fn describe<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<ToolDescription, ToolError>> {
        Offered::describe(&self.tools, tool)
    }
}

/// A tool that writes a line into the world, in the way that its name says: one write, so a kill leaves all of it or nothing.
struct Worldly {
    name: &'static str,
    places: Arc<Places>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Which {
    call: u32,
}

impl Tool for Worldly {
    type Args = Which;
    type Output = String;

    fn describe(&self) -> ToolSpec {
        let spec = ToolSpec::new(self.name, "Writes a line.").annotations(Annotations::default());
        spec.policy(match self.name {
            "idempotent" => CallPolicy::Idempotent,
            "queryable" => CallPolicy::Queryable,
            _ => CallPolicy::Manual,
        })
    }

    async fn call(&self, Which { call }: Which, cx: ToolContext) -> Result<String, ToolError> {
        let folder = &self.places.folder;
        append(&folder.join("calls"), &call.to_string());
        self.places.place("before effect");
        // An idempotent tool knows the ids of what it has done; the others do it, whoever asks.
        if self.name != "idempotent" || self.done(cx.call()).is_none() {
            append(&folder.join("effects"), &format!("{call} {}", cx.call()));
        }
        self.places.place("after effect");
        Ok(call.to_string())
    }

    async fn probe(&self, call: CallId) -> Result<Probe<String>, ToolError> {
        Ok(self.done(call).map_or(Probe::NotDone, Probe::Done))
    }
}

impl Worldly {
    /// Which call it was, if it has had its effect.
    fn done(&self, call: CallId) -> Option<String> {
        let lines = fs::read_to_string(self.places.folder.join("effects")).unwrap_or_default();
        let line = lines.lines().find(|line| line.ends_with(&call.to_string()))?;
        line.split(' ').next().map(str::to_owned)
    }
}

/// Answers whatever waits: what is done already is not to be repeated.
async fn decide(people: &People, places: &Places) {
    loop {
        for row in people.pending().await {
            let shown = people.show(&row).await;
            let args: Value = serde_json::from_str(&shown.args).unwrap();
            let call = args["args"]["call"].to_string();
            let is_done = count(&places.folder.join("effects")).contains_key(&call);
            if !is_done {
                say(&format!("allowed {call}"));
            }
            people.answer(&row, if is_done { Word::Reject } else { Word::Approve }).await;
        }
        tokio::task::yield_now().await;
    }
}
