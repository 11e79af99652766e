//! A process that can reach little: what it is started with, and what the thread that starts it gives up first.
//!
//! Landlock and seccomp bind the thread that asks for them and all that it starts. So a thread of its own asks for them,
//! starts the child, and ends: there is no code of ours between `fork` and `exec`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

/// What programs need to start, and nothing with a secret in it.
const READABLE: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/dev/urandom",
];

const WRITABLE: [&str; 2] = ["/dev/null", "/dev/zero"];

/// The kernel's Landlock of 6.12, with scopes; an older one gives less, and says so.
const LANDLOCK: ABI = ABI::V6;

/// System calls that a command has no business with: any socket, another's memory, the kernel's keys and programs.
const FORBIDDEN: [i64; 11] = [
    libc::SYS_socket,
    libc::SYS_io_uring_setup,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_bpf,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
];

/// How much of a confinement the kernel gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Files {
    Open,
    Partly,
    Fully,
}

/// Whether the kernel can confine files.
pub(super) fn files(folder: &Path) -> Files {
    // A thread of its own, since it stays confined.
    let folder = folder.to_owned();
    let tried = thread::spawn(move || restrict_files(&folder)).join();
    tried.ok().and_then(Result::ok).unwrap_or(Files::Open)
}

/// Starts a command that can write below `folder` alone, and reach no network. Blocks its thread for the time of a `fork`.
pub(super) fn spawn(mut command: Command, folder: PathBuf, runtime: Handle) -> io::Result<Child> {
    let filter = filter()?;
    let thread = thread::Builder::new().name("confined".to_owned()).spawn(move || {
        let _of = runtime.enter();
        restrict_files(&folder).map_err(io::Error::other)?;
        seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
        command.spawn()
    })?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that was to start it panicked")))
}

fn restrict_files(folder: &Path) -> Result<Files, RulesetError> {
    let all = AccessFs::from_all(LANDLOCK);
    let own = all & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock);
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        // Without a rule for any port there is none that may be used.
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, AccessFs::from_read(LANDLOCK)))?
        .add_rules(path_beneath_rules([folder], own))?;
    for path in WRITABLE {
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, device))?;
        }
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Files::Fully,
        RulesetStatus::PartiallyEnforced => Files::Partly,
        RulesetStatus::NotEnforced => Files::Open,
    })
}

fn filter() -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let rules: BTreeMap<_, _> = FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).expect("it is a small number"));
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}
