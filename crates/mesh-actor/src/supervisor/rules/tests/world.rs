//! The rules under test with children that only note what is done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{Decl, How, Name, Script, Step};
use crate::spec::Restart;
use crate::strategy::{Shutdown, Strategy};
use crate::supervisor::restarts::Pace;
use crate::supervisor::rules::{Action, End, Event, Exit, Flags, Place, RowSpec, Rules, State};

pub(super) struct World {
    supervisors: Vec<(Decl, Rules, BTreeMap<Place, Name>)>,
    alive: BTreeSet<Name>,
    script: Script,
    now: Instant,
    /// What is to be done: the deepest supervisor's first, as OTP's would be done before their parent goes on.
    queue: BTreeMap<(usize, u64), (usize, Action)>,
    queued: u64,
    pub(super) log: Vec<Step>,
}

impl World {
    pub(super) fn new(decls: &[Decl], script: Script) -> Self {
        let now = Instant::now();
        let supervisor = |decl: &Decl| {
            let spec = |(_, restart, is_significant): &(Name, Restart, bool)| row(*restart, *is_significant);
            let specs = decl.children.iter().map(spec).collect();
            let rules = Rules::new(flags(decl), specs, fastrand::Rng::with_seed(0), now);
            let names = decl.children.iter().map(|(name, ..)| *name);
            (decl.clone(), rules, (0..).zip(names).collect())
        };
        Self {
            supervisors: decls.iter().map(supervisor).collect(),
            alive: BTreeSet::new(),
            script,
            now,
            queue: BTreeMap::new(),
            queued: 0,
            log: Vec::new(),
        }
    }

    pub(super) fn is_alive(&self, name: Name) -> bool {
        match name {
            Name::Worker(_) => self.alive.contains(&name),
            Name::Supervisor(index) => !self.supervisors[index].1.is_over(),
        }
    }

    pub(super) fn children(&self, of: usize) -> Vec<Name> {
        let (_, rules, names) = &self.supervisors[of];
        if rules.is_over() {
            return Vec::new();
        }
        names.iter().filter(|(place, _)| rules.state(**place).is_some()).map(|(_, name)| *name).collect()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    pub(super) fn begin(&mut self) {
        self.tell(0, Event::Begin);
        self.work();
    }

    pub(super) fn shutdown(&mut self) {
        self.tell(0, Event::Shutdown);
        self.work();
    }

    pub(super) fn exit(&mut self, name: Name, of: usize, exit: Exit) {
        if self.alive.remove(&name) {
            self.tell(of, Event::Ended(self.place(of, name), exit));
            self.work();
        }
    }

    pub(super) fn add(&mut self, of: usize, name: Name, restart: Restart) {
        let (_, rules, names) = &mut self.supervisors[of];
        if rules.is_over() {
            return;
        }
        let place = names.keys().next_back().map_or(0, |last| last + 1);
        names.insert(place, name);
        self.tell(of, Event::Add(place, row(restart, false)));
        self.work();
    }

    fn place(&self, of: usize, name: Name) -> Place {
        let (_, _, names) = &self.supervisors[of];
        *names.iter().find(|(_, known)| **known == name).expect("it is a child").0
    }

    fn tell(&mut self, of: usize, event: Event) {
        let depth = self.supervisors[of].0.depth;
        for action in self.supervisors[of].1.on(event, self.now) {
            let is_parents = matches!(action, Action::Ready | Action::Over(_));
            // What a supervisor says to its parent is the parent's to do.
            let urgency = usize::MAX - 1 - depth + usize::from(is_parents);
            self.queued += 1;
            self.queue.insert((urgency, self.queued), (of, action));
        }
    }

    fn work(&mut self) {
        while let Some((_, (of, action))) = self.queue.pop_first() {
            self.act(of, action);
        }
    }

    fn act(&mut self, of: usize, action: Action) {
        let name = |place: Place| self.supervisors[of].2[&place];
        match action {
            Action::Start(place) => self.start(of, place, name(place)),
            Action::Stop(place) => self.stop(of, place, name(place)),
            Action::Ready => self.tell_parent(of, Event::Started),
            Action::Over(end) => {
                match end {
                    End::Asked => {}
                    End::GaveUp => self.log.push(Step::Ended(of, How::GaveUp)),
                    End::StartFailed => self.log.push(Step::Ended(of, How::StartFailed)),
                    End::Significant => self.log.push(Step::Ended(of, How::Significant)),
                }
                self.tell_parent(of, |place| Event::Ended(place, Exit::Shutdown));
            }
            Action::Kill(_) | Action::Wait(..) => panic!("there are no timers here: {action:?}"),
            Action::Rest(_) | Action::Remove(_) | Action::Restarting(_) => {}
        }
    }

    fn start(&mut self, of: usize, place: Place, name: Name) {
        self.log.push(Step::Start(name));
        if let Name::Supervisor(inner) = name {
            return self.tell(inner, Event::Begin);
        }
        let starts = self.script.starts();
        self.meanwhile(of, name);
        if !starts {
            return self.tell(of, Event::Ended(place, Exit::Crashed));
        }
        self.alive.insert(name);
        self.tell(of, Event::Started(place));
    }

    fn stop(&mut self, of: usize, place: Place, name: Name) {
        if !self.is_alive(name) {
            // That it has ended by itself is about to be told.
            return;
        }
        self.log.push(Step::Stop(name));
        if let Name::Supervisor(inner) = name {
            return self.tell(inner, Event::Shutdown);
        }
        self.meanwhile(of, name);
        self.alive.remove(&name);
        self.tell(of, Event::Ended(place, Exit::Shutdown));
    }

    fn meanwhile(&mut self, of: usize, name: Name) {
        let workers = self.supervisors[of].0.workers();
        if let Some(other) = self.script.meanwhile(&workers)
            && other != name
            && self.alive.remove(&other)
        {
            self.tell(of, Event::Ended(self.place(of, other), Exit::Crashed));
        }
    }

    fn tell_parent(&mut self, of: usize, event: impl FnOnce(Place) -> Event) {
        if let Some(parent) = self.supervisors[of].0.parent {
            let place = self.place(parent, Name::Supervisor(of));
            self.tell(parent, event(place));
        }
    }

    /// What each of the rules holds of its children, and what is true of them.
    pub(super) fn check(&self) {
        for (_, rules, names) in &self.supervisors {
            for (place, name) in names {
                let is_live = rules.state(*place) == Some(State::Live);
                assert!(rules.is_over() || is_live == self.is_alive(*name), "{name:?}: {rules:?}");
            }
        }
    }
}

pub(super) fn row(restart: Restart, is_significant: bool) -> RowSpec {
    RowSpec { restart, shutdown: Shutdown::Infinity, is_significant }
}

fn flags(decl: &Decl) -> Flags {
    let pace = Pace {
        restarts_max: u32::try_from(decl.intensity).expect("it is small"),
        period: Duration::from_millis(decl.period_ms),
        backoff_first: Duration::ZERO,
        backoff_max: Duration::ZERO,
    };
    assert!(decl.strategy != Strategy::SimpleOneForOne, "its children stop all at once");
    Flags { strategy: decl.strategy, pace, auto_shutdown: decl.auto_shutdown }
}
