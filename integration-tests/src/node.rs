use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::Value;

use crate::{Moment, Process, poll};

/// A node binds, makes keys and joins in well under a second; a machine under load is allowed much more.
const START_MAX: Duration = Duration::from_secs(30);
/// A graceful leave lets mailboxes finish for 30 s at most.
const LEAVE_MAX: Duration = Duration::from_secs(40);

/// A running `mesh-node` that answers messages.
#[derive(Debug)]
pub struct Node {
    name: String,
    process: Process,
    ready: Value,
    ready_at: Moment,
}

impl Node {
    pub(crate) fn when_ready(name: &str, mut process: Process, ready_file: &PathBuf) -> Self {
        let ready = poll(START_MAX, || {
            if let Some(status) = process.ended() {
                return Ok(Err(status));
            }
            // The file appears whole or not at all.
            let text = fs::read(ready_file).map_err(|error| error.to_string())?;
            let written = fs::metadata(ready_file).and_then(|file| file.modified());
            let written = written.map_err(|error| error.to_string())?;
            let written = written.duration_since(UNIX_EPOCH).expect("it is later than 1970");
            Ok(Ok((serde_json::from_slice(&text).expect("the ready file is JSON"), written)))
        });
        match ready {
            Ok(Ok((ready, ready_at))) => Self { name: name.to_owned(), process, ready, ready_at },
            Ok(Err(status)) => panic!("{name} ended with {status} before it was ready: {}", process.stderr()),
            Err(_) => panic!("{name} is not ready after {START_MAX:?}: {}", process.stderr()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is reached: `HOST:PORT`.
    #[must_use]
    pub fn addr(&self) -> &str {
        self.ready["addr"].as_str().expect("the ready file tells `addr` as text")
    }

    /// What it wrote to its ready file.
    #[must_use]
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// When it wrote that: when it began to answer.
    #[must_use]
    pub fn ready_at(&self) -> Moment {
        self.ready_at
    }

    /// The process behind it.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// `kill -9`: it ends at once and says goodbye to nobody.
    pub fn kill9(mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(LEAVE_MAX);
    }

    /// SIGTERM: it leaves. Gives the exit code.
    #[must_use]
    pub fn terminate(mut self) -> i32 {
        self.process.signal(Signal::TERM);
        self.process.wait(LEAVE_MAX)
    }

    /// Waits until it has ended by itself. Gives the exit code.
    #[must_use]
    pub fn ended(mut self) -> i32 {
        self.process.wait(LEAVE_MAX)
    }

    /// SIGSTOP: it is silent, but its port stays taken.
    pub fn pause(&mut self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT, after [`Node::pause`].
    pub fn resume(&mut self) {
        self.process.signal(Signal::CONT);
    }
}
