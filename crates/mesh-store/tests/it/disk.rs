//! Disks that are full, and disks that fail. Where this machine cannot do that to a process, it says so.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::child;
use crate::kills::Told;
use crate::seed::Seed;

fn can(program: &str, arguments: &[&str]) -> Result<(), String> {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    match run {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

#[test]
fn a_full_disk_loses_nothing_and_stops_nothing_for_good() {
    let folder = tempfile::tempdir().unwrap();
    // In a mount namespace of its own, so that nobody else sees the small disk.
    let mount = "mount -t tmpfs -o size=6m,mode=700 none \"$0\" && exec \"$@\"";
    let disk = folder.path().to_str().unwrap();
    let flags = ["-m", "-rm"]
        .into_iter()
        .find(|flags| can("unshare", &[flags, "sh", "-c", mount, disk, "true"]).is_ok());
    let Some(flags) = flags else {
        let reason = can("unshare", &["-rm", "sh", "-c", mount, disk, "true"]).unwrap_err();
        return println!("skipped: no disk of its own: {reason}");
    };
    let under = ["unshare", flags, "sh", "-c", mount, disk];
    let file = folder.path().join("store.db");
    let output = child::command(&under, "fill the disk", &file, 1).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("ack room again"), "{said}");
    assert!(!file.exists(), "it was not on the small disk");
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_acknowledged() {
    if let Err(reason) = can("strace", &["-o", "/dev/null", "-e", "trace=fsync", "true"]) {
        return println!("skipped: no fsync can be made to fail: {reason}");
    }
    let mut seed = Seed::of_the_day();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let mut told = Told::default();
    for life in 1..=6 {
        // The first few are the opening's.
        let nth = if life == 1 { 2 } else { 12 + seed.below(60) };
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}+");
        let under = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject];
        let mut child = child::command(&under, "write until it fails", &file, life).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut failures = Vec::new();
        for line in lines {
            let acknowledged = told.note(&line);
            assert!(!acknowledged || failures.is_empty(), "{line:?} after {failures:?}");
            failures.extend(line.strip_prefix("failed ").map(str::to_owned));
        }
        child.wait().unwrap();
        let (first, later) = failures.split_first().expect("it failed");
        if later.is_empty() {
            assert!(first.starts_with("STORE_IO"), "the opening failed: {first}");
        } else {
            assert_eq!(first, "STORE_IO true", "it may have been written: {failures:?}");
            assert!(later.iter().all(|failure| failure == "STORE_POISONED false"), "{failures:?}");
        }
        told.check(&file).await;
    }
    assert!(told.count() > 20, "{}", told.count());
}
