//! The placed actors of this node: started, watched, fenced and let go.

use super::{
    Hosted, PlacementEvent, State,
    message::{Ended, How, Life},
    record::{Record, Seat},
};
use crate::{failure::failure_of, mesh::Mesh, port::Local, shared::Shared};
use mesh_actor::ExitReason;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, interval, timeout, timeout_at};

/// How long a node that leaves waits, behind its actors' end, until they have another place: 1 s.
const HAND_OVER: Duration = Duration::from_secs(1);

/// What is to be done about one name.
enum Step {
    Start(Box<Record>),
    /// A later life of it is known, on another node or on this one.
    Fence {
        by: String,
        newest: u64,
    },
    /// It is wanted no more.
    Stop,
}

/// This run of this node.
pub(super) fn own_seat(shared: &Shared) -> Seat {
    Seat { id: shared.me.id.0, boot: shared.me.boot.0, name: shared.me.name.to_string() }
}

/// Has what runs here agree with what the records say.
pub(super) async fn reconcile(shared: &Arc<Shared>) {
    let placement = &shared.placement;
    let steps: Vec<(String, Step)> = {
        let mut state = placement.state.lock();
        let seat = own_seat(shared);
        let changed = state.table.take_changed();
        changed.into_iter().filter_map(|name| step(&state, &seat, &name).map(|step| (name, step))).collect()
    };
    for (name, step) in steps {
        match step {
            Step::Stop => {
                let state = placement.state.lock();
                if let Some(hosted) = state.hosted.get(&name) {
                    hosted.port.stop();
                }
            }
            Step::Fence { by, newest } => {
                fence(shared, &name, by, newest);
                // It may be this node's again.
                placement.state.lock().table.look_at(name);
                placement.due.notify_one();
            }
            Step::Start(record) => start(shared, *record).await,
        }
    }
}

fn step(state: &State, seat: &Seat, name: &str) -> Option<Step> {
    let record = state.table.get(name)?;
    let is_mine = record.seat.id == seat.id && record.seat.boot == seat.boot;
    if let Some(hosted) = state.hosted.get(name) {
        return match record {
            record if record.is_removed => Some(Step::Stop),
            record if is_mine && record.epoch == hosted.epoch => None,
            record => Some(Step::Fence { by: record.seat.name.clone(), newest: record.epoch }),
        };
    }
    let has_ended = state.ended.get(name).is_some_and(|ended| ended.epoch >= record.epoch);
    (is_mine && !record.is_removed && !has_ended).then(|| Step::Start(Box::new(record.clone())))
}

async fn start(shared: &Arc<Shared>, record: Record) {
    let Record { name, wanted, epoch, .. } = record;
    let placement = &shared.placement;
    if placement.state.lock().is_closed {
        return end(shared, &name, epoch, How::Released);
    }
    let mesh = Mesh::of_node(Arc::clone(shared));
    let spawned = shared.registry.spawn(mesh, &wanted.kind, name.clone(), wanted.args, Some(epoch)).await;
    if let Err(error) = spawned {
        let failure = failure_of(&error, &shared.me.name);
        let failure = serde_json::to_string(&failure).unwrap_or_default();
        return end(shared, &name, epoch, How::Refused { failure });
    }
    let port = shared.ports.read().get(&name).cloned();
    let Some(port) = port else { return end(shared, &name, epoch, How::Crashed) };
    let hosted = Hosted { epoch, port: Arc::clone(&port), is_releasing: false };
    placement.state.lock().hosted.insert(name.clone(), hosted);
    placement.tell(PlacementEvent::Started { name: name.clone(), epoch });
    if wanted.idle_ms > 0 {
        let idle = Duration::from_millis(wanted.idle_ms);
        shared.tasks.spawn(passivate(Arc::clone(&port), idle));
    }
    let watcher = Arc::clone(shared);
    shared.tasks.spawn(async move {
        let exit = port.ended().await;
        // Who hears of its end finds the name free.
        watcher.withdraw(&name, &port, exit.clone());
        has_ended(&watcher, &name, epoch, &exit);
    });
}

/// Lets an actor finish when nobody has sent it anything for so long; what comes in between is told that it did not run.
async fn passivate(port: Arc<dyn Local>, idle: Duration) {
    let looks = interval(idle / 2);
    tokio::pin!(looks);
    let (mut seen, mut since) = (port.traffic(), Instant::now());
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = port.ended() => return,
        }
        let now = port.traffic();
        if now != seen || now.waiting > 0 {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() >= idle {
            return port.drain();
        }
    }
}

