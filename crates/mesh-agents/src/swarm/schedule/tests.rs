use super::*;

mod random;

fn can(capabilities: &[&str]) -> BTreeSet<String> {
    capabilities.iter().map(ToString::to_string).collect()
}

fn schedule(tasks: Vec<NewTask>) -> Schedule {
    let mut schedule = Schedule::new(ScheduleConfig::default(), 0);
    schedule.submit(0, tasks).unwrap();
    schedule
}

/// What `worker` is given, by name.
fn pull(schedule: &mut Schedule, now_ms: u64, worker: &str) -> Option<String> {
    schedule.pull(now_ms, worker, &can(&[])).map(|assignment| assignment.task)
}

fn finish(schedule: &mut Schedule, now_ms: u64, task: &str, outcome: Outcome) {
    let state = schedule.task(task).unwrap().state;
    let TaskState::Running(assignment) = state else { panic!("{task} is {state:?}") };
    schedule.finish(now_ms, task, assignment.epoch, outcome).unwrap();
}

fn failed(again: bool) -> Outcome {
    Outcome::Failed { reason: "no".to_owned(), again }
}

fn end_of(schedule: &Schedule, task: &str) -> End {
    match schedule.task(task).unwrap().state {
        TaskState::Ended(end) => end,
        state => panic!("{task} is {state:?}"),
    }
}

#[test]
fn the_highest_priority_is_first_and_equal_ones_come_in_their_order() {
    let task = |id: &str, priority| NewTask::new(id).priority(priority);
    let mut schedule = schedule(vec![task("a", 1), task("b", 2), task("c", 1), task("d", 2), task("e", -1)]);
    let order: Vec<_> = (0..5).filter_map(|worker| pull(&mut schedule, 0, &worker.to_string())).collect();
    assert_eq!(order, ["b", "d", "a", "c", "e"]);
}

#[test]
fn a_task_that_waits_grows_more_urgent_than_those_that_come_later() {
    let mut schedule = schedule(vec![NewTask::new("old")]);
    schedule.submit(29_999, vec![NewTask::new("soon").priority(1)]).unwrap();
    schedule.submit(30_001, vec![NewTask::new("late").priority(1)]).unwrap();
    let order: Vec<_> =
        (0..3).filter_map(|worker| pull(&mut schedule, 30_001, &worker.to_string())).collect();
    assert_eq!(order, ["soon", "old", "late"]);
}

#[test]
fn a_blocked_task_is_not_handed_out_and_holds_up_no_other() {
    let mut schedule =
        schedule(vec![NewTask::new("b").priority(9).after("a"), NewTask::new("a"), NewTask::new("c")]);
    assert_eq!(schedule.counts(), Counts { blocked: 1, ready: 2, ..Counts::default() });
    assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "a");
    assert_eq!(pull(&mut schedule, 0, "2").unwrap(), "c");
    assert_eq!(pull(&mut schedule, 0, "3"), None);
    finish(&mut schedule, 1, "a", Outcome::Done);
    assert_eq!(pull(&mut schedule, 1, "3").unwrap(), "b");
}

#[test]
fn capabilities_are_matched_all_of_them() {
    let both = NewTask::new("both").needs("gpu").needs("search").priority(1);
    let mut schedule = schedule(vec![both, NewTask::new("one").needs("gpu"), NewTask::new("none")]);
    let pull = |schedule: &mut Schedule, worker, capabilities| {
        schedule.pull(0, worker, &can(capabilities)).map(|assignment| assignment.task)
    };
    assert_eq!(pull(&mut schedule, "1", &["search"]).unwrap(), "none");
    assert_eq!(pull(&mut schedule, "2", &["search"]), None);
    assert_eq!(pull(&mut schedule, "3", &["gpu"]).unwrap(), "one");
    assert_eq!(pull(&mut schedule, "2", &["gpu", "search", "more"]).unwrap(), "both");
}

#[test]
fn a_worker_never_has_two_tasks() {
    let mut schedule = schedule(vec![NewTask::new("a"), NewTask::new("b")]);
    let first = schedule.pull(0, "1", &can(&[])).unwrap();
    let second = schedule.pull(1, "1", &can(&[])).unwrap();
    assert_eq!((first.task.as_str(), second.task.as_str(), second.attempt), ("a", "a", 2));
    assert_eq!(schedule.counts(), Counts { ready: 1, running: 1, ..Counts::default() });
    assert!(schedule.finish(2, "a", first.epoch, Outcome::Done).is_err());
    schedule.finish(2, "a", second.epoch, Outcome::Done).unwrap();
}

#[test]
fn no_more_workers_are_busy_than_may_be() {
    let tasks = (0..9).map(|number| NewTask::new(number.to_string())).collect();
    let mut schedule = schedule(tasks);
    let busy = (0..9).filter(|worker| pull(&mut schedule, 0, &worker.to_string()).is_some()).count();
    assert_eq!(busy, 5);
    finish(&mut schedule, 1, "0", Outcome::Done);
    assert_eq!(pull(&mut schedule, 1, "8").unwrap(), "5");
}

