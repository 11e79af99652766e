//! Random swarms, held to a model that looks at every task each time.

use super::*;

const SEEDS: u64 = 300;

fn seeds() -> u64 {
    std::env::var("MESH_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

/// Tasks that depend on earlier ones, at random.
fn tasks(rng: &mut fastrand::Rng, first: usize, count: usize) -> Vec<NewTask> {
    let policy = |rng: &mut fastrand::Rng| [OnFailed::Fail, OnFailed::Skip, OnFailed::Run][rng.usize(..3)];
    let one = |number: usize, rng: &mut fastrand::Rng| {
        let mut task = NewTask::new(number.to_string()).priority(rng.i32(-2..3)).on_failed(policy(rng));
        for _ in 0..rng.usize(..4) {
            if number > 0 {
                task = task.after(rng.usize(..number).to_string());
            }
        }
        for capability in ["gpu", "search"] {
            if rng.u8(..4) == 0 {
                task = task.needs(capability);
            }
        }
        task
    };
    let mut tasks: Vec<_> = (first..first + count).map(|number| one(number, rng)).collect();
    rng.shuffle(&mut tasks);
    tasks
}

/// What is known of a swarm beside the schedule.
struct Model {
    schedule: Schedule,
    facts: Vec<Fact>,
    /// When each was first seen to be ready, and in which order.
    ready: BTreeMap<String, (u64, usize)>,
    seed: u64,
}

impl Model {
    /// What a worker is to be given: found by a look at all.
    fn expected(&self, capabilities: &BTreeSet<String>) -> Option<String> {
        let ready = self.schedule.tasks().filter(|task| task.state == TaskState::Ready);
        let fitting = ready.filter(|task| task.spec.capabilities.is_subset(capabilities));
        let urgency = |task: &TaskView<'_>| {
            let (since, order) = self.ready[&task.spec.id];
            (i64::try_from(since).unwrap() - i64::from(task.spec.priority) * 30_000, order)
        };
        fitting.min_by_key(urgency).map(|task| task.spec.id.clone())
    }

    /// Looks at every task; `now_ms` is when what is new is ready.
    fn look(&mut self, now_ms: u64) {
        self.facts.extend(self.schedule.take_facts());
        let mut counts = Counts::default();
        let mut workers = BTreeSet::new();
        let mut arrived: Vec<(u64, String)> = Vec::new();
        for (number, task) in self.schedule.tasks.iter().enumerate() {
            let view = task.view();
            let ends = view.spec.dependencies.iter().map(|id| self.schedule.task(id).unwrap().state);
            let ends: Vec<_> = ends.collect();
            let is_free = ends.iter().all(|state| matches!(state, TaskState::Ended(_)));
            let is_done = ends.iter().all(|state| *state == TaskState::Ended(End::Done));
            match &view.state {
                TaskState::Blocked(waits) => {
                    assert!(*waits > 0 && !is_free, "seed {}: {view:?}", self.seed);
                    counts.blocked += 1;
                }
                TaskState::Ready => {
                    assert!(
                        is_done || is_free && view.spec.on_failed == OnFailed::Run,
                        "seed {}: {view:?}",
                        self.seed
                    );
                    arrived.push((task.urgency.unwrap().1, view.spec.id.clone()));
                    counts.ready += 1;
                }
                TaskState::Running(assignment) => {
                    assert!(
                        workers.insert(assignment.worker.clone()),
                        "seed {}: two tasks: {view:?}",
                        self.seed
                    );
                    assert_eq!(self.schedule.running[&assignment.worker], number);
                    counts.running += 1;
                }
                TaskState::Ended(End::Done) => counts.done += 1,
                TaskState::Ended(_) => counts.not_done += 1,
            }
        }
        assert_eq!(self.schedule.counts(), counts, "seed {}", self.seed);
        assert!(workers.len() <= 5 && workers.len() == self.schedule.leases.len(), "seed {}", self.seed);
        arrived.sort();
        for (_, id) in arrived {
            let order = self.ready.len();
            self.ready.entry(id).or_insert((now_ms, order));
        }
    }
}

fn swarm(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let rng = &mut rng;
    let schedule = Schedule::new(ScheduleConfig::default(), 0);
    let mut model = Model { schedule, facts: Vec::new(), ready: BTreeMap::new(), seed };
    let (mut now_ms, mut submitted, mut done) = (0, 0, BTreeMap::new());
    let everything = can(&["gpu", "search"]);
    for step in 0.. {
        assert!(step < 20_000, "seed {seed}: it does not end");
        let worker = rng.u8(..8).to_string();
        let held = model.schedule.running.get(&worker).map(|task| model.schedule.tasks[*task].view().state);
        match rng.u8(..12) {
            0 if submitted < 60 => {
                let new = tasks(rng, submitted, 10);
                submitted += 10;
                model.schedule.submit(now_ms, new).unwrap();
            }
            1 => now_ms += rng.u64(..40_000),
            2 => model.schedule.expire(now_ms),
            3 if rng.u8(..4) == 0 => model.schedule.lose(now_ms, &worker),
            4..=7 if held.is_none() => {
                let capabilities = if rng.bool() { everything.clone() } else { can(&["search"]) };
                let is_full = model.schedule.running.len() == 5;
                let expected = if is_full { None } else { model.expected(&capabilities) };
                let given =
                    model.schedule.pull(now_ms, &worker, &capabilities).map(|assignment| assignment.task);
                assert_eq!(given, expected, "seed {seed}, step {step}");
            }
            _ => {
                if let Some(TaskState::Running(held)) = held {
                    let failure = Outcome::Failed { reason: "no".to_owned(), again: rng.bool() };
                    let outcome = if rng.u8(..5) == 0 { failure } else { Outcome::Done };
                    model.schedule.finish(now_ms, &held.task, held.epoch, outcome.clone()).unwrap();
                    if outcome == Outcome::Done {
                        assert!(
                            done.insert(held.task.clone(), held.epoch).is_none(),
                            "seed {seed}: twice {held:?}"
                        );
                    }
                }
            }
        }
        model.look(now_ms);
        if submitted == 60 && model.schedule.is_over() {
            break;
        }
        if rng.u8(..60) == 0 {
            // Another takes over, and finds what was written down.
            let epoch = model.schedule.epoch + 10;
            model.schedule = Schedule::restore(ScheduleConfig::default(), epoch, now_ms, model.facts.clone());
            model.ready.clear();
            model.look(now_ms);
        }
    }
    let ended = model.schedule.tasks().filter(|task| task.state == TaskState::Ended(End::Done));
    assert_eq!(ended.count(), done.len(), "seed {seed}");
}

#[test]
fn random_swarms_are_shared_out_as_a_look_at_every_task_would_and_nothing_is_done_twice() {
    (0..seeds()).for_each(swarm);
}

#[test]
fn who_goes_on_from_the_beginning_of_the_facts_does_nothing_twice_that_stands_in_it() {
    for seed in 0..seeds() / 10 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut schedule = Schedule::new(ScheduleConfig::default(), 0);
        schedule.submit(0, tasks(&mut rng, 0, 40)).unwrap();
        let capabilities = can(&["gpu", "search"]);
        while let Some(assignment) = schedule.pull(0, "1", &capabilities) {
            let outcome = if rng.u8(..4) == 0 { failed(rng.bool()) } else { Outcome::Done };
            schedule.finish(0, &assignment.task, assignment.epoch, outcome).unwrap();
        }
        let facts = schedule.take_facts();
        for kept in 0..=facts.len() {
            let mut next = Schedule::restore(ScheduleConfig::default(), 1_000, 0, facts[..kept].to_vec());
            let ended = facts[..kept].iter().filter_map(|fact| match fact {
                Fact::Ended { task, .. } => Some(task.clone()),
                _ => None,
            });
            let ended: BTreeSet<_> = ended.collect();
            while let Some(assignment) = next.pull(0, "1", &capabilities) {
                assert!(!ended.contains(&assignment.task), "seed {seed}, {kept} facts: {assignment:?} again");
                next.finish(0, &assignment.task, assignment.epoch, Outcome::Done).unwrap();
            }
            assert!(next.is_over(), "seed {seed}, {kept} facts");
        }
    }
}
