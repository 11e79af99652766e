use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// Any of these names a real model.
const REAL: [&str; 4] = ["MESH_MODEL_URL", "MESH_MODEL", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"];

/// The address of the recording, which ends when it is dropped; `None` where the environment names a real model.
///
/// # Errors
/// When loopback has no free port.
pub fn model_url() -> Result<(Option<String>, Option<Recording>)> {
    if REAL.iter().any(|name| std::env::var_os(name).is_some()) {
        return Ok((None, None));
    }
    let recording = Recording::start()?;
    Ok((Some(recording.url.clone()), Some(recording)))
}

/// A server that speaks the chat API of OpenAI, and says what a model has said once.
#[derive(Debug)]
pub struct Recording {
    url: String,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

/// What it says in each of its turns.
fn turns() -> [Value; 4] {
    let call = |index: u32, tool: &str, args: Value| {
        let function = json!({"name": tool, "arguments": args.to_string()});
        json!({"index": index, "id": format!("call_{index}"), "type": "function", "function": function})
    };
    let read = |index, path: &str| call(index, "read_file", json!({ "path": path }));
    let summary = "monday.txt: pump loud, new bearing ordered\ntuesday.txt: bearing changed, pump quiet\n";
    let write = json!({"path": "summary.txt", "content": summary});
    [
        json!({"tool_calls": [call(0, "list_files", json!({"path": "."}))]}),
        json!({"tool_calls": [read(0, "monday.txt"), read(1, "tuesday.txt")]}),
        json!({"tool_calls": [call(0, "write_file", write)]}),
        json!({"content": "summary.txt has a line for each of the two files."}),
    ]
}

impl Recording {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let is_over = Arc::<AtomicBool>::default();
        let server = thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                for socket in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    // Who was killed in the middle of it hears nothing more.
                    let _ = socket.and_then(answer);
                }
            }
        });
        Ok(Self { url, is_over, server: Some(server) })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It waits for somebody.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://").trim_end_matches("/v1"));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// Which turn it is stands in the request: one more than the model has had.
fn answer(mut socket: TcpStream) -> Result<(), Error> {
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = request(&mut socket)?;
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let turn = messages.iter().filter(|message| message["role"] == "assistant").count();
    let delta = turns().into_iter().nth(turn).ok_or_else(|| Error::other("no such turn is recorded"))?;
    let reason = if delta["content"].is_string() { "stop" } else { "tool_calls" };
    let said = json!({"model": "recording", "choices": [{"index": 0, "delta": delta}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
    let text = format!("data: {said}\n\ndata: {end}\n\ndata: [DONE]\n\n");
    let length = text.len();
    write!(
        socket,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    )
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