#[test]
fn a_worker_that_failed_is_given_the_next_task() {
    let mut schedule = schedule(vec![NewTask::new("a"), NewTask::new("b")]);
    assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "a");
    finish(&mut schedule, 1, "a", failed(false));
    assert_eq!(end_of(&schedule, "a"), End::Failed { reason: "no".to_owned() });
    assert_eq!(pull(&mut schedule, 1, "1").unwrap(), "b");
}

#[test]
fn what_may_be_tried_again_is_until_its_attempts_are_used_up() {
    let mut schedule = schedule(vec![NewTask::new("a")]);
    for _ in 0..3 {
        assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "a");
        finish(&mut schedule, 0, "a", failed(true));
    }
    assert_eq!(end_of(&schedule, "a"), End::Failed { reason: "no".to_owned() });
}

#[test]
fn a_task_that_costs_three_workers_their_lives_is_poison_and_one_that_costs_two_is_not() {
    let mut schedule = schedule(vec![NewTask::new("a"), NewTask::new("b")]);
    for worker in ["1", "2", "3"] {
        assert_eq!(pull(&mut schedule, 0, worker).unwrap(), "a");
        schedule.lose(0, worker);
    }
    assert_eq!(end_of(&schedule, "a"), End::Poisoned { attempts: 3 });
    for worker in ["4", "5"] {
        assert_eq!(pull(&mut schedule, 0, worker).unwrap(), "b");
        schedule.lose(0, worker);
    }
    assert_eq!(pull(&mut schedule, 0, "6").unwrap(), "b");
    finish(&mut schedule, 0, "b", Outcome::Done);
    assert!(schedule.is_over());
}

#[test]
fn a_task_goes_back_when_its_lease_is_over_and_keeps_its_place() {
    let mut schedule = schedule(vec![NewTask::new("a"), NewTask::new("b")]);
    let late = schedule.pull(0, "1", &can(&[])).unwrap();
    assert_eq!(schedule.next_expiry_ms(), Some(30_000));
    assert_eq!(schedule.extend(10_000, "a", late.epoch), Ok(40_000));
    schedule.expire(39_999);
    assert_eq!(schedule.counts().running, 1);
    schedule.expire(40_000);
    assert_eq!(schedule.next_expiry_ms(), None);
    assert_eq!(pull(&mut schedule, 40_000, "2").unwrap(), "a");
    let fenced = Fenced { task: "a".to_owned(), epoch: late.epoch };
    assert_eq!(schedule.extend(40_000, "a", late.epoch), Err(fenced.clone()));
    assert_eq!(schedule.finish(40_000, "a", late.epoch, Outcome::Done), Err(fenced));
}

#[test]
fn to_say_twice_that_a_task_is_done_is_to_say_it_once() {
    let mut schedule = schedule(vec![NewTask::new("a"), NewTask::new("b").after("a")]);
    let assignment = schedule.pull(0, "1", &can(&[])).unwrap();
    for _ in 0..2 {
        schedule.finish(1, "a", assignment.epoch, Outcome::Done).unwrap();
    }
    assert_eq!(schedule.counts(), Counts { ready: 1, done: 1, ..Counts::default() });
}

#[test]
fn a_failed_dependency_fails_leaves_out_or_lets_run_as_each_task_wants() {
    let after_a = |id, policy| NewTask::new(id).after("a").on_failed(policy);
    let mut schedule = schedule(vec![
        NewTask::new("a"),
        after_a("fails", OnFailed::Fail),
        after_a("skipped", OnFailed::Skip),
        after_a("runs", OnFailed::Run),
        NewTask::new("behind").after("skipped"),
        NewTask::new("last").after("behind").after("runs").on_failed(OnFailed::Run),
    ]);
    assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "a");
    finish(&mut schedule, 0, "a", failed(false));
    let dependency = || "a".to_owned();
    assert_eq!(end_of(&schedule, "fails"), End::DependencyFailed { dependency: dependency() });
    assert_eq!(end_of(&schedule, "skipped"), End::Skipped { dependency: dependency() });
    assert_eq!(end_of(&schedule, "behind"), End::DependencyFailed { dependency: "skipped".to_owned() });
    assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "runs");
    assert_eq!(pull(&mut schedule, 0, "2"), None);
    finish(&mut schedule, 0, "runs", Outcome::Done);
    assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "last");
    // What comes later finds the failure.
    schedule.submit(1, vec![after_a("late", OnFailed::Fail), NewTask::new("later").after("late")]).unwrap();
    assert_eq!(end_of(&schedule, "later"), End::DependencyFailed { dependency: "late".to_owned() });
}

