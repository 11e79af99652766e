//! OTP's supervisor after its documentation and `supervisor.erl`: each call does what it says to its end, and what
//! happens meanwhile waits in the mailbox of the supervisor.

use std::collections::{BTreeSet, VecDeque};

use super::{Decl, How, Name, Script, Step};
use crate::spec::Restart;
use crate::strategy::{AutoShutdown, Strategy};
use crate::supervisor::rules::Exit;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pid {
    Undefined,
    Restarting,
    Alive,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    name: Name,
    restart: Restart,
    is_significant: bool,
    pid: Pid,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mail {
    Exit(Name, Exit),
    TryAgain(Name),
}

#[derive(Debug)]
struct Supervisor {
    decl: Decl,
    children: Vec<Child>,
    restarts: Vec<u64>,
    mailbox: VecDeque<Mail>,
}

pub(super) struct Model {
    supervisors: Vec<Supervisor>,
    alive: BTreeSet<Name>,
    script: Script,
    now_ms: u64,
    pub(super) log: Vec<Step>,
}

impl Model {
    pub(super) fn new(decls: &[Decl], script: Script) -> Self {
        let supervisor = |decl: &Decl| Supervisor {
            decl: decl.clone(),
            children: Vec::new(),
            restarts: Vec::new(),
            mailbox: VecDeque::new(),
        };
        let supervisors = decls.iter().map(supervisor).collect();
        Self { supervisors, alive: BTreeSet::new(), script, now_ms: 0, log: Vec::new() }
    }

    pub(super) fn is_alive(&self, name: Name) -> bool {
        self.alive.contains(&name)
    }

    pub(super) fn children(&self, of: usize) -> Vec<Name> {
        if !self.is_alive(Name::Supervisor(of)) {
            return Vec::new();
        }
        self.supervisors[of].children.iter().map(|child| child.name).collect()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    pub(super) fn begin(&mut self) {
        self.init(0);
    }

    pub(super) fn shutdown(&mut self) {
        if self.is_alive(Name::Supervisor(0)) {
            self.end(0);
        }
    }

    /// A worker ends by itself.
    pub(super) fn exit(&mut self, name: Name, of: usize, exit: Exit) {
        if self.alive.remove(&name) {
            self.supervisors[of].mailbox.push_back(Mail::Exit(name, exit));
            self.come_to_rest(of);
        }
    }

    /// `supervisor:start_child/2`.
    pub(super) fn add(&mut self, of: usize, name: Name, restart: Restart) {
        if !self.is_alive(Name::Supervisor(of)) {
            return;
        }
        if self.start(of, name) {
            let child = Child { name, restart, is_significant: false, pid: Pid::Alive };
            self.supervisors[of].children.push(child);
        }
        self.come_to_rest(of);
    }

    fn come_to_rest(&mut self, of: usize) {
        self.work(of);
        let mut above = self.supervisors[of].decl.parent;
        while let Some(supervisor) = above {
            self.work(supervisor);
            above = self.supervisors[supervisor].decl.parent;
        }
    }

    /// Handles what is in the mailbox.
    fn work(&mut self, of: usize) {
        while self.is_alive(Name::Supervisor(of)) {
            let Some(mail) = self.supervisors[of].mailbox.pop_front() else { return };
            match mail {
                Mail::Exit(name, exit) => self.do_restart(of, name, exit),
                Mail::TryAgain(name) if self.pid(of, name) == Some(Pid::Restarting) => self.restart(of, name),
                Mail::TryAgain(_) => {}
            }
        }
    }

    fn init(&mut self, of: usize) -> bool {
        let supervisor = &mut self.supervisors[of];
        supervisor.mailbox.clear();
        supervisor.restarts.clear();
        let child = |(name, restart, is_significant): &(Name, Restart, bool)| Child {
            name: *name,
            restart: *restart,
            is_significant: *is_significant,
            pid: Pid::Undefined,
        };
        supervisor.children = supervisor.decl.children.iter().map(child).collect();
        let all: Vec<Name> = supervisor.children.iter().map(|child| child.name).collect();
        self.alive.insert(Name::Supervisor(of));
        if self.start_children(of, &all).is_err() {
            self.end(of);
            self.log.push(Step::Ended(of, How::StartFailed));
            return false;
        }
        self.work(of);
        true
    }

    fn start_children(&mut self, of: usize, names: &[Name]) -> Result<(), Name> {
        for name in names {
            if !self.start(of, *name) {
                return Err(*name);
            }
            self.set(of, *name, Pid::Alive);
        }
        Ok(())
    }

    fn start(&mut self, of: usize, name: Name) -> bool {
        self.log.push(Step::Start(name));
        let Name::Worker(_) = name else { return self.init(index(name)) };
        let starts = self.script.starts();
        self.meanwhile(of, name);
        if starts {
            self.alive.insert(name);
        }
        starts
    }

    /// Another worker of the same supervisor crashes while this one starts or stops.
    fn meanwhile(&mut self, of: usize, name: Name) {
        let workers: Vec<Name> = self.supervisors[of].decl.workers();
        if let Some(other) = self.script.meanwhile(&workers)
            && other != name
            && self.alive.remove(&other)
        {
            self.supervisors[of].mailbox.push_back(Mail::Exit(other, Exit::Crashed));
        }
    }

    fn do_restart(&mut self, of: usize, name: Name, exit: Exit) {
        let Some(child) = self.supervisors[of].children.iter().find(|child| child.name == name).copied()
        else {
            return;
        };
        match (child.restart, exit) {
            (Restart::Permanent, _) | (Restart::Transient, Exit::Crashed | Exit::Hopeless) => {
                self.restart(of, name)
            }
            (Restart::Transient | Restart::Temporary, _) => {
                self.delete(of, name);
                if child.is_significant && self.shuts_down(of) {
                    self.end(of);
                    self.tell_parent(of, How::Significant);
                }
            }
        }
    }

    fn shuts_down(&self, of: usize) -> bool {
        let supervisor = &self.supervisors[of];
        match supervisor.decl.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => {
                !supervisor.children.iter().any(|child| child.is_significant && child.pid != Pid::Undefined)
            }
        }
    }

    fn restart(&mut self, of: usize, name: Name) {
        let now_ms = self.now_ms;
        let supervisor = &mut self.supervisors[of];
        let period_ms = supervisor.decl.period_ms;
        supervisor.restarts.retain(|at| at + period_ms >= now_ms);
        supervisor.restarts.push(now_ms);
        if supervisor.restarts.len() > supervisor.decl.intensity {
            self.delete(of, name);
            self.end(of);
            return self.tell_parent(of, How::GaveUp);
        }
        let at = supervisor.children.iter().position(|child| child.name == name).expect("it is a child");
        let group = match supervisor.decl.strategy {
            Strategy::OneForAll => 0..,
            Strategy::RestForOne => at..,
            Strategy::OneForOne | Strategy::SimpleOneForOne => {
                let starts = self.start(of, name);
                self.set(of, name, if starts { Pid::Alive } else { Pid::Restarting });
                if !starts {
                    self.supervisors[of].mailbox.push_back(Mail::TryAgain(name));
                }
                return;
            }
        };
        self.set(of, name, Pid::Undefined);
        let names: Vec<Name> = self.supervisors[of].children[group].iter().map(|child| child.name).collect();
        let left = self.terminate_children(of, &names);
        if let Err(failed) = self.start_children(of, &left) {
            self.set(of, failed, Pid::Restarting);
            self.supervisors[of].mailbox.push_back(Mail::TryAgain(failed));
        }
    }

    /// Terminates in reverse; gives those that are not temporary, in their order.
    fn terminate_children(&mut self, of: usize, names: &[Name]) -> Vec<Name> {
        let mut left = VecDeque::new();
        for name in names.iter().rev() {
            self.terminate(of, *name);
            let children = &mut self.supervisors[of].children;
            let at = children.iter().position(|child| child.name == *name).expect("it is a child");
            if children[at].restart == Restart::Temporary {
                children.remove(at);
            } else {
                children[at].pid = Pid::Undefined;
                left.push_front(*name);
            }
        }
        left.into()
    }

    fn terminate(&mut self, of: usize, name: Name) {
        if self.pid(of, name) != Some(Pid::Alive) {
            return;
        }
        if self.is_alive(name) {
            self.log.push(Step::Stop(name));
            match name {
                Name::Worker(_) => {
                    self.meanwhile(of, name);
                    self.alive.remove(&name);
                }
                Name::Supervisor(inner) => self.end(inner),
            }
        }
        self.supervisors[of].mailbox.retain(|mail| !matches!(mail, Mail::Exit(who, _) if *who == name));
    }

    fn end(&mut self, of: usize) {
        let names: Vec<Name> = self.supervisors[of].children.iter().map(|child| child.name).collect();
        self.terminate_children(of, &names);
        self.alive.remove(&Name::Supervisor(of));
    }

    fn tell_parent(&mut self, of: usize, how: How) {
        self.log.push(Step::Ended(of, how));
        if let Some(parent) = self.supervisors[of].decl.parent {
            self.supervisors[parent].mailbox.push_back(Mail::Exit(Name::Supervisor(of), Exit::Shutdown));
        }
    }

    fn delete(&mut self, of: usize, name: Name) {
        self.set(of, name, Pid::Undefined);
        let is_left = |child: &Child| child.name != name || child.restart != Restart::Temporary;
        self.supervisors[of].children.retain(is_left);
    }

    fn pid(&self, of: usize, name: Name) -> Option<Pid> {
        self.supervisors[of].children.iter().find(|child| child.name == name).map(|child| child.pid)
    }

    fn set(&mut self, of: usize, name: Name, pid: Pid) {
        if let Some(child) = self.supervisors[of].children.iter_mut().find(|child| child.name == name) {
            child.pid = pid;
        }
    }
}

fn index(name: Name) -> usize {
    match name {
        Name::Worker(index) | Name::Supervisor(index) => index,
    }
}
