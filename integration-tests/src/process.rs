use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::poll;

/// A child process, killed when dropped. Its output goes to files, so that a child that talks much never waits for
/// a reader.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`; its output goes to `LOG.out` and `LOG.err`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let (stdout, stderr) = (log.with_extension("out"), log.with_extension("err"));
        let create = |path: &Path| File::create(path).expect("the lab's folder can be written");
        command.stdout(create(&stdout)).stderr(create(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, stdout, stderr }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has written to its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Sends a signal; to a process that has ended, nothing.
    pub fn signal(&mut self, signal: Signal) {
        // A child that was waited for has given its id back, and the id may be somebody else's.
        if self.ended().is_none() {
            kill_process(Pid::from_child(&self.child), signal).expect("a parent may signal its child");
        }
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// Never: a child can be asked.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits for its end and gives the exit code (-1 after a signal).
    ///
    /// # Panics
    /// If it has not ended within `within`: with what it last said.
    pub fn wait(&mut self, within: Duration) -> i32 {
        let status = poll(within, || self.ended().ok_or_else(String::new));
        match status {
            Ok(status) => status.code().unwrap_or(-1),
            Err(_) => {
                panic!("process {} still runs after {within:?}; it said: {}", self.pid(), self.stderr())
            }
        }
    }

    /// The most memory that it ever had resident, in KiB; `None` where the kernel does not tell.
    #[must_use]
    pub fn peak_memory_kib(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    /// The memory that it has resident now, in KiB; `None` where the kernel does not tell.
    #[must_use]
    pub fn memory_kib(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, what: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(what))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("it was started with a pipe, and the pipe is taken once")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child that is to be told nothing.
pub(crate) fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str, folder: &tempfile::TempDir) -> Process {
        Process::start(quiet(Path::new("/bin/sh")).args(["-c", script]), &folder.path().join("sh"))
    }

    #[test]
    fn its_output_and_its_code_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo out; echo err >&2; exit 3", &folder);
        assert_eq!(process.wait(SOON), 3);
        assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_signal_reaches_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            shell("trap 'exit 7' TERM; echo ready; while :; do read line </dev/null; done", &folder);
        crate::eventually("the trap is set", SOON, || match process.stdout().as_str() {
            "ready\n" => Ok(()),
            other => Err(other.to_owned()),
        });
        process.signal(Signal::TERM);
        assert_eq!(process.wait(SOON), 7);
        process.signal(Signal::TERM);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_dropped_process_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("exec cat /dev/zero >/dev/null", &folder);
        let entry = PathBuf::from(format!("/proc/{}", process.pid()));
        assert!(entry.exists());
        drop(process);
        assert!(!entry.exists());
    }
}
