//! What one node asks of another for placement; each in a task of its own, so that nobody waits for who is slow.

use super::{
    EpochError, State,
    host::own_seat,
    message::{Compare, Compared, Ended, How, Life, Pull, Push, Release, Report},
    record::Record,
};
use crate::{mesh::Mesh, shared::Shared, wire::WireMessage};
use mesh_actor::AskError;
use mesh_proto::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

/// How long another node may take for one answer: 2 s.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How long a source of epochs may take: 5 s.
const EPOCH_MAX: Duration = Duration::from_secs(5);

/// The pause before a node that did not answer is asked again: 200 ms.
const PAUSE: Duration = Duration::from_millis(200);

/// How often tables are compared: every 2 s.
const COMPARE_PERIOD: Duration = Duration::from_secs(2);

/// What a task brought back.
pub(super) enum Done {
    Epoch { name: String, after: u64, given: Result<u64, EpochError> },
    Compared { node: NodeId, answer: Result<Heard, AskError> },
    Pushed { node: NodeId, names: BTreeSet<String>, answer: Result<(), AskError> },
    Released { node: NodeId, lives: Vec<Life>, answer: Result<(), AskError> },
    Reported { answer: Result<bool, AskError> },
}

/// What a node said of itself, and which records it had, by their hashes, if they were others than here.
pub(super) struct Heard {
    /// None from a node of a version that knows nothing of placement.
    compared: Option<Compared>,
    had: Option<BTreeMap<String, u64>>,
}

/// Asks for an epoch for each of these names.
pub(super) fn ask_for_epochs(shared: &Arc<Shared>, jobs: &mut JoinSet<Done>, names: Vec<(String, u64)>) {
    for (name, after) in names {
        let shared = Arc::clone(shared);
        jobs.spawn(async move {
            let given = timeout(EPOCH_MAX, shared.placement.epochs.next(&name, after)).await;
            let late = |_| {
                let reason = format!("no answer within {EPOCH_MAX:?}");
                Err(EpochError::Unavailable { name: name.clone(), reason })
            };
            let given = given.unwrap_or_else(late);
            Done::Epoch { name, after, given }
        });
    }
}

/// Says to every node what is due, one thing at a time.
pub(super) fn speak(shared: &Arc<Shared>, jobs: &mut JoinSet<Done>, now: Instant) {
    let mut state = shared.placement.state.lock();
    let State { lead, table, .. } = &mut *state;
    let Some(lead) = lead else { return };
    for (node, view) in &mut lead.views {
        let node = *node;
        if node == shared.me.id || view.is_busy || view.not_before > now {
            continue;
        }
        if view.is_deaf {
            view.dirty.clear();
            view.release.clear();
        }
        let name = view.seat.name.clone();
        let mesh = Mesh::of_node(Arc::clone(shared));
        if !view.is_heard || view.compare_at <= now {
            let (shared, digest) = (Arc::clone(shared), table.digest());
            view.compare_at = now + COMPARE_PERIOD;
            jobs.spawn(async move {
                Done::Compared { node, answer: compare(&shared, &mesh, &name, digest).await }
            });
        } else if !view.dirty.is_empty() {
            let records = table.some_of(view.dirty.iter());
            let names: BTreeSet<String> = records.iter().map(|record| record.name.clone()).collect();
            view.dirty.retain(|name| !names.contains(name));
            if records.is_empty() {
                // They were forgotten meanwhile.
                view.dirty.clear();
                continue;
            }
            jobs.spawn(async move {
                let answer = ask(&mesh, &name, Push { records }).await.map(|_news| ());
                Done::Pushed { node, names, answer }
            });
        } else if !view.release.is_empty() {
            let lives = std::mem::take(&mut view.release);
            jobs.spawn(async move {
                let asked = Release { actors: lives.clone() };
                let answer = ask(&mesh, &name, asked).await.map(|_found| ());
                Done::Released { node, lives, answer }
            });
        } else {
            continue;
        }
        view.is_busy = true;
    }
}

/// Says to the one that places what has ended here.
pub(super) fn report(shared: &Arc<Shared>, jobs: &mut JoinSet<Done>, leader: &str, now: Instant) {
    let mut state = shared.placement.state.lock();
    let ended = reportable(&state);
    let is_due = state.report_at.is_none_or(|at| at <= now);
    if ended.is_empty() || state.is_reporting || !is_due {
        return;
    }
    state.is_reporting = true;
    let report = Report { from: own_seat(shared), is_closed: state.is_closed, ended };
    let (mesh, leader) = (Mesh::of_node(Arc::clone(shared)), leader.to_owned());
    jobs.spawn(async move { Done::Reported { answer: ask(&mesh, &leader, report).await } });
}

