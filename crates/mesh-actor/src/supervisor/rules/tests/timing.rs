//! Timers: pauses before restarts, limits of stops; and children that stop all at once.

use std::time::Duration;

use tokio::time::Instant;

use crate::spec::Restart;
use crate::strategy::{AutoShutdown, Shutdown, Strategy};
use crate::supervisor::restarts::Pace;
use crate::supervisor::rules::{Action, End, Event, Exit, Flags, RowSpec, Rules, State};

const LIMIT: Duration = Duration::from_secs(5);

fn spec(shutdown: Shutdown) -> RowSpec {
    RowSpec { restart: Restart::Permanent, shutdown, is_significant: false }
}

/// A supervisor whose children have all started.
fn rules(strategy: Strategy, shutdowns: &[Shutdown]) -> Rules {
    let flags = Flags { strategy, pace: Pace::default(), auto_shutdown: AutoShutdown::Never };
    let specs = shutdowns.iter().copied().map(spec).collect();
    let mut rules = Rules::new(flags, specs, fastrand::Rng::with_seed(7), Instant::now());
    rules.on(Event::Begin, Instant::now());
    for place in 0..u32::try_from(shutdowns.len()).unwrap() {
        rules.on(Event::Started(place), Instant::now());
    }
    rules
}

#[test]
fn a_child_that_does_not_stop_in_time_is_killed_before_the_next_is_stopped() {
    let mut rules =
        rules(Strategy::OneForAll, &[Shutdown::Infinity, Shutdown::Within(LIMIT), Shutdown::Kill]);
    let now = Instant::now();
    assert_eq!(rules.on(Event::Shutdown, now), [Action::Kill(2)]);
    assert_eq!(rules.on(Event::Ended(2, Exit::Crashed), now), [Action::Stop(1), Action::Wait(1, LIMIT)]);
    assert_eq!(rules.on(Event::Due(1), now), [Action::Kill(1)]);
    assert_eq!(rules.on(Event::Ended(1, Exit::Crashed), now), [Action::Stop(0)]);
    assert_eq!(rules.on(Event::Due(1), now), []);
    assert_eq!(rules.on(Event::Ended(0, Exit::Normal), now), [Action::Over(End::Asked)]);
    assert!(rules.is_over());
}

#[test]
fn a_second_restart_waits_and_nobody_else_waits_with_it_under_one_for_one() {
    let mut rules = rules(Strategy::OneForOne, &[Shutdown::Infinity, Shutdown::Infinity]);
    let now = Instant::now();
    assert_eq!(rules.on(Event::Ended(0, Exit::Crashed), now), [Action::Restarting(0), Action::Start(0)]);
    rules.on(Event::Started(0), now);
    let actions = rules.on(Event::Ended(0, Exit::Crashed), now);
    let [Action::Restarting(0), Action::Wait(token, pause)] = actions[..] else { panic!("{actions:?}") };
    assert!(pause >= Duration::from_millis(25) && pause <= Duration::from_millis(50), "{pause:?}");
    assert_eq!(rules.state(1), Some(State::Live));
    assert_eq!(rules.on(Event::Due(token + 1), now), []);
    assert_eq!(rules.on(Event::Due(token), now), [Action::Start(0)]);
    assert_eq!(rules.on(Event::Due(token), now), []);
}

