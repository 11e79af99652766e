use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::{Lab, Process, Tap, binary};

/// The longest that a command may ask for is a minute; then it must have ended.
const COMMAND_MAX: Duration = Duration::from_secs(70);

/// `meshctl`, as scripts use it.
pub struct Ctl<'a> {
    lab: &'a Lab,
    addr: Option<String>,
    state: PathBuf,
    within: Within<'a>,
}

/// Makes a command of a program, to be run here or elsewhere.
type Within<'a> = Box<dyn Fn(&Path) -> Command + 'a>;

impl<'a> Ctl<'a> {
    pub(crate) fn new(lab: &'a Lab, addr: &str, within: Within<'a>) -> Self {
        Self { lab, addr: Some(addr.to_owned()), state: lab.state(), within }
    }

    pub(crate) fn anywhere(lab: &'a Lab, within: Within<'a>) -> Self {
        Self { lab, addr: None, state: lab.state(), within }
    }

    /// As another machine or user: with another state folder, called `state` in the lab's folder.
    #[must_use]
    pub fn with_state(self, state: &str) -> Self {
        Self { state: self.lab.path(state), ..self }
    }

    /// Runs a command with `--json` and gives how it ended.
    ///
    /// # Panics
    /// If it has not ended after 70 s.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.begin(args).outcome()
    }

    /// Runs a command that must succeed, and gives what a person sees of it.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn text(&self, args: &[&str]) -> String {
        let process = self.lab.run(self.plain().args(args), "meshctl");
        let outcome = Pending { process, began: Instant::now() }.outcome();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    }

    /// Starts a command and does not wait for its end.
    #[must_use]
    pub fn begin(&self, args: &[&str]) -> Pending {
        let process = self.lab.run(self.command().args(args), "meshctl");
        Pending { process, began: Instant::now() }
    }

    /// Runs a command that must succeed, and gives its JSON document.
    ///
    /// # Panics
    /// If it fails, or prints anything but one JSON document.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Value {
        self.try_json(args).unwrap_or_else(|seen| panic!("meshctl {args:?}: {seen}"))
    }

    /// As [`Ctl::json`], for a command that may fail for a while.
    ///
    /// # Errors
    /// What it did instead.
    pub fn try_json(&self, args: &[&str]) -> Result<Value, String> {
        let outcome = self.run(args);
        match outcome.code {
            0 => serde_json::from_str(&outcome.stdout)
                .map_err(|error| format!("{error} in {}", outcome.stdout)),
            code => Err(format!("exit {code}: {}", outcome.stderr)),
        }
    }

    /// Runs a command that the mesh or the actor must refuse (exit 3), and gives the error document.
    ///
    /// # Panics
    /// If it ends in any other way.
    #[must_use]
    pub fn refused(&self, args: &[&str]) -> Value {
        self.run(args).refusal()
    }

    /// Starts a command whose output is read line by line.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn tap(&self, args: &[&str]) -> Tap {
        Tap::start(self.command().args(args))
    }

    /// Starts a command that reads its messages from stdin, and writes `line` there for as long as it is read.
    ///
    /// # Panics
    /// If no thread can be started.
    #[must_use]
    pub fn feed(&self, args: &[&str], line: &str) -> Feed {
        let mut process = self.lab.run(self.command().args(args).stdin(Stdio::piped()), "feed");
        let (mut stdin, line) = (process.take_stdin(), format!("{line}\n"));
        // The pipe breaks when the process ends, and with it the loop.
        let writer = thread::spawn(move || while stdin.write_all(line.as_bytes()).is_ok() {});
        Feed { process: Some(process), writer: Some(writer) }
    }

    /// Starts a command that reads what is [typed](Typed::types) into it.
    #[must_use]
    pub fn typed(&self, args: &[&str]) -> Typed {
        let mut process = self.lab.run(self.command().args(args).stdin(Stdio::piped()), "typed");
        let stdin = process.take_stdin();
        Typed { pending: Pending { process, began: Instant::now() }, stdin }
    }

    fn command(&self) -> Command {
        let mut command = self.plain();
        command.arg("--json");
        command
    }

    fn plain(&self) -> Command {
        let mut command = (self.within)(&binary("meshctl"));
        command.arg("--state").arg(&self.state);
        if let Some(addr) = &self.addr {
            command.args(["--node", addr]);
        }
        command
    }
}

impl fmt::Debug for Ctl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctl").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// From its start to the moment its end was seen.
    pub elapsed: Duration,
}

impl Outcome {
    /// The error document of a refused command.
    ///
    /// # Panics
    /// If the exit code is not 3, or the document lacks a field that every error has.
    #[must_use]
    pub fn refusal(&self) -> Value {
        assert_eq!(self.code, 3, "wanted a refusal: {self:?}");
        let document: Value = serde_json::from_str(&self.stderr)
            .unwrap_or_else(|error| panic!("no error document ({error}) in {self:?}"));
        for field in ["code", "message", "details", "retry", "may_have_run", "origin"] {
            assert!(document.get(field).is_some(), "no `{field}` in {document}");
        }
        document
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Pending {
    process: Process,
    began: Instant,
}

impl Pending {
    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        self.process.stdout()
    }

    /// Ends it as Ctrl-C does.
    pub fn interrupt(&mut self) {
        self.process.signal(Signal::INT);
    }

    /// Stops it in its tracks, as Ctrl-Z does.
    pub fn freeze(&mut self) {
        self.process.signal(Signal::STOP);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it has not ended after 70 s.
    #[must_use]
    pub fn outcome(mut self) -> Outcome {
        let code = self.process.wait(COMMAND_MAX);
        let elapsed = self.began.elapsed();
        Outcome { code, stdout: self.process.stdout(), stderr: self.process.stderr(), elapsed }
    }
}

/// A command into which lines are typed.
#[derive(Debug)]
pub struct Typed {
    pending: Pending,
    stdin: ChildStdin,
}

impl Typed {
    /// Types a line.
    ///
    /// # Panics
    /// If the command reads no more.
    pub fn types(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("the command reads what is typed");
    }

    /// What it has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        self.pending.printed()
    }

    /// Waits for its end, with nothing more to be read.
    ///
    /// # Panics
    /// If it has not ended after 70 s.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        drop(self.stdin);
        self.pending.outcome()
    }
}

/// A command that is fed without end; dropping it ends both.
#[derive(Debug)]
pub struct Feed {
    process: Option<Process>,
    writer: Option<JoinHandle<()>>,
}

impl Feed {
    /// Whether the command still takes messages.
    ///
    /// # Panics
    /// Never: the process is there until this is dropped.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().expect("it is taken on drop only").ended().is_none()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // First the reader, or the writer would wait for room in the pipe for ever.
        drop(self.process.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