/// What the one that places has to know, as much as goes into one message.
pub(super) fn reportable(state: &State) -> Vec<Ended> {
    state.ended.values().filter(|ended| ended.how != How::Fenced).take(256).cloned().collect()
}

async fn ask<M: WireMessage>(mesh: &Mesh, node: &str, message: M) -> Result<M::Reply, AskError> {
    mesh.node_actor::<M>(node)?.ask(message).timeout(ANSWER_MAX).await
}

/// Hears a node out: takes in all that it knows, if that is something else than what is known here.
async fn compare(shared: &Shared, mesh: &Mesh, node: &str, digest: u64) -> Result<Heard, AskError> {
    let compared = match ask(mesh, node, Compare { digest }).await {
        Ok(compared) => compared,
        Err(AskError::UnknownKind { .. }) => return Ok(Heard { compared: None, had: None }),
        Err(error) => return Err(error),
    };
    if compared.digest == digest {
        return Ok(Heard { compared: Some(compared), had: None });
    }
    let (mut had, mut after) = (BTreeMap::new(), None);
    loop {
        let page = ask(mesh, node, Pull { after: after.take() }).await?;
        had.extend(page.records.iter().map(|record| (record.name.clone(), record.hash())));
        after = page.records.last().map(|record| record.name.clone());
        shared.placement.learn(page.records);
        if !page.is_more || after.is_none() {
            return Ok(Heard { compared: Some(compared), had: Some(had) });
        }
    }
}

/// Takes in what a task brought back.
pub(super) fn take(shared: &Shared, done: Done) {
    let now = Instant::now();
    let mut state = shared.placement.state.lock();
    match done {
        Done::Epoch { name, after, given: Ok(epoch) } if epoch > after => {
            state.seat(&name, after, epoch, &shared.me.name, now);
        }
        Done::Epoch { name, after, given } => {
            tracing::warn!(actor = %name, after, ?given, "no epoch for an actor that is to be placed");
            state.no_epoch(&name, now);
        }
        Done::Compared { node, answer } => heard(&mut state, node, answer, now),
        Done::Pushed { node, names, answer } => {
            let failed = answer.is_err();
            if let Some(view) = answered(&mut state, node, answer, now)
                && failed
            {
                view.dirty.extend(names);
            }
        }
        Done::Released { node, lives, answer } => {
            let failed = answer.is_err();
            if let Some(view) = answered(&mut state, node, answer, now)
                && failed
            {
                view.release.extend(lives);
            }
        }
        Done::Reported { answer } => {
            if let Err(error) = answer {
                tracing::debug!(%error, "what has ended here was not reported");
            }
            state.is_reporting = false;
            // Until a record comes that says what becomes of it.
            state.report_at = Some(now + PAUSE);
        }
    }
    drop(state);
    shared.placement.moved.notify_waiters();
}

/// Notes that a node has answered, or has not.
fn answered<T>(
    state: &mut State,
    node: NodeId,
    answer: Result<T, AskError>,
    now: Instant,
) -> Option<&mut super::lead::View> {
    let view = state.lead.as_mut()?.views.get_mut(&node)?;
    view.is_busy = false;
    if let Err(error) = answer {
        tracing::debug!(node = %view.seat.name, %error, "a node does not hear of placed actors");
        view.not_before = now + PAUSE;
    }
    Some(view)
}

fn heard(state: &mut State, node: NodeId, answer: Result<Heard, AskError>, now: Instant) {
    let heard = match answer {
        Ok(heard) => heard,
        Err(error) => {
            answered(state, node, Err::<(), _>(error), now);
            return;
        }
    };
    let Heard { compared, had } = heard;
    let lacks: Vec<String> = had.map_or_else(Vec::new, |had| {
        let is_other = |record: &&Record| had.get(&record.name) != Some(&record.hash());
        state.table.all().filter(is_other).map(|record| record.name.clone()).collect()
    });
    let Some(view) = answered(state, node, Ok(()), now) else { return };
    view.is_heard = true;
    view.is_deaf = compared.is_none();
    let Some(compared) = compared else { return };
    view.kinds = compared.kinds.into_iter().collect();
    view.others = compared.others;
    view.is_closed = compared.is_closed;
    view.dirty.extend(lacks);
    let seat = view.seat.clone();
    for ended in compared.ended {
        state.hear_ended(&seat, ended, now);
    }
}