/// A placed actor of this node has ended, by itself or as it was told.
fn has_ended(shared: &Arc<Shared>, name: &str, epoch: u64, exit: &ExitReason) {
    let (is_releasing, is_closed) = {
        let mut state = shared.placement.state.lock();
        // One that was fenced is not there any more.
        let Some(hosted) = state.hosted.get(name).filter(|hosted| hosted.epoch == epoch) else { return };
        let is_releasing = hosted.is_releasing;
        state.hosted.remove(name);
        (is_releasing, state.is_closed)
    };
    let how = match exit {
        ExitReason::Crashed { .. } => How::Crashed,
        _ if is_releasing || is_closed => How::Released,
        _ => How::Stopped,
    };
    end(shared, name, epoch, how);
}

/// Notes that an epoch is over here; it is reported until another begins.
fn end(shared: &Shared, name: &str, epoch: u64, how: How) {
    let placement = &shared.placement;
    {
        let mut state = placement.state.lock();
        let ended = Ended { name: name.to_owned(), epoch, how };
        if state.table.live(name).is_some_and(|record| record.epoch <= epoch) {
            state.ended.insert(name.to_owned(), ended);
        }
    }
    placement.tell(PlacementEvent::Ended { name: name.to_owned(), epoch });
    placement.due.notify_one();
    placement.moved.notify_waiters();
}

/// Kills the life of an actor that is over: its answers go nowhere any more.
fn fence(shared: &Shared, name: &str, by: String, newest: u64) {
    let placement = &shared.placement;
    let hosted = {
        let mut state = placement.state.lock();
        let Some(hosted) = state.hosted.remove(name) else { return };
        let ended = Ended { name: name.to_owned(), epoch: hosted.epoch, how: How::Fenced };
        if state.table.live(name).is_some_and(|record| record.epoch <= hosted.epoch) {
            state.ended.insert(name.to_owned(), ended);
        }
        hosted
    };
    let epoch = hosted.epoch;
    tracing::warn!(actor = %name, epoch, newest, %by, "an epoch is over, and its actor is killed");
    hosted.port.kill();
    shared.withdraw(name, &hosted.port, ExitReason::Killed);
    placement.tell(PlacementEvent::Fenced { name: name.to_owned(), epoch, by, newest });
    placement.moved.notify_waiters();
}

/// Fences what the directory says is another node's: it may be heard from there first.
pub(super) fn fence_lost(shared: &Shared) {
    let Some(membership) = shared.membership() else { return };
    let lost = membership.names.lost.borrow().clone();
    if lost.is_empty() {
        return;
    }
    for (name, by) in lost {
        let is_hosted = shared.placement.state.lock().hosted.contains_key(&name);
        if let (true, Some((_, _, newest))) = (is_hosted, membership.placed(&name)) {
            fence(shared, &name, by, newest);
        }
    }
}

/// Lets actors go: they finish their mailboxes, within `limit`, and have another place then.
pub(super) fn release(shared: &Arc<Shared>, lives: &[Life], limit: Duration) -> u32 {
    let mut state = shared.placement.state.lock();
    let mut found = 0;
    for Life { name, epoch } in lives {
        let hosted = state.hosted.get_mut(name).filter(|hosted| hosted.epoch == *epoch);
        let Some(hosted) = hosted.filter(|hosted| !hosted.is_releasing) else { continue };
        found += 1;
        hosted.is_releasing = true;
        hosted.port.drain();
        let port = Arc::clone(&hosted.port);
        shared.tasks.spawn(async move {
            if timeout(limit, port.ended()).await.is_err() {
                port.kill();
            }
        });
    }
    found
}

/// A node that leaves lets all its placed actors go, before it says that it leaves: so nobody starts one anew that still
/// finishes its mailbox here.
pub(crate) async fn hand_over(shared: &Arc<Shared>, limit: Duration) {
    let placement = &shared.placement;
    let lives: Vec<Life> = {
        let mut state = placement.state.lock();
        state.is_closed = true;
        state.hosted.iter().map(|(name, hosted)| Life { name: name.clone(), epoch: hosted.epoch }).collect()
    };
    placement.due.notify_one();
    release(shared, &lives, limit);
    let end = Instant::now() + limit + HAND_OVER;
    until(shared, end, |state, _| state.hosted.is_empty()).await;
    let is_alone = shared
        .membership()
        .is_none_or(|membership| membership.rows().iter().filter(|row| row.is_active).count() < 2);
    if !is_alone {
        until(shared, Instant::now() + HAND_OVER, |state, seat| {
            let is_told = state.lead.as_ref().is_none_or(|lead| {
                lead.views.values().all(|view| view.dirty.is_empty() && !view.is_busy || view.seat == *seat)
            });
            is_told && state.table.seated(seat.node()) == 0
        })
        .await;
    }
}

/// Waits until `is_so`, or until `end`.
async fn until(shared: &Shared, end: Instant, is_so: impl Fn(&State, &Seat) -> bool) {
    let seat = own_seat(shared);
    loop {
        let moved = shared.placement.moved.notified();
        tokio::pin!(moved);
        moved.as_mut().enable();
        if is_so(&shared.placement.state.lock(), &seat) || timeout_at(end, moved).await.is_err() {
            return;
        }
    }
}
