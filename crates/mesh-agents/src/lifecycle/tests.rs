use proptest::prelude::*;

use super::*;
use AgentState::{
    Cancelled, Checkpointing, Completed, Executing, Failed, Idle, Paused, Planning, WaitingHuman,
};
use LifecycleAction as Do;
use LifecycleEvent as On;

const EVENTS: [LifecycleEvent; 15] = [
    On::Start,
    On::Continue,
    On::Planned { steps: 2 },
    On::Extended { more: 2 },
    On::StepDone,
    On::Saved,
    On::AttemptFailed { may_retry: true },
    On::AttemptFailed { may_retry: false },
    On::Pause,
    On::Resume,
    On::Cancel,
    On::AskHuman,
    On::Answered,
    On::Retry,
    On::Break,
];

/// An agent at its second step of three, or where it would have come to from there.
fn at(state: AgentState) -> Lifecycle {
    let back = matches!(state, Paused | WaitingHuman | Failed).then_some(Executing);
    Lifecycle { state, back, steps: Some(3), current_step: 1, failures: 0, attempts_max: 3 }
}

fn run(from: Lifecycle, events: &[LifecycleEvent]) -> Lifecycle {
    events.iter().fold(from, |agent, event| agent.on(*event).unwrap().0)
}

/// Each state, and where each event of `EVENTS` leads from it; `None` is illegal.
#[rustfmt::skip]
const TABLE: [(AgentState, [Option<AgentState>; 15]); 9] = {
    const N: Option<AgentState> = None;
    const fn to(state: AgentState) -> Option<AgentState> { Some(state) }
    [
    //               start         continue       planned            extended       step_done          saved          failed, again       failed          pause        resume         cancel          ask_human          answered       retry          break
    (Idle,          [to(Planning), N,             N,                 N,             N,                 N,             N,                  N,              N,           N,             to(Cancelled),  N,                 N,             N,             to(Failed)]),
    (Planning,      [N,            to(Planning),  to(Checkpointing), N,             N,                 N,             to(Planning),       to(Failed),     to(Paused),  N,             to(Cancelled),  to(WaitingHuman),  N,             N,             to(Failed)]),
    (Executing,     [N,            to(Executing), N,                 to(Executing), to(Checkpointing), N,             to(Executing),      to(Failed),     to(Paused),  N,             to(Cancelled),  to(WaitingHuman),  N,             N,             to(Failed)]),
    (Checkpointing, [N,            to(Executing), N,                 N,             N,                 to(Executing), to(Checkpointing),  to(Failed),     to(Paused),  N,             to(Cancelled),  N,                 N,             N,             to(Failed)]),
    (Completed,     [to(Planning), N,             N,                 N,             N,                 N,             N,                  N,              N,           N,             N,              N,                 N,             N,             N]),
    (Failed,        [to(Planning), N,             N,                 N,             N,                 N,             N,                  N,              N,           N,             N,              N,                 N,             to(Executing), N]),
    (Paused,        [N,            N,             N,                 N,             N,                 N,             N,                  N,              N,           to(Executing), to(Cancelled),  N,                 N,             N,             to(Failed)]),
    (Cancelled,     [to(Planning), N,             N,                 N,             N,                 N,             N,                  N,              N,           N,             N,              N,                 N,             N,             N]),
    (WaitingHuman,  [N,            to(Executing), N,                 N,             N,                 N,             to(Executing),      to(Failed),     to(Paused),  N,             to(Cancelled),  N,                 to(Executing), N,             to(Failed)]),
    ]
};

#[test]
fn every_event_in_every_state_leads_where_the_table_says_or_is_illegal() {
    for (state, row) in TABLE {
        for (event, wanted) in EVENTS.into_iter().zip(row) {
            let found = at(state).on(event);
            assert_eq!(found.as_ref().ok().map(|(next, _)| next.state), wanted, "{state} on {event:?}");
            if wanted.is_none() {
                assert_eq!(found, Err(IllegalTransition { from: state, event }));
            }
        }
    }
}

#[test]
fn an_illegal_transition_says_what_cannot_happen() {
    let error = at(Completed).on(On::Resume).unwrap_err();
    assert_eq!(error.to_string(), "resume cannot happen to an agent that is completed");
}

#[test]
fn an_empty_plan_completes() {
    let agent = run(Lifecycle::new(3), &[On::Start, On::Planned { steps: 0 }, On::Saved]);
    assert_eq!(agent.state(), Completed);
}

#[test]
fn resume_at_the_end_of_the_plan_completes() {
    let done = Lifecycle { current_step: 3, ..at(Paused) };
    let (agent, actions) = done.on(On::Resume).unwrap();
    assert_eq!((agent.state(), actions), (Completed, vec![Do::Save, Do::End]));
    let left = Lifecycle { current_step: 3, ..at(Executing) };
    assert_eq!(left.on(On::Continue).unwrap().0.state(), Completed);
}