#[test]
fn a_cancelled_task_is_over_wherever_it_is_and_its_worker_is_refused() {
    let mut schedule = schedule(vec![NewTask::new("a"), NewTask::new("b"), NewTask::new("c").after("a")]);
    let assignment = schedule.pull(0, "1", &can(&[])).unwrap();
    for task in ["a", "b", "a"] {
        assert!(schedule.cancel(0, task));
    }
    assert!(!schedule.cancel(0, "nobody"));
    assert!(schedule.finish(0, "a", assignment.epoch, Outcome::Done).is_err());
    assert_eq!(end_of(&schedule, "a"), End::Cancelled);
    assert_eq!(schedule.counts(), Counts { not_done: 3, ..Counts::default() });
    assert_eq!(pull(&mut schedule, 0, "1"), None);
}

#[test]
fn a_stop_hands_out_nothing_and_waits_for_what_runs() {
    let mut schedule = schedule(vec![NewTask::new("a"), NewTask::new("b")]);
    assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "a");
    schedule.stop();
    assert_eq!(pull(&mut schedule, 0, "2"), None);
    assert!(!schedule.is_idle());
    finish(&mut schedule, 0, "a", Outcome::Done);
    assert!(schedule.is_idle() && !schedule.is_over());
    schedule.resume();
    assert_eq!(pull(&mut schedule, 0, "2").unwrap(), "b");
}

#[test]
fn what_cannot_be_taken_is_refused_as_a_whole() {
    let mut schedule = schedule(vec![NewTask::new("a")]);
    let new = NewTask::new;
    let refused = [
        vec![new("b"), new("a")],
        vec![new("b"), new("b")],
        vec![new("b"), new("c").after("nobody")],
        vec![new("b"), new("c").after("c")],
        vec![new("b"), new("c").after("d"), new("d").after("e").after("b"), new("e").after("c")],
        vec![new("b"), new("")],
    ];
    let errors: Vec<_> =
        refused.into_iter().map(|tasks| schedule.submit(0, tasks).unwrap_err().to_string()).collect();
    assert_eq!(
        errors,
        [
            "there is a task \"a\" already",
            "there is a task \"b\" already",
            "task \"c\" depends on \"nobody\", which is no task of this schedule",
            "tasks wait for one another: c after c",
            "tasks wait for one another: c after d after e after c",
            "a task's id has 1 to 256 bytes, and this one has 0",
        ]
    );
    assert_eq!(schedule.tasks().count(), 1);
    schedule.drain();
    assert_eq!(schedule.submit(0, vec![new("z")]), Err(SubmitError::Draining));
    let full = ScheduleConfig { tasks_max: 1, ..ScheduleConfig::default() };
    let full = Schedule::new(full, 0).submit(0, vec![new("a"), new("b")]);
    assert_eq!(full, Err(SubmitError::TooMany { more: 2, max: 1 }));
}

#[test]
fn a_chain_of_fifty_thousand_fails_at_once_and_without_recursion() {
    let link = |number: u32| match number {
        0 => NewTask::new("0"),
        _ => NewTask::new(number.to_string()).after((number - 1).to_string()),
    };
    let mut schedule = schedule((0..50_000).map(link).collect());
    assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "0");
    finish(&mut schedule, 0, "0", failed(false));
    assert_eq!(schedule.counts(), Counts { not_done: 50_000, ..Counts::default() });
}

#[test]
fn who_takes_over_does_nothing_twice_and_fences_who_was_before() {
    let mut before = schedule(vec![NewTask::new("a"), NewTask::new("b"), NewTask::new("c").after("b")]);
    assert_eq!(pull(&mut before, 0, "1").unwrap(), "a");
    finish(&mut before, 0, "a", Outcome::Done);
    let lost = before.pull(0, "1", &can(&[])).unwrap();
    let facts = before.take_facts();
    let mut after = Schedule::restore(ScheduleConfig::default(), 7, 100, facts);
    assert_eq!(after.counts(), Counts { blocked: 1, ready: 1, done: 1, ..Counts::default() });
    assert!(after.finish(100, "b", lost.epoch, Outcome::Done).is_err());
    let again = after.pull(100, "2", &can(&[])).unwrap();
    assert_eq!((again.task.as_str(), again.attempt), ("b", 2));
    assert!(again.epoch > 7);
    assert!(before.take_facts().is_empty());
}

#[test]
fn poison_is_poison_over_the_deaths_of_coordinators_too() {
    let mut facts = Vec::new();
    let mut schedule = schedule(vec![NewTask::new("a")]);
    for coordinator in 1..=3 {
        assert_eq!(pull(&mut schedule, 0, "1").unwrap(), "a");
        facts.extend(schedule.take_facts());
        schedule = Schedule::restore(ScheduleConfig::default(), coordinator * 100, 0, facts.clone());
    }
    assert_eq!(end_of(&schedule, "a"), End::Poisoned { attempts: 3 });
}

#[test]
fn facts_can_be_written_as_json_and_read_again() {
    let mut schedule = schedule(vec![NewTask::new("a").needs("gpu"), NewTask::new("b").after("a")]);
    let assignment = schedule.pull(0, "1", &can(&["gpu"])).unwrap();
    schedule.finish(1, "a", assignment.epoch, failed(false)).unwrap();
    let facts = schedule.take_facts();
    assert_eq!(facts.len(), 5);
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Fact>>(&text).unwrap(), facts);
}