#[test]
fn a_group_stops_at_once_and_starts_after_the_pause() {
    let mut rules =
        rules(Strategy::RestForOne, &[Shutdown::Infinity, Shutdown::Infinity, Shutdown::Infinity]);
    let now = Instant::now();
    rules.on(Event::Ended(2, Exit::Crashed), now);
    rules.on(Event::Started(2), now);
    assert_eq!(rules.on(Event::Ended(1, Exit::Crashed), now), [Action::Restarting(1), Action::Stop(2)]);
    let actions = rules.on(Event::Ended(2, Exit::Shutdown), now);
    let [Action::Wait(token, _)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(rules.on(Event::Due(token), now), [Action::Start(1)]);
    assert_eq!(rules.on(Event::Started(1), now), [Action::Start(2)]);
}

#[test]
fn a_pause_ends_when_an_earlier_child_takes_the_group_along() {
    let mut rules = rules(Strategy::RestForOne, &[Shutdown::Infinity, Shutdown::Infinity]);
    let now = Instant::now();
    rules.on(Event::Ended(1, Exit::Crashed), now);
    rules.on(Event::Started(1), now);
    let actions = rules.on(Event::Ended(1, Exit::Crashed), now);
    let [Action::Restarting(1), Action::Wait(first, _)] = actions[..] else { panic!("{actions:?}") };
    let actions = rules.on(Event::Ended(0, Exit::Crashed), now);
    let [Action::Restarting(0), Action::Wait(second, _)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(rules.on(Event::Due(first), now), []);
    assert_eq!(rules.on(Event::Due(second), now), [Action::Start(0)]);
    assert_eq!(rules.on(Event::Started(0), now), [Action::Start(1)]);
}

#[test]
fn one_that_somebody_ends_for_good_is_forgotten_and_the_rest_goes_on() {
    let mut rules = rules(Strategy::OneForAll, &[Shutdown::Infinity, Shutdown::Infinity]);
    let now = Instant::now();
    assert_eq!(rules.on(Event::Gone(0), now), [Action::Remove(0)]);
    assert_eq!(rules.on(Event::Ended(1, Exit::Crashed), now), [Action::Restarting(1), Action::Start(1)]);
}

#[test]
fn those_who_wait_for_one_that_is_gone_by_then_are_started_nevertheless() {
    let mut rules = rules(Strategy::OneForAll, &[Shutdown::Infinity, Shutdown::Infinity]);
    let now = Instant::now();
    rules.on(Event::Ended(0, Exit::Crashed), now);
    assert_eq!(rules.on(Event::Ended(1, Exit::Shutdown), now), [Action::Start(0)]);
    rules.on(Event::Started(0), now);
    rules.on(Event::Started(1), now);
    // The second restart pauses, and its cause goes away meanwhile.
    rules.on(Event::Ended(0, Exit::Crashed), now);
    rules.on(Event::Ended(1, Exit::Shutdown), now);
    let actions = rules.on(Event::Gone(0), now);
    assert_eq!(actions, [Action::Remove(0), Action::Start(1)]);
}

#[test]
fn many_alike_stop_all_at_once_and_are_forgotten_when_they_end() {
    let mut rules = rules(Strategy::SimpleOneForOne, &[]);
    let now = Instant::now();
    for place in 0..3 {
        let added = RowSpec { restart: Restart::Transient, ..spec(Shutdown::Infinity) };
        assert_eq!(rules.on(Event::Add(place, added), now), [Action::Start(place)]);
        rules.on(Event::Started(place), now);
    }
    assert_eq!(rules.on(Event::Ended(1, Exit::Normal), now), [Action::Remove(1)]);
    assert_eq!(rules.on(Event::Shutdown, now), [Action::Stop(2), Action::Stop(0)]);
    rules.on(Event::Ended(0, Exit::Shutdown), now);
    let actions = rules.on(Event::Ended(2, Exit::Shutdown), now);
    assert_eq!(actions, [Action::Remove(0), Action::Remove(2), Action::Over(End::Asked)]);
}

#[test]
fn a_kill_reaches_all_children_at_once() {
    let mut rules = rules(Strategy::OneForOne, &[Shutdown::Infinity, Shutdown::Infinity]);
    let now = Instant::now();
    assert_eq!(rules.on(Event::Shutdown, now), [Action::Stop(1)]);
    assert_eq!(rules.on(Event::Kill, now), [Action::Kill(1), Action::Kill(0)]);
    rules.on(Event::Ended(0, Exit::Crashed), now);
    assert_eq!(rules.on(Event::Ended(1, Exit::Crashed), now), [Action::Over(End::Asked)]);
}

#[test]
fn a_child_that_was_added_and_does_not_start_is_gone() {
    let mut rules = rules(Strategy::OneForOne, &[Shutdown::Infinity]);
    let now = Instant::now();
    assert_eq!(rules.on(Event::Add(1, spec(Shutdown::Infinity)), now), [Action::Start(1)]);
    assert_eq!(rules.on(Event::Ended(1, Exit::Crashed), now), [Action::Remove(1)]);
}
