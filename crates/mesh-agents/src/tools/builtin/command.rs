//! Running a program, as far away from everything as the kernel lets us put it.
//!
//! ```text
//!  a thread that gave up files (Landlock) and sockets (seccomp)
//!    └─ sh, which waits ── its limits are set ── told to go on
//!         └─ unshare: namespaces of users, processes and networks
//!              └─ the program
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::confine::{self, Files};
use super::limits::{self, Killed};
use crate::tools::{Annotations, Tool, ToolContext, ToolError, ToolSpec};

/// Where programs are looked for; the node's own `PATH` is not asked.
const FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Waits for a line, so that its limits can be set, and becomes the program then.
const GATE: &str = "read -r _ && exec \"$@\"";

/// How long a program has to be told apart from one that hangs, while it is found out what the kernel gives.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Beside a program's own time: for starting it, and for what it said last.
const SPARE: Duration = Duration::from_secs(5);

const ARGS_MAX: usize = 256;

/// `run_command`: runs one of the programs that were named, in a folder.
#[derive(Debug)]
pub struct Commands {
    folder: PathBuf,
    programs: Vec<(String, PathBuf)>,
    limits: CommandLimits,
    in_force: InForce,
    namespaces: &'static [&'static str],
}

/// What a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandLimits {
    /// In all; 20 s by default. As much of the processor's time for each process.
    pub time: Duration,
    /// Of address space, for each process; 1 GiB by default.
    pub memory_bytes: u64,
    /// For each file that it writes; 64 MiB by default.
    pub file_bytes: u64,
    /// By which the free space of the folder's disk may shrink while it runs; 256 MiB by default. It is looked at 20 times
    /// a second, and others who write count too.
    pub disk_bytes: u64,
    /// At once; 64 by default. They are counted 20 times a second.
    pub processes_max: usize,
    /// Of each of its two outputs; 64 KiB by default.
    pub output_bytes: usize,
}

impl Default for CommandLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(20),
            memory_bytes: 1 << 30,
            file_bytes: 64 << 20,
            disk_bytes: 256 << 20,
            processes_max: 64,
            output_bytes: 64 << 10,
        }
    }
}

/// What keeps commands of this node from what they must not reach, as was tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InForce {
    /// `landlock`, or `landlock, in part` by an older kernel. Without it there is no tool.
    pub files: &'static str,
    /// `seccomp`: no socket of any kind; `seccomp and a namespace`: and no network behind it.
    pub network: &'static str,
    /// `a namespace`, which ends with its first process, or `a group`, out of which a process can get by double forks and
    /// sessions of its own: those are found by looking.
    pub processes: &'static str,
    /// `a namespace`, in which root has no power outside, or `none`.
    pub users: &'static str,
}

/// Commands cannot be confined here, or cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("no commands can be run on this node: {reason}")]
pub struct NoSandbox {
    /// What is missing.
    pub reason: String,
}

