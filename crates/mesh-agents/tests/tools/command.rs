//! Commands, and what they try to get at. Where the kernel cannot confine them, there is no tool, and the tests say so.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_agents::tools::builtin::{CommandLimits, Commands};
use mesh_agents::tools::{Call, HookedTool, ToolError};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::parts::LIMIT;

struct Ground {
    _folder: tempfile::TempDir,
    inside: PathBuf,
    secret: PathBuf,
    tool: HookedTool,
}

async fn ground(limits: CommandLimits) -> Option<Ground> {
    let folder = tempfile::tempdir().unwrap();
    let (inside, secret) = (folder.path().join("inside"), folder.path().join("secret"));
    fs::create_dir(&inside).unwrap();
    fs::write(&secret, "hunter2").unwrap();
    let programs = ["sh", "echo", "cat", "env"].map(str::to_owned);
    match Commands::open(&inside, &programs, limits).await {
        Ok(commands) => {
            let _ = writeln!(std::io::stderr(), "in force: {:?}", commands.in_force());
            let tool = HookedTool::new(commands).unwrap();
            Some(Ground { _folder: folder, inside, secret, tool })
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "skipped: {error}");
            None
        }
    }
}

impl Ground {
    async fn run(&self, program: &str, args: &[&str]) -> Result<Value, ToolError> {
        let args = json!({ "program": program, "args": args });
        self.tool.call(Call::new("run_command", args)).await.result
    }

    async fn sh(&self, script: &str) -> Value {
        self.run("sh", &["-c", script]).await.unwrap()
    }
}

/// Whether a process runs that has this in its command line.
fn runs(what: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(what)
    })
}

async fn eventually(what: &str, ready: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !ready() {
        assert!(Instant::now() < end, "{what} did not come");
        tokio::task::yield_now().await;
    }
}

fn quick() -> CommandLimits {
    CommandLimits { time: Duration::from_secs(10), ..CommandLimits::default() }
}

#[tokio::test]
async fn a_command_runs_without_a_shell_and_says_what_became_of_it() {
    let Some(ground) = ground(quick()).await else { return };
    let said = ground.run("echo", &["$HOME", "; id", "`id`"]).await.unwrap();
    assert_eq!((said["stdout"].as_str(), said["exit_code"].as_i64()), (Some("$HOME ; id `id`\n"), Some(0)));
    let said = ground.sh("echo no >&2; exit 3").await;
    assert_eq!((said["stderr"].as_str(), said["exit_code"].as_i64()), (Some("no\n"), Some(3)));
    let args = json!({"program": "cat", "stdin": "from stdin"});
    let said = ground.tool.call(Call::new("run_command", args)).await.result.unwrap();
    assert_eq!(said["stdout"], "from stdin");
    for program in ["ls", "/bin/sh", "../sh", ""] {
        let error = ground.run(program, &[]).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.may_have_run), ("BAD_ARGUMENTS", false), "{program}");
    }
}

#[tokio::test]
async fn a_command_reads_no_secrets() {
    let Some(ground) = ground(quick()).await else { return };
    let me = std::process::id();
    let secret = ground.secret.display().to_string();
    let environ = format!("/proc/{me}/environ");
    let root = format!("/proc/{me}/root{secret}");
    for path in [secret.as_str(), &environ, &root, "/etc/shadow", "/etc/passwd", "../secret"] {
        let said = ground.run("cat", &[path]).await.unwrap();
        assert_ne!(said["exit_code"], 0, "{path}: {said}");
        assert_eq!(said["stdout"], "", "{path}");
    }
    std::os::unix::fs::symlink(&ground.secret, ground.inside.join("link")).unwrap();
    assert_ne!(ground.run("cat", &["link"]).await.unwrap()["exit_code"], 0);
    let environment = ground.run("env", &[]).await.unwrap();
    let lines = environment["stdout"].as_str().unwrap().lines();
    let names: Vec<_> = lines.filter_map(|line| line.split('=').next()).collect();
    let known = ["HOME", "LANG", "OLDPWD", "PATH", "PWD", "SHLVL", "TMPDIR", "_"];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}

