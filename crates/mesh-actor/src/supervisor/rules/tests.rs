//! Any tree under any sequence of ends, against a model of OTP's supervisor; and what the model does not have.

mod model;
mod timing;
mod world;

use proptest::prelude::*;

use self::model::Model;
use self::world::World;
use super::Exit;
use crate::spec::Restart;
use crate::strategy::{AutoShutdown, Strategy as Rule};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Worker(usize),
    Supervisor(usize),
}

/// What can be seen of supervisors at work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Start(Name),
    Stop(Name),
    Ended(usize, How),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    GaveUp,
    StartFailed,
    Significant,
}

/// One supervisor's spec.
#[derive(Clone, Debug)]
struct Decl {
    parent: Option<usize>,
    depth: usize,
    strategy: Rule,
    auto_shutdown: AutoShutdown,
    intensity: usize,
    period_ms: u64,
    children: Vec<(Name, Restart, bool)>,
}

impl Decl {
    fn workers(&self) -> Vec<Name> {
        let names = self.children.iter().map(|(name, ..)| *name);
        names.filter(|name| matches!(name, Name::Worker(_))).collect()
    }
}

/// What the children do, in the order in which they are started and stopped.
#[derive(Clone, Debug)]
struct Script {
    fails: Vec<bool>,
    crashes: Vec<Option<usize>>,
    starts: usize,
    meanwhiles: usize,
}

impl Script {
    fn starts(&mut self) -> bool {
        self.starts += 1;
        self.fails.is_empty() || !self.fails[self.starts % self.fails.len()]
    }

    fn meanwhile(&mut self, workers: &[Name]) -> Option<Name> {
        self.meanwhiles += 1;
        let crash = (*self.crashes.get(self.meanwhiles % self.crashes.len().max(1))?)?;
        workers.get(crash % workers.len().max(1)).copied()
    }
}

#[derive(Clone, Debug)]
enum Tree {
    Worker,
    Supervisor {
        strategy: Rule,
        auto_shutdown: AutoShutdown,
        intensity: usize,
        period_ms: u64,
        children: Kids,
    },
}

type Kids = Vec<(Restart, bool, Tree)>;

fn restart() -> impl Strategy<Value = Restart> {
    prop_oneof![3 => Just(Restart::Permanent), 2 => Just(Restart::Transient), 1 => Just(Restart::Temporary)]
}

fn supervisor(children: impl Strategy<Value = Kids>) -> impl Strategy<Value = Tree> {
    let strategy = prop_oneof![Just(Rule::OneForOne), Just(Rule::OneForAll), Just(Rule::RestForOne)];
    let auto = prop_oneof![
        3 => Just(AutoShutdown::Never),
        1 => Just(AutoShutdown::AnySignificant),
        1 => Just(AutoShutdown::AllSignificant)
    ];
    (strategy, auto, 0..7_usize, 1..4_u64, children).prop_map(
        |(strategy, auto_shutdown, intensity, secs, children)| Tree::Supervisor {
            strategy,
            auto_shutdown,
            intensity,
            period_ms: secs * 1000,
            children,
        },
    )
}

fn tree() -> impl Strategy<Value = Tree> {
    let inner = Just(Tree::Worker).prop_recursive(3, 24, 4, |inner| {
        let child = (restart(), any::<bool>(), inner);
        prop_oneof![2 => Just(Tree::Worker), 1 => supervisor(prop::collection::vec(child, 0..4))]
    });
    supervisor(prop::collection::vec((restart(), any::<bool>(), inner), 1..6))
}

fn script() -> impl Strategy<Value = Script> {
    let fails = prop::collection::vec(prop::bool::weighted(0.2), 0..12);
    let crashes = prop::collection::vec(prop::option::weighted(0.3, 0..8_usize), 0..12);
    (fails, crashes).prop_map(|(fails, crashes)| Script { fails, crashes, starts: 0, meanwhiles: 0 })
}

#[derive(Clone, Debug)]
enum Blow {
    Crash(usize),
    Exit(usize),
    Add(usize, Restart),
}

fn blow() -> impl Strategy<Value = (u64, Blow)> {
    let blow = prop_oneof![
        6 => any::<usize>().prop_map(Blow::Crash),
        2 => any::<usize>().prop_map(Blow::Exit),
        1 => (any::<usize>(), restart()).prop_map(|(of, restart)| Blow::Add(of, restart)),
    ];
    // Often a whole number of periods, whose end is where mistakes are.
    (prop_oneof![3 => Just(0_u64), 2 => (1..5_u64).prop_map(|half| half * 500)], blow)
}

/// Gives each part of a tree its number.
fn number(tree: &Tree, parent: Option<usize>, depth: usize, decls: &mut Vec<Decl>, workers: &mut Vec<usize>) {
    let Tree::Supervisor { strategy, auto_shutdown, intensity, period_ms, children } = tree else { return };
    let me = decls.len();
    let (strategy, auto_shutdown) = (*strategy, *auto_shutdown);
    let (intensity, period_ms) = (*intensity, *period_ms);
    decls.push(Decl { parent, depth, strategy, auto_shutdown, intensity, period_ms, children: Vec::new() });
    for (restart, is_significant, child) in children {
        let name = match child {
            Tree::Worker => {
                workers.push(me);
                Name::Worker(workers.len() - 1)
            }
            Tree::Supervisor { .. } => Name::Supervisor(decls.len()),
        };
        decls[me].children.push((name, *restart, *is_significant));
        number(child, Some(me), depth + 1, decls, workers);
    }
}

proptest! {
    /// The same starts, stops, restarts and escalations, in the same order.
    #[test]
    fn any_tree_under_any_crashes_does_what_otps_would(
        tree in tree(),
        script in script(),
        blows in prop::collection::vec(blow(), 0..25),
    ) {
        let (mut decls, mut owner_of) = (Vec::new(), Vec::new());
        number(&tree, None, 0, &mut decls, &mut owner_of);
        let (mut ours, mut otps) = (World::new(&decls, script.clone()), Model::new(&decls, script));
        ours.begin();
        otps.begin();
        for (ms, blow) in blows {
            ours.pass(ms);
            otps.pass(ms);
            match blow {
                Blow::Crash(of) | Blow::Exit(of) if !owner_of.is_empty() => {
                    let worker = of % owner_of.len();
                    let exit = if matches!(blow, Blow::Crash(_)) { Exit::Crashed } else { Exit::Normal };
                    ours.exit(Name::Worker(worker), owner_of[worker], exit);
                    otps.exit(Name::Worker(worker), owner_of[worker], exit);
                }
                Blow::Crash(_) | Blow::Exit(_) => {}
                Blow::Add(of, restart) => {
                    let of = of % decls.len();
                    let name = Name::Worker(owner_of.len());
                    owner_of.push(of);
                    ours.add(of, name, restart);
                    otps.add(of, name, restart);
                }
            }
            prop_assert_eq!(&ours.log, &otps.log);
            ours.check();
            for of in 0..decls.len() {
                prop_assert_eq!(ours.is_alive(Name::Supervisor(of)), otps.is_alive(Name::Supervisor(of)));
                prop_assert_eq!(ours.children(of), otps.children(of));
            }
        }
        ours.shutdown();
        otps.shutdown();
        prop_assert_eq!(&ours.log, &otps.log);
    }
}
