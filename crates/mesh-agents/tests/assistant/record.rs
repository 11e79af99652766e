//! A model's server of recorded turns, for processes that are killed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use serde_json::{Value, json};

/// A server with one recorded turn for each number of turns that stand in the request.
pub(crate) struct Recorded {
    pub(crate) url: String,
    /// Which turns were asked for, in order.
    pub(crate) asked: Arc<Mutex<Vec<usize>>>,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

/// A turn that calls these tools, with the arguments `{"call": N}`.
pub(crate) fn calling(calls: &[(&str, u32)]) -> Vec<Value> {
    let call = |(index, (tool, number)): (usize, &(&str, u32))| {
        let args = json!({ "call": number }).to_string();
        let function = json!({"name": tool, "arguments": args});
        json!({"index": index, "id": format!("call_{number}"), "type": "function", "function": function})
    };
    let calls: Vec<_> = calls.iter().enumerate().map(call).collect();
    vec![
        json!({"model": "recorded", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": calls}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ]
}

/// A turn that says something.
pub(crate) fn saying(text: &str) -> Vec<Value> {
    vec![
        json!({"model": "recorded", "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ]
}

impl Recorded {
    pub(crate) fn start(turns: Vec<Vec<Value>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (asked, is_over) = (Arc::<Mutex<Vec<usize>>>::default(), Arc::<AtomicBool>::default());
        let server = std::thread::spawn({
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
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let addr = self.url.trim_start_matches("http://").trim_end_matches("/v1");
        let _ = TcpStream::connect(addr);
        let _ = self.server.take().unwrap().join();
    }
}

fn answer(mut socket: TcpStream, turns: &[Vec<Value>], asked: &Mutex<Vec<usize>>) -> std::io::Result<()> {
    let request = body(&mut socket)?;
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let turn = messages.iter().filter(|message| message["role"] == "assistant").count();
    asked.lock().push(turn);
    let mut text = String::new();
    for chunk in &turns[turn] {
        text.push_str(&format!("data: {chunk}\n\n"));
    }
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 5}});
    text.push_str(&format!("data: {usage}\n\ndata: [DONE]\n\n"));
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(text.as_bytes())
}

fn body(socket: &mut TcpStream) -> std::io::Result<Value> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = socket.read(&mut piece)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
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