#[tokio::test]
async fn a_command_writes_in_its_folder_alone() {
    let Some(ground) = ground(quick()).await else { return };
    assert_eq!(ground.sh("echo mine > a && cat a").await["stdout"], "mine\n");
    assert_eq!(fs::read_to_string(ground.inside.join("a")).unwrap(), "mine\n");
    for path in [ground.secret.display().to_string(), "../new".to_owned(), "/tmp/mesh-was-here".to_owned()] {
        let said = ground.sh(&format!("echo x > {path}")).await;
        assert_ne!(said["exit_code"], 0, "{path}");
    }
    assert_eq!(fs::read_to_string(&ground.secret).unwrap(), "hunter2");
    assert!(!Path::new("/tmp/mesh-was-here").exists());
}

#[tokio::test]
async fn a_command_opens_no_socket_and_signals_nobody() {
    let Some(ground) = ground(quick()).await else { return };
    let me = std::process::id();
    let said = ground.sh(&format!("kill -0 {me}")).await;
    assert_ne!(said["exit_code"], 0, "the node could be killed: {said}");
    let script = "import socket\nfor f in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):\n  for t in (1, 2):\n    try:\n      socket.socket(f, t); print('opened')\n    except OSError as e: print(e.errno)";
    let said = ground.sh(&format!("python3 -c \"{script}\"")).await;
    if said["exit_code"] == 127 {
        let _ = writeln!(std::io::stderr(), "skipped: there is no python3 to open a socket with");
        return;
    }
    assert_eq!(said["stdout"], "1\n".repeat(6), "{said}");
}

#[tokio::test]
async fn a_command_that_forks_without_end_is_ended() {
    let limits = CommandLimits { processes_max: 32, ..quick() };
    let Some(ground) = ground(limits).await else { return };
    let said = ground.sh("i=0; while [ $i -lt 10000 ]; do sleep 98761 & i=$((i+1)); done; wait").await;
    assert_eq!(said["ended_because"], "it had more processes than it may", "{said}");
    eventually("the end of all of them", || !runs("sleep 98761")).await;
}

#[tokio::test]
async fn a_command_that_fills_the_disk_is_ended() {
    let limits = CommandLimits { disk_bytes: 32 << 20, file_bytes: 1 << 20, ..quick() };
    let Some(ground) = ground(limits).await else { return };
    let said = ground.sh("head -c 3000000 /dev/zero > large; echo $?").await;
    assert!(fs::metadata(ground.inside.join("large")).unwrap().len() <= 1 << 20, "{said}");
    let said = ground
        .sh("i=0; while [ $i -lt 1000 ]; do head -c 1000000 /dev/zero > f$i; i=$((i+1)); done; sleep 98765")
        .await;
    assert_eq!(said["ended_because"], "it filled more of the disk than it may", "{said}");
}

#[tokio::test]
async fn a_command_ends_when_its_time_is_over_and_leaves_nothing_behind() {
    let limits = CommandLimits { time: Duration::from_millis(500), ..CommandLimits::default() };
    let Some(ground) = ground(limits).await else { return };
    let said = ground.sh("setsid sleep 98762 & sleep 98763").await;
    assert_eq!(said["ended_because"], "its time was over", "{said}");
    eventually("the end of both", || !runs("sleep 98762") && !runs("sleep 98763")).await;
}

#[tokio::test]
async fn what_a_command_left_behind_ends_with_it() {
    let Some(ground) = ground(quick()).await else { return };
    let said = ground.sh("setsid sleep 98764 >/dev/null 2>&1 & (sleep 98766 &) ; echo done").await;
    assert_eq!((said["stdout"].as_str(), said["exit_code"].as_i64()), (Some("done\n"), Some(0)));
    eventually("the end of both", || !runs("sleep 98764") && !runs("sleep 98766")).await;
}

#[tokio::test]
async fn a_withdrawn_command_is_killed() {
    let Some(ground) = ground(quick()).await else { return };
    let mut call = Box::pin(ground.sh("sleep 98767"));
    let end = Instant::now() + LIMIT;
    while !runs("sleep 98767") {
        assert!(Instant::now() < end, "it did not start");
        assert!(futures::poll!(&mut call).is_pending());
        tokio::task::yield_now().await;
    }
    drop(call);
    eventually("its end", || !runs("sleep 98767")).await;
}

#[tokio::test]
async fn output_without_end_is_cut() {
    let Some(ground) = ground(quick()).await else { return };
    let said = ground.sh("yes").await;
    assert_eq!((said["stdout"].as_str().unwrap().len(), &said["is_cut"]), (64 << 10, &json!(true)));
    assert_eq!(said["ended_because"], Value::Null, "it has nobody to talk to: {said}");
}
