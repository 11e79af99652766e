use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::process::quiet;
use crate::{Ctl, Node, Process, RecordedModel, binary};

/// One mesh at a time: several on two cores would measure each other.
static TURN: Mutex<()> = Mutex::new(());

/// Any port of it that is free.
const LOOPBACK: &str = "127.0.0.1:0";

/// A folder for the nodes of one test, who share its certificate authority and its client identity.
///
/// Labs of one process take turns: [`Lab::new`] waits until the last one is dropped.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    logs: AtomicU32,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// An empty lab.
    ///
    /// # Panics
    /// If there is no place for a temporary folder.
    #[must_use]
    pub fn new() -> Self {
        // A test that panicked in its turn has dropped its nodes on the way out.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { folder, logs: AtomicU32::new(0), _turn: turn }
    }

    /// A path inside of the lab's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The state folder that the lab's nodes share.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Starts a node with the lab actors on a free port, and waits until it answers messages.
    ///
    /// # Panics
    /// If it ends or is not ready in time.
    #[must_use]
    pub fn start(&self, name: &str) -> Node {
        self.start_with(name, &[])
    }

    /// As [`Lab::start`], as a member of the mesh of `seed`.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn join(&self, name: &str, seed: &Node) -> Node {
        self.start_with(name, &["--join", seed.addr()])
    }

    /// Starts a node that is a program of its own, joined to the mesh of `seed`, and waits until it answers messages.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn join_own(&self, program: &Path, name: &str, seed: &Node) -> Node {
        let mut command = quiet(program);
        command.args(["--name", name, "--state"]).arg(self.state());
        self.start_command(command, name, LOOPBACK, &["--join", seed.addr()])
    }

    /// Starts a node that is a program of its own, with more arguments, and waits until it answers messages.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn start_own(&self, program: &Path, name: &str, args: &[&str]) -> Node {
        self.start_own_with(program, name, args, &[])
    }

    /// As [`Lab::start_own`], with variables in its environment.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn start_own_with(
        &self,
        program: &Path,
        name: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Node {
        let mut command = quiet(program);
        command.envs(variables.iter().copied());
        command.args(["--name", name, "--state"]).arg(self.state());
        self.start_command(command, name, LOOPBACK, args)
    }

    /// Starts a node with the lab actors that listens elsewhere, by a command that `within` makes of the program.
    pub(crate) fn start_within(
        &self,
        within: impl Fn(&Path) -> Command,
        name: &str,
        listen: &str,
        args: &[&str],
    ) -> Node {
        self.start_command(self.node_command(within(&binary("mesh-node")), name), name, listen, args)
    }

    /// Starts a node with the lab actors as another machine would: with a state folder of its own, called `state` in the
    /// lab's folder.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn join_elsewhere(&self, name: &str, state: &str, args: &[&str], seed: &Node) -> Node {
        let mut command = quiet(&binary("mesh-node"));
        command.args(["--name", name, "--lab-actors", "--state"]).arg(self.path(state));
        self.start_command(command, name, LOOPBACK, &[&["--join", seed.addr()], args].concat())
    }

    /// As [`Lab::start`], with more arguments.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn start_with(&self, name: &str, args: &[&str]) -> Node {
        let command = self.node_command(quiet(&binary("mesh-node")), name);
        self.start_command(command, name, LOOPBACK, args)
    }

    /// As [`Lab::start_with`], with a model for its agents to think with.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn start_thinking(&self, name: &str, model: &RecordedModel, args: &[&str]) -> Node {
        let mut command = self.node_command(quiet(&binary("mesh-node")), name);
        command.env("MESH_MODEL_URL", model.url());
        self.start_command(command, name, LOOPBACK, args)
    }

    fn start_command(&self, mut command: Command, name: &str, listen: &str, args: &[&str]) -> Node {
        let ready = self.path(&format!("{name}.json"));
        // The file of an earlier run of this node would be believed.
        if ready.exists() {
            fs::remove_file(&ready).expect("the lab's folder can be written");
        }
        command.args(["--listen", listen]).arg("--ready-file").arg(&ready).args(args);
        Node::when_ready(name, self.run(&mut command, name), &ready)
    }

    /// Starts the node that was at `addr` again, as a member of the mesh of `seed`, and waits until it answers messages.
    ///
    /// # Panics
    /// As [`Lab::start`].
    #[must_use]
    pub fn rejoin(&self, name: &str, addr: &str, seed: &Node) -> Node {
        let command = self.node_command(quiet(&binary("mesh-node")), name);
        self.start_command(command, name, addr, &["--join", seed.addr()])
    }

    /// Starts a program of this package that is a client of the lab's mesh: its first two arguments are the address of
    /// `node` and the folder of the client's identity.
    #[must_use]
    pub fn client(&self, program: &str, node: &Node, args: &[&str]) -> Process {
        let mut command = quiet(Path::new(program));
        command.arg(node.addr()).arg(self.state().join("client")).args(args);
        self.run(&mut command, "client")
    }

    /// Starts a node that is expected to end by itself; `args` are all of its arguments.
    #[must_use]
    pub fn attempt(&self, args: &[&str]) -> Process {
        self.run(quiet(&binary("mesh-node")).args(args), "attempt")
    }

    /// A `meshctl` that speaks to `node`.
    #[must_use]
    pub fn ctl<'a>(&'a self, node: &Node) -> Ctl<'a> {
        self.ctl_at(node.addr())
    }

    /// A `meshctl` that speaks to whatever is at `addr`.
    #[must_use]
    pub fn ctl_at<'a>(&'a self, addr: &str) -> Ctl<'a> {
        self.ctl_within(addr, quiet)
    }

    /// A `meshctl` that was not told whom to speak to.
    #[must_use]
    pub fn ctl_anywhere(&self) -> Ctl<'_> {
        Ctl::anywhere(self, Box::new(quiet))
    }

    /// A `meshctl` that runs elsewhere, by a command that `within` makes of the program.
    pub(crate) fn ctl_within<'a>(&'a self, addr: &str, within: impl Fn(&Path) -> Command + 'a) -> Ctl<'a> {
        Ctl::new(self, addr, Box::new(within))
    }

    fn node_command(&self, mut command: Command, name: &str) -> Command {
        command.args(["--name", name, "--lab-actors", "--state"]).arg(self.state());
        command
    }

    pub(crate) fn run(&self, command: &mut Command, log: &str) -> Process {
        let serial = self.logs.fetch_add(1, Ordering::Relaxed);
        // What the caller's shell says about a mesh is not for the lab's.
        let own: Vec<_> = command.get_envs().map(|(key, _)| key.to_owned()).collect();
        let is_foreign = |key: &OsString| key.to_string_lossy().starts_with("MESH_") && !own.contains(key);
        for key in std::env::vars_os().map(|(key, _)| key).filter(is_foreign) {
            command.env_remove(key);
        }
        Process::start(command.current_dir(self.folder()), &self.path(&format!("{serial:03}-{log}")))
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}