impl NoSandbox {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// From the strictest on; the first that works is taken.
const NAMESPACES: [&[&str]; 3] = [
    // Nobody is mapped: that takes a file of /proc, which is out of reach by then.
    &["unshare", "--user", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--"],
    &["unshare", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--"],
    &[],
];

/// What to run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandArgs {
    /// Name of the program.
    program: String,
    /// Its arguments, as they are: no shell looks at them.
    #[serde(default)]
    args: Vec<String>,
    /// What it reads from its standard input.
    #[serde(default)]
    stdin: String,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub struct CommandOutput {
    /// `null` when it was killed by a signal. 128 and more is a signal's number and 128.
    exit_code: Option<i32>,
    stdout: String,
    stderr: String,
    /// Whether there was more output than this.
    is_cut: bool,
    /// Why it was ended before its time, if it was.
    ended_because: Option<String>,
    in_force: InForce,
}

impl Commands {
    /// A tool that runs these programs in a folder, below which alone they can write. Tries out what the kernel gives.
    ///
    /// # Errors
    /// [`NoSandbox`]: a program is not there, or files cannot be confined.
    pub async fn open(
        folder: impl AsRef<Path>,
        programs: &[String],
        limits: CommandLimits,
    ) -> Result<Self, NoSandbox> {
        let folder = folder.as_ref();
        let unusable = |error: io::Error| NoSandbox::new(format!("{}: {error}", folder.display()));
        let folder = std::fs::canonicalize(folder).map_err(unusable)?;
        let programs: Result<Vec<_>, _> = programs.iter().map(|name| found(name)).collect();
        let landlock = confine::files(&folder);
        if landlock == Files::Open {
            return Err(NoSandbox::new("the kernel has no Landlock (5.13 or newer, lsm=landlock)"));
        }
        let files = if landlock == Files::Fully { "landlock" } else { "landlock, in part" };
        let nothing = InForce { files, network: "seccomp", processes: "a group", users: "none" };
        let mut commands = Self { folder, programs: programs?, limits, in_force: nothing, namespaces: &[] };
        let mut last = String::new();
        for (index, namespaces) in NAMESPACES.into_iter().enumerate() {
            commands.namespaces = namespaces;
            match commands.try_out().await {
                Ok(()) if namespaces.is_empty() => return Ok(commands),
                Ok(()) => {
                    let users = if index == 0 { "a namespace" } else { "none" };
                    let network = "seccomp and a namespace";
                    commands.in_force = InForce { files, network, processes: "a namespace", users };
                    return Ok(commands);
                }
                Err(reason) => last = reason,
            }
        }
        Err(NoSandbox::new(last))
    }

    /// What was found to be in force.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.in_force
    }

    async fn try_out(&self) -> Result<(), String> {
        let args = ["-c".to_owned(), "exit 7".to_owned()];
        match timeout(TRY_TIMEOUT, self.run(Path::new("/bin/sh"), &args, "")).await {
            Ok(Ok(output)) if output.exit_code == Some(7) => Ok(()),
            Ok(Ok(output)) => Err(format!("a confined shell does not run: {}", output.stderr.trim())),
            Ok(Err(error)) => Err(error.message),
            Err(_elapsed) => Err("a confined shell does not end".to_owned()),
        }
    }

    async fn run(&self, program: &Path, args: &[String], stdin: &str) -> Result<CommandOutput, ToolError> {
        let mut child = self.start(program, args).await?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { return Err(ToolError::failed("the command ended before it began")) };
        let killed = Killed(pid);
        limits::set(pid, &self.limits).map_err(|error| failed("its limits cannot be set", &error))?;
        let input = child.stdin.take().map(|mut pipe| async move {
            // A program that does not read is its own affair.
            let _ = pipe.write_all(b"\n").await;
            let _ = pipe.write_all(stdin.as_bytes()).await;
            drop(pipe);
        });
        let max = self.limits.output_bytes;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (mut said, mut complained) = (Said::default(), Said::default());
        let ended_because = {
            let reads = async {
                let writes = async {
                    if let Some(input) = input {
                        input.await;
                    }
                };
                let waits = async {
                    // What it left behind may hold its pipes open.
                    let ended = child.wait().await;
                    drop(killed);
                    ended
                };
                let ((), (), (), ended) =
                    tokio::join!(writes, said.read(stdout, max), complained.read(stderr, max), waits);
                drop(ended);
            };
            tokio::select! {
                () = reads => None,
                why = limits::watch(pid, &self.folder, &self.limits) => Some(why.to_owned()),
                () = tokio::time::sleep(self.limits.time) => Some("its time was over".to_owned()),
            }
        };
        // Of one that was not waited for, the guard has killed all that there was when it was dropped.
        let exit_code = match &ended_because {
            None => child.try_wait().ok().flatten().and_then(|status| status.code()),
            Some(_) => None,
        };
        let is_cut = said.is_cut || complained.is_cut;
        let (stdout, stderr) = (said.text(), complained.text());
        Ok(CommandOutput { exit_code, stdout, stderr, is_cut, ended_because, in_force: self.in_force })
    }

    /// Starts the gate, confined.
    async fn start(&self, program: &Path, args: &[String]) -> Result<Child, ToolError> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GATE, "sh"]).args(self.namespaces).arg(program).args(args);
        command.env_clear().env("PATH", FOLDERS.join(":")).env("LANG", "C.UTF-8");
        command.env("HOME", &self.folder).env("TMPDIR", &self.folder).current_dir(&self.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let (folder, runtime) = (self.folder.clone(), Handle::current());
        let started = tokio::task::spawn_blocking(move || confine::spawn(command, folder, runtime)).await;
        let started = started.unwrap_or_else(|error| Err(io::Error::other(error)));
        started.map_err(|error| failed("it cannot be started", &error))
    }
}

fn failed(what: &str, error: &io::Error) -> ToolError {
    ToolError::failed(format!("{what}: {error}"))
}

/// What a command wrote, up to a limit.
#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Said {
    /// Reads to the end or the limit, and closes the pipe: a program that says more has nobody to say it to.
    async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>, max: usize) {
        let Some(pipe) = pipe else { return };
        let mut pipe = pipe.take(max as u64 + 1);
        // What was read before an error counts.
        let _ = pipe.read_to_end(&mut self.bytes).await;
        self.is_cut = self.bytes.len() > max;
        self.bytes.truncate(max);
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

fn found(name: &str) -> Result<(String, PathBuf), NoSandbox> {
    let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    let paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    match is_name.then(|| paths.into_iter().find(|path| path.is_file())).flatten() {
        Some(path) => Ok((name.to_owned(), path)),
        None => Err(NoSandbox::new(format!("there is no program {name:?} in {}", FOLDERS.join(", ")))),
    }
}

impl Tool for Commands {
    type Args = CommandArgs;
    type Output = CommandOutput;

    fn describe(&self) -> ToolSpec {
        let names: Vec<_> = self.programs.iter().map(|(name, _)| name.as_str()).collect();
        let description = format!(
            "Runs a program without a network, in a folder of its own, and gives its output. Programs: {}.",
            names.join(", ")
        );
        let annotations = Annotations { destructive: true, ..Annotations::default() };
        let spec = ToolSpec::new("run_command", description).annotations(annotations);
        spec.timeout(self.limits.time + SPARE).concurrency(2)
    }

    async fn call(&self, args: CommandArgs, cx: ToolContext) -> Result<CommandOutput, ToolError> {
        let CommandArgs { program, args, stdin } = args;
        let Some((_, path)) = self.programs.iter().find(|(name, _)| *name == program) else {
            return Err(ToolError::refused("BAD_ARGUMENTS", "the program is none of those that may be run"));
        };
        if args.len() > ARGS_MAX || args.iter().any(|arg| arg.contains('\0')) {
            return Err(ToolError::refused(
                "BAD_ARGUMENTS",
                "an argument has a zero byte, or there are too many",
            ));
        }
        tokio::select! {
            output = self.run(path, &args, &stdin) => output,
            // Dropping the run kills its processes.
            () = cx.cancelled() => Err(ToolError::failed("it was withdrawn")),
        }
    }
}
