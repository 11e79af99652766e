use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

/// A command whose output is read line by line, as slowly as the test likes: what is not read stays in the pipe, and then
/// with the command.
#[derive(Debug)]
pub struct Tap {
    child: Child,
    lines: Option<Receiver<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Tap {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the command starts");
        let stdout = child.stdout.take().expect("it was started with a pipe");
        // Without room: the next line is read when this one was taken.
        let (sender, lines) = sync_channel(0);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines: Some(lines), reader: Some(reader) }
    }

    /// The next line, which is a JSON document; `None` when the command has ended.
    ///
    /// # Panics
    /// If none comes within `within`, or it is no JSON.
    pub fn next(&mut self, within: Duration) -> Option<Value> {
        let lines = self.lines.as_ref().expect("it is taken on drop only");
        match lines.recv_timeout(within) {
            Ok(line) => {
                let document = serde_json::from_str(&line);
                Some(document.unwrap_or_else(|error| panic!("{error} in {line}")))
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {within:?}"),
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // Both fail only for a child that has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.lines.take());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