#[test]
fn a_step_that_fails_is_executed_again_and_never_skipped() {
    let (agent, actions) = at(Executing).on(On::AttemptFailed { may_retry: true }).unwrap();
    assert_eq!(agent.current_step(), 1);
    assert_eq!(actions, [Do::Save, Do::BackOff { failures: 1 }, Do::Execute { step: 1 }]);
    let failed = run(agent, &[On::AttemptFailed { may_retry: true }, On::AttemptFailed { may_retry: true }]);
    assert_eq!((failed.state(), failed.current_step()), (Failed, 1));
    let (agent, actions) = failed.on(On::Retry).unwrap();
    assert_eq!((agent.failures(), actions), (0, vec![Do::Save, Do::Execute { step: 1 }]));
}

#[test]
fn a_step_that_needs_more_steps_puts_them_behind_all_others() {
    let last = Lifecycle { current_step: 2, ..at(Executing) };
    let agent = run(last, &[On::Extended { more: 2 }, On::StepDone, On::Saved]);
    assert_eq!((agent.state(), agent.current_step(), agent.steps()), (Executing, 3, Some(5)));
    let done = run(agent, &[On::StepDone, On::Saved, On::StepDone, On::Saved]);
    assert_eq!(done.state(), Completed);
}

#[test]
fn the_count_of_failures_begins_anew_after_a_success() {
    let twice = [On::AttemptFailed { may_retry: true }; 2];
    let agent = run(run(at(Executing), &twice), &[On::StepDone, On::Saved]);
    assert_eq!((agent.state(), agent.failures()), (Executing, 0));
    assert_eq!(run(agent, &twice).state(), Executing);
}

#[test]
fn resume_returns_to_the_state_before_the_pause() {
    let planning = run(Lifecycle::new(3), &[On::Start]);
    assert_eq!(run(planning, &[On::Pause, On::Resume]).state(), Planning);
    assert_eq!(run(at(Executing), &[On::Pause, On::Resume]).state(), Executing);
    assert_eq!(run(at(Executing), &[On::AskHuman, On::Pause, On::Resume]).state(), Executing);
}

#[test]
fn a_pause_behind_the_last_step_holds_and_resume_completes() {
    let last = Lifecycle { current_step: 2, ..at(Executing) };
    let agent = run(last, &[On::StepDone, On::Pause]);
    assert_eq!(agent.state(), Paused);
    assert_eq!(run(agent, &[On::Resume]).state(), Completed);
}

#[test]
fn a_finished_agent_can_run_again_from_nothing() {
    for state in [Completed, Failed, Cancelled] {
        let agent = run(at(state), &[On::Start]);
        assert_eq!(agent, Lifecycle { state: Planning, ..Lifecycle::new(3) });
    }
}

#[test]
fn states_are_written_as_they_are_read() {
    for state in AgentState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
    }
    assert!("IDLE".parse::<AgentState>().is_err());
}

fn events() -> impl Strategy<Value = Vec<LifecycleEvent>> {
    let planned = (0..4_u64).prop_map(|steps| On::Planned { steps });
    let any = (0..EVENTS.len()).prop_map(|at| EVENTS[at]);
    proptest::collection::vec(prop_oneof![1 => planned, 9 => any], 0..60)
}

proptest! {
    #[test]
    fn whatever_happens_the_books_are_in_order(events in events(), attempts_max in 0..5_u32) {
        let mut agent = Lifecycle::new(attempts_max);
        for event in events {
            let Ok((next, actions)) = agent.on(event) else { continue };
            // The step that is next goes on by one, and only when one is done; a new plan begins at the first.
            let is_anew = matches!(event, On::Start | On::Planned { .. });
            let stepped = agent.current_step + u64::from(event == On::StepDone);
            prop_assert_eq!(next.current_step, if is_anew { 0 } else { stepped });
            prop_assert!(next.steps.is_none_or(|steps| next.current_step <= steps));
            prop_assert!(next.failures <= next.attempts_max);
            // There is a way back exactly where one leads back.
            let leads_back = matches!(next.state, Paused | WaitingHuman | Failed);
            prop_assert_eq!(next.back.is_some(), leads_back);
            prop_assert!(matches!(next.back, None | Some(Planning | Executing)));
            prop_assert_eq!(next.state == Completed, next.state == Completed && next.is_done());
            // Whoever is at an end or holds is told so, and nobody else.
            prop_assert_eq!(actions.contains(&Do::End), next.state.is_end());
            prop_assert_eq!(actions.contains(&Do::Hold), next.state == Paused);
            if let Some(Do::Execute { step }) = actions.last() {
                prop_assert_eq!((*step, next.state), (next.current_step, Executing));
            }
            // Whatever changes and is not to be found again by going on is saved.
            let is_found_again = matches!(event, On::Continue) && !next.state.is_end() || next.state == agent.state;
            prop_assert!(is_found_again || event == On::Saved || actions.contains(&Do::Save), "{:?}", event);
            agent = next;
        }
    }
}
