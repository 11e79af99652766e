//! Models that say what a test wants, tools that do it, and the runs of both.

use std::sync::Arc;
use std::time::Duration;

use mesh_agents::Models;
use mesh_agents::assistant::{Assistant, AssistantSpec};
use mesh_agents::durable::{RunDocument, RunSettings, Runs};
use mesh_agents::tools::{Annotations, HookedTool, Tool, ToolContext, ToolError, ToolSet, ToolSpec};
use mesh_models::{
    BoxFuture, ChatRequest, FinishReason, ModelError, ModelEvent, ModelStream, Provider, Role, Usage,
};
use mesh_resilience::{Jitter, RetryConfig};
use mesh_store::{SqliteOptions, Store};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::sync::Barrier;
use tokio::time::timeout;

/// No wait of a test is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a model says in one turn.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    Text(&'static str),
    /// Tools with their arguments.
    Calls(Vec<(&'static str, String)>),
    Fails(ModelError),
}

/// A model with one line for each of its turns. Which turn it is it sees by what it has said so far.
#[derive(Debug, Default)]
pub(crate) struct Script {
    lines: Vec<Says>,
    pub(crate) asked: Mutex<Vec<ChatRequest>>,
}

impl Script {
    pub(crate) fn new(lines: impl IntoIterator<Item = Says>) -> Arc<Self> {
        Arc::new(Self { lines: lines.into_iter().collect(), asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<ChatRequest> {
        self.asked.lock().clone()
    }
}

impl Provider for Script {
    fn stream(&self, request: ChatRequest) -> BoxFuture<Result<ModelStream, ModelError>> {
        let mut asked = self.asked.lock();
        asked.push(request);
        let line = self.lines.get(asked.len() - 1).cloned().expect("the model has another line");
        Box::pin(async move { Ok(ModelStream::of(events(line))) })
    }
}

fn events(line: Says) -> Vec<Result<ModelEvent, ModelError>> {
    let mut events = vec![ModelEvent::Started { model: "script-1".to_owned() }];
    let reason = match line {
        Says::Fails(error) => return vec![Err(error)],
        Says::Text(text) => {
            events.extend((!text.is_empty()).then(|| ModelEvent::Text(text.to_owned())));
            FinishReason::Stop
        }
        Says::Calls(calls) => {
            for (index, (name, args)) in (0..).zip(calls) {
                let (id, name) = (format!("call_{index}"), name.to_owned());
                events.push(ModelEvent::ToolCall { index, id, name });
                events.push(ModelEvent::ToolArgs { index, piece: args });
            }
            FinishReason::ToolCalls
        }
    };
    events.push(ModelEvent::Usage(Usage::new(100, 10)));
    events.push(ModelEvent::Finished { reason });
    events.into_iter().map(Ok).collect()
}

/// A tool that answers with its argument, once as many of it run as it was told to wait for.
pub(crate) struct Echo {
    pub(crate) name: &'static str,
    pub(crate) together: Arc<Barrier>,
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Words {
    /// What to say.
    pub(crate) text: String,
}

impl Tool for Echo {
    type Args = Words;
    type Output = String;

    fn describe(&self) -> ToolSpec {
        let annotations = Annotations { read_only: true, ..Annotations::default() };
        ToolSpec::new(self.name, "Says it again.").annotations(annotations)
    }

    async fn call(&self, Words { text }: Words, _: ToolContext) -> Result<String, ToolError> {
        self.calls.lock().push(text.clone());
        self.together.wait().await;
        if text == "fail" { Err(ToolError::failed("it was told to fail")) } else { Ok(text) }
    }
}

/// A store in a folder of its own, a model, and the tools `echo` and `hidden`.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) model: Arc<Script>,
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    tools: Arc<ToolSet>,
}

impl World {
    /// With `together` calls that wait for each other.
    pub(crate) fn of(lines: impl IntoIterator<Item = Says>, together: usize) -> Self {
        let (calls, barrier) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(Barrier::new(together)));
        let tools = ["echo", "hidden"].into_iter().fold(ToolSet::default(), |tools, name| {
            let echo = Echo { name, together: Arc::clone(&barrier), calls: Arc::clone(&calls) };
            tools.with(HookedTool::new(echo).unwrap())
        });
        let (folder, tools) = (tempfile::tempdir().unwrap(), Arc::new(tools));
        Self { folder, model: Script::new(lines), calls, tools }
    }

    pub(crate) async fn runs(&self, spec: AssistantSpec) -> Runs {
        let path = self.folder.path().join("store.db");
        let store = Store::open_sqlite(path, SqliteOptions::default()).await.unwrap();
        let assistant = Assistant::new(spec)
            .models(Models::new(Arc::clone(&self.model) as Arc<dyn Provider>))
            .tools(Arc::clone(&self.tools) as _);
        let base = Duration::from_millis(1);
        let attempts = RetryConfig { base, jitter: Jitter::None, ..RetryConfig::default() };
        let settings = RunSettings { attempts, ..RunSettings::default() };
        Runs::new(store, "alpha").settings(settings).agent("clerk", move || assistant.clone()).unwrap()
    }

    pub(crate) async fn run(&self, spec: AssistantSpec) -> RunDocument {
        let runs = self.runs(spec).await;
        timeout(LIMIT, runs.run("clerk", "do it")).await.expect("it comes to an end").unwrap()
    }
}

/// An assistant that may call `echo`.
pub(crate) fn clerk() -> AssistantSpec {
    AssistantSpec { tools: vec!["echo".to_owned()], ..AssistantSpec::new("clerk") }
}

pub(crate) fn echo(text: &str) -> (&'static str, String) {
    ("echo", serde_json::json!({ "text": text }).to_string())
}

/// What tools have answered in a request, in its order.
pub(crate) fn results(request: &ChatRequest) -> Vec<String> {
    let results = request.messages.iter().filter(|message| message.role == Role::Tool);
    results.map(|message| message.text.clone()).collect()
}

pub(crate) fn fault(run: &RunDocument) -> &str {
    run.fault.as_ref().map_or("", |fault| fault.code.as_str())
}
