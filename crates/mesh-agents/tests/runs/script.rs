//! A model that does what the test says, and remembers what it was asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mesh_models::{
    BoxFuture, ChatRequest, FinishReason, ModelError, ModelEvent, ModelStream, Provider, Usage,
};
use parking_lot::Mutex;
use tokio::time::sleep;

/// What the model does with a request.
pub(crate) enum Act {
    /// Answers, after a while.
    Say(Duration, String),
    /// Begins to answer, and never ends.
    Hang,
    Fail(ModelError),
    Panic,
}

impl Act {
    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self::Say(Duration::from_secs(1), text.into())
    }
}

/// One call of the model.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) node: String,
    pub(crate) input: String,
    pub(crate) request: ChatRequest,
}

type Rule = dyn Fn(&Call) -> Act + Send + Sync;

/// What the models of all nodes have in common.
#[derive(Clone)]
pub(crate) struct Script {
    rule: Arc<Rule>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Vec<Call>,
    open: usize,
    open_max: usize,
    /// Streams that were dropped before their end.
    abandoned: usize,
}

impl Script {
    pub(crate) fn new(rule: impl Fn(&Call) -> Act + Send + Sync + 'static) -> Self {
        Self { rule: Arc::new(rule), seen: Arc::default() }
    }

    pub(crate) fn on(&self, node: &str) -> Scripted {
        Scripted { node: node.to_owned(), script: self.clone() }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.seen.lock().calls.clone()
    }

    /// The most calls that were open at once.
    pub(crate) fn open_max(&self) -> usize {
        self.seen.lock().open_max
    }

    pub(crate) fn open(&self) -> usize {
        self.seen.lock().open
    }

    pub(crate) fn abandoned(&self) -> usize {
        self.seen.lock().abandoned
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("seen", &*self.seen.lock()).finish_non_exhaustive()
    }
}

/// The model of one node.
#[derive(Debug)]
pub(crate) struct Scripted {
    node: String,
    script: Script,
}

impl Provider for Scripted {
    fn stream(&self, request: ChatRequest) -> BoxFuture<Result<ModelStream, ModelError>> {
        let input = request.messages.last().map(|message| message.text.clone()).unwrap_or_default();
        let call = Call { node: self.node.clone(), input, request };
        let act = (self.script.rule)(&call);
        let model = call.request.model.clone().unwrap_or_else(|| "default".to_owned());
        let open = Open::new(&self.script, call);
        Box::pin(async move {
            let (pause, text) = match act {
                Act::Say(pause, text) => (pause, text),
                Act::Hang => (Duration::MAX, String::new()),
                Act::Fail(error) => return Err(open.end(error)),
                Act::Panic => panic!("as the script says"),
            };
            Ok(ModelStream::new(answer(open, format!("{model}-exactly"), pause, &text)))
        })
    }
}

/// Two halves of the text and a pause between them.
fn answer(
    open: Open,
    model: String,
    pause: Duration,
    text: &str,
) -> impl futures::Stream<Item = Result<ModelEvent, ModelError>> + Send + 'static + use<> {
    let middle = text.floor_char_boundary(text.len() / 2);
    let (first, last) = (text[..middle].to_owned(), text[middle..].to_owned());
    let usage = Usage::new(10, text.split_whitespace().count() as u64);
    let begin = [ModelEvent::Started { model }, ModelEvent::Text(first)];
    let end = [ModelEvent::Text(last), ModelEvent::Usage(usage)];
    let waits = stream::once(sleep(pause)).filter_map(|()| async { None });
    let finish = stream::once(async move { open.end(ModelEvent::Finished { reason: FinishReason::Stop }) });
    stream::iter(begin).chain(waits).chain(stream::iter(end)).chain(finish).map(Ok)
}

/// Counts a call as open until it ends or is dropped.
struct Open {
    seen: Arc<Mutex<Seen>>,
    is_ended: bool,
}

impl Open {
    fn new(script: &Script, call: Call) -> Self {
        let mut seen = script.seen.lock();
        seen.calls.push(call);
        seen.open += 1;
        seen.open_max = seen.open_max.max(seen.open);
        Self { seen: Arc::clone(&script.seen), is_ended: false }
    }

    fn end<T>(mut self, with: T) -> T {
        self.is_ended = true;
        with
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut seen = self.seen.lock();
        seen.open -= 1;
        if !self.is_ended {
            seen.abandoned += 1;
        }
    }
}
