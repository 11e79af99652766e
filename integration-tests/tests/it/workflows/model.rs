//! A model server that answers by the seed's roles, counts what it is asked, and holds back the answer that a test names.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// A held answer is given up when the test has: no thread waits longer.
const HELD_MAX: Duration = Duration::from_secs(120);
const READ_MAX: Duration = Duration::from_secs(10);

/// What was asked, by role and the last line of the input, and how often.
pub(super) type Calls = BTreeMap<String, u32>;

#[derive(Default)]
struct State {
    calls: Calls,
    /// A call whose answer begins with this is not answered.
    held: Option<String>,
    is_closed: bool,
}

/// The server, on a port of its own.
pub(super) struct Model {
    addr: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
    accepting: Option<JoinHandle<()>>,
}

impl Model {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback is free");
        let addr = listener.local_addr().expect("it is bound");
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let accepting = thread::spawn({
            let state = Arc::clone(&state);
            move || accept(&listener, &state)
        });
        Self { addr, state, accepting: Some(accepting) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// What was asked since it was last asked for this.
    pub(super) fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.lock().calls)
    }

    pub(super) fn calls(&self) -> Calls {
        self.lock().calls.clone()
    }

    /// Holds back the answer to the call of this name from now on; nothing is held back any more for `None`.
    pub(super) fn hold(&self, call: Option<&str>) {
        self.lock().held = call.map(str::to_owned);
        self.state.1.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.lock().is_closed = true;
        self.state.1.notify_all();
        // Wakes the accept that waits.
        drop(TcpStream::connect(self.addr));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<(Mutex<State>, Condvar)>) {
    let mut exchanges = Vec::new();
    for stream in listener.incoming() {
        if state.0.lock().unwrap_or_else(PoisonError::into_inner).is_closed {
            break;
        }
        let Ok(stream) = stream else { continue };
        let state = Arc::clone(state);
        // A client that hangs up ends its exchange.
        exchanges.push(thread::spawn(move || drop(exchange(stream, &state))));
    }
    for exchange in exchanges {
        let _ = exchange.join();
    }
}

fn exchange(mut stream: TcpStream, state: &(Mutex<State>, Condvar)) -> std::io::Result<()> {
    stream.set_read_timeout(Some(READ_MAX))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body)?;
    let (name, answer) = answer(&request);
    {
        let mut seen = state.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.calls.entry(name.clone()).or_default() += 1;
        let is_held = |seen: &mut State| seen.held.as_deref() == Some(name.as_str()) && !seen.is_closed;
        let waited = state.1.wait_timeout_while(seen, HELD_MAX, is_held);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
    let chunk = json!({"model": "lab-model", "choices": [{"index": 0, "delta": {"content": answer}}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}});
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    write!(stream, "{head}data: {chunk}\n\ndata: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n")
}

/// The name of a call, and its answer.
fn answer(request: &Value) -> (String, String) {
    let empty = Vec::new();
    let messages = request["messages"].as_array().unwrap_or(&empty);
    let text = |role: &str| {
        let said = messages.iter().rev().find(|message| message["role"] == role);
        said.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned()
    };
    let (system, input) = (text("system"), text("user"));
    if input.starts_with("You coordinate a workflow") {
        let stage =
            input.split("Stage \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let decision = json!({"decision": "continue", "stage": "", "items": [], "reason": "all is well"});
        return (format!("coordinator: {stage}"), decision.to_string());
    }
    if system.contains("Task Planner") {
        let steps = json!({"steps": ["boil water", "add tea", "wait", "pour"]});
        return (format!("planner: {input}"), steps.to_string());
    }
    if system.contains("Task Executor") {
        return (format!("executor: {input}"), format!("{input}: done"));
    }
    let done = input.matches(": done").count();
    ("reviewer".to_owned(), format!("{done} of 4 are done"))
}
