use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// A client that says nothing for so long has gone.
const READ_MAX: Duration = Duration::from_secs(10);

/// A turn of a recorded model.
#[derive(Debug, Clone)]
pub enum Turn {
    /// It says this.
    Says(&'static str),
    /// It asks for these tools, with their arguments.
    Calls(Vec<(&'static str, Value)>),
}

/// A model's server on loopback that speaks the chat API of OpenAI, with one recorded turn for each number of turns that
/// stand in a request. It ends when this is dropped.
#[derive(Debug)]
pub struct RecordedModel {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl RecordedModel {
    /// Starts it.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn start(turns: Vec<Turn>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let (asked, is_over) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<AtomicBool>::default());
        let server = thread::spawn({
            let (asked, is_over) = (Arc::clone(&asked), Arc::clone(&is_over));
            move || {
                for socket in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    // Who was killed in the middle of it hears nothing more.
                    let _ = socket.and_then(|socket| answer(socket, &turns, &asked));
                }
            }
        });
        Self { url, asked, is_over, server: Some(server) }
    }

    /// Its address, for `MESH_MODEL_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests that it got, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RecordedModel {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It waits for somebody.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://").trim_end_matches("/v1"));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn answer(mut socket: TcpStream, turns: &[Turn], asked: &Mutex<Vec<Value>>) -> Result<(), Error> {
    socket.set_read_timeout(Some(READ_MAX))?;
    let request = request(&mut socket)?;
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let turn = messages.iter().filter(|message| message["role"] == "assistant").count();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let turn = turns.get(turn).ok_or_else(|| Error::other("no such turn is recorded"))?;
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 5}});
    let mut text = String::new();
    for chunk in chunks(turn).into_iter().chain([usage]) {
        text += &format!("data: {chunk}\n\n");
    }
    text += "data: [DONE]\n\n";
    let length = text.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(text.as_bytes())
}

fn chunks(turn: &Turn) -> Vec<Value> {
    let delta = |delta: Value| json!({"model": "recorded", "choices": [{"index": 0, "delta": delta}]});
    let end = |reason| json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
    match turn {
        // Word by word, as models do.
        Turn::Says(text) => {
            let words = text.split_inclusive(' ').map(|word| delta(json!({ "content": word })));
            words.chain([end("stop")]).collect()
        }
        Turn::Calls(calls) => {
            let call = |(index, (tool, args)): (usize, &(&str, Value))| {
                let function = json!({"name": tool, "arguments": args.to_string()});
                json!({"index": index, "id": format!("call_{index}"), "type": "function", "function": function})
            };
            let calls: Vec<_> = calls.iter().enumerate().map(call).collect();
            vec![delta(json!({ "tool_calls": calls })), end("tool_calls")]
        }
    }
}

fn request(socket: &mut TcpStream) -> Result<Value, Error> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = socket.read(&mut piece)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return Ok(serde_json::from_str(body)?);
        }
    }
}
