//! The transitions, one function for each event.

use super::{AgentState, Lifecycle, LifecycleAction, LifecycleEvent};
use AgentState::{
    Cancelled, Checkpointing, Completed, Executing, Failed, Idle, Paused, Planning, WaitingHuman,
};
use LifecycleAction::{BackOff, End, Execute, Hold, Plan, Save};

type Next = Option<(Lifecycle, Vec<LifecycleAction>)>;

/// What follows, or `None` where nothing may.
pub(super) fn next(from: &Lifecycle, event: LifecycleEvent) -> Next {
    match event {
        LifecycleEvent::Start => start(from),
        LifecycleEvent::Continue => go_on(from),
        LifecycleEvent::Planned { steps } => planned(from, steps),
        LifecycleEvent::Extended { more } => extended(from, more),
        LifecycleEvent::StepDone => step_done(from),
        LifecycleEvent::Saved => saved(from),
        LifecycleEvent::AttemptFailed { may_retry } => attempt_failed(from, may_retry),
        LifecycleEvent::Pause => pause(from),
        LifecycleEvent::Resume => resume(from),
        LifecycleEvent::Cancel => cancel(from),
        LifecycleEvent::AskHuman => ask_human(from),
        LifecycleEvent::Answered => answered(from),
        LifecycleEvent::Retry => retry(from),
        LifecycleEvent::Break => give_up(from),
    }
}

/// A finished agent can run again, and keeps nothing of the last time.
fn start(from: &Lifecycle) -> Next {
    matches!(from.state, Idle | Completed | Failed | Cancelled).then(|| {
        let fresh = Lifecycle::new(from.attempts_max);
        (Lifecycle { state: Planning, ..fresh }, vec![Save, Plan])
    })
}

fn go_on(from: &Lifecycle) -> Next {
    match from.state {
        Planning | Executing | Checkpointing => Some(work(from, from.state)),
        WaitingHuman => Some(work(from, from.back?)),
        _ => None,
    }
}

fn planned(from: &Lifecycle, steps: u64) -> Next {
    (from.state == Planning).then(|| {
        let steps = Some(steps);
        (Lifecycle { state: Checkpointing, steps, current_step: 0, failures: 0, ..from.clone() }, vec![Save])
    })
}

/// Nothing is saved yet: with the step that wanted it, it is, or is forgotten.
fn extended(from: &Lifecycle, more: u64) -> Next {
    let steps = from.steps?.checked_add(more)?;
    (from.state == Executing && !from.is_done())
        .then(|| (Lifecycle { steps: Some(steps), ..from.clone() }, Vec::new()))
}

fn step_done(from: &Lifecycle) -> Next {
    (from.state == Executing && !from.is_done()).then(|| {
        let current_step = from.current_step + 1;
        (Lifecycle { state: Checkpointing, current_step, failures: 0, ..from.clone() }, vec![Save])
    })
}

fn saved(from: &Lifecycle) -> Next {
    (from.state == Checkpointing).then(|| work(from, Checkpointing))
}

/// The same work again: a step that failed is never passed over.
fn attempt_failed(from: &Lifecycle, may_retry: bool) -> Next {
    let at = match from.state {
        Planning | Executing | Checkpointing => from.state,
        WaitingHuman => from.back?,
        _ => return None,
    };
    let failures = from.failures.saturating_add(1);
    if !may_retry || failures >= from.attempts_max {
        let back = Some(if at == Planning { Planning } else { Executing });
        return Some((Lifecycle { state: Failed, back, failures, ..from.clone() }, vec![Save, End]));
    }
    let next = Lifecycle { state: at, back: None, failures, ..from.clone() };
    let actions = match at {
        Planning => vec![Save, BackOff { failures }, Plan],
        Checkpointing => vec![BackOff { failures }, Save],
        _ => vec![Save, BackOff { failures }, Execute { step: from.current_step }],
    };
    Some((next, actions))
}

fn pause(from: &Lifecycle) -> Next {
    let back = match from.state {
        Planning => Planning,
        Executing | Checkpointing => Executing,
        WaitingHuman => from.back?,
        _ => return None,
    };
    Some((Lifecycle { state: Paused, back: Some(back), ..from.clone() }, vec![Save, Hold]))
}

fn resume(from: &Lifecycle) -> Next {
    if from.state != Paused {
        return None;
    }
    Some(saved_first(work(from, from.back?)))
}

fn cancel(from: &Lifecycle) -> Next {
    let may = matches!(from.state, Idle | Planning | Executing | Checkpointing | Paused | WaitingHuman);
    may.then(|| (Lifecycle { state: Cancelled, back: None, ..from.clone() }, vec![Save, End]))
}

fn ask_human(from: &Lifecycle) -> Next {
    matches!(from.state, Planning | Executing)
        .then(|| (Lifecycle { state: WaitingHuman, back: Some(from.state), ..from.clone() }, vec![Save]))
}

fn answered(from: &Lifecycle) -> Next {
    if from.state != WaitingHuman {
        return None;
    }
    Some((Lifecycle { state: from.back?, back: None, ..from.clone() }, vec![Save]))
}

fn retry(from: &Lifecycle) -> Next {
    if from.state != Failed {
        return None;
    }
    let rested = Lifecycle { failures: 0, ..from.clone() };
    Some(saved_first(work(&rested, from.back?)))
}

fn give_up(from: &Lifecycle) -> Next {
    let back = match from.state {
        Idle | Planning => Planning,
        Executing | Checkpointing => Executing,
        Paused | WaitingHuman => from.back?,
        _ => return None,
    };
    Some((Lifecycle { state: Failed, back: Some(back), ..from.clone() }, vec![Save, End]))
}

/// Goes to the work that is next: the plan, a step, or the end if no step is left.
fn work(from: &Lifecycle, at: AgentState) -> (Lifecycle, Vec<LifecycleAction>) {
    let to = |state| Lifecycle { state, back: None, ..from.clone() };
    match at {
        Planning => (to(Planning), vec![Plan]),
        _ if from.is_done() => (to(Completed), vec![Save, End]),
        _ => (to(Executing), vec![Execute { step: from.current_step }]),
    }
}

/// What was left by a pause or a failure is durable as such, so that it goes on has to be durable too.
fn saved_first((next, mut actions): (Lifecycle, Vec<LifecycleAction>)) -> (Lifecycle, Vec<LifecycleAction>) {
    if actions.first() != Some(&Save) {
        actions.insert(0, Save);
    }
    (next, actions)
}
