//! The task of each node that does what placement asks for.

use super::{
    host,
    jobs::{self, Done},
    lead::{self, Lead},
};
use crate::{membership::Row, shared::Shared};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

/// How often it looks for what nobody rings for, such as the end of a pause: every 100 ms.
const TICK: Duration = Duration::from_millis(100);

/// A node that stood still for so long may have been taken for dead: it asks anew who knows what.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// Runs until the node ends.
pub(crate) async fn drive(shared: Arc<Shared>) {
    let Some(membership) = shared.membership() else { return };
    let mut jobs: JoinSet<Done> = JoinSet::new();
    let mut lost = membership.names.lost.subscribe();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Instant::now();
    loop {
        let mut is_whole = true;
        tokio::select! {
            _ = tick.tick() => {}
            () = membership.told.notified() => {}
            () = shared.placement.due.notified() => {}
            Ok(()) = lost.changed() => host::fence_lost(&shared),
            Some(done) = jobs.join_next() => {
                is_whole = false;
                if let Ok(done) = done {
                    jobs::take(&shared, done);
                }
            }
        }
        let now = Instant::now();
        let stood_still = now.duration_since(std::mem::replace(&mut seen, now)) >= STOOD_STILL;
        host::reconcile(&shared).await;
        advance(&shared, &mut jobs, now, is_whole, stood_still);
    }
}

/// Does what the node that places has to do, if this is the one; else tells that one what it has to know.
fn advance(shared: &Arc<Shared>, jobs: &mut JoinSet<Done>, now: Instant, is_whole: bool, stood_still: bool) {
    let Some(membership) = shared.membership() else { return };
    let rows = membership.rows();
    let Some(leader) = lead::leader(&rows) else { return };
    if leader.id != shared.me.id {
        if shared.placement.state.lock().lead.take().is_some() {
            tracing::info!(leader = %leader.name, "another node places actors now");
        }
        return jobs::report(shared, jobs, &leader.name, now);
    }
    let unseated = as_leader(shared, &rows, now, is_whole, stood_still);
    jobs::ask_for_epochs(shared, jobs, unseated);
    jobs::speak(shared, jobs, now);
}

/// What needs a seat now.
fn as_leader(
    shared: &Shared,
    rows: &[Row],
    now: Instant,
    is_whole: bool,
    stood_still: bool,
) -> Vec<(String, u64)> {
    let actors = shared.system.len() as u64;
    let mut state = shared.placement.state.lock();
    if stood_still {
        state.lead = None;
    }
    if state.lead.is_none() {
        tracing::info!("this node places actors now");
    }
    let (is_closed, hosted) = (state.is_closed, state.hosted.len() as u64);
    let own = host::own_seat(shared);
    let lead = state.lead.get_or_insert_with(|| Lead::new(now));
    lead.meet(rows, now);
    if let Some(view) = lead.views.get_mut(&own.node()) {
        view.is_heard = true;
        view.kinds = shared.registry.names().into_iter().collect();
        view.others = actors.saturating_sub(hosted);
        view.is_closed = is_closed;
        // What it tells others it knows itself.
        view.dirty.clear();
    }
    for ended in jobs::reportable(&state) {
        state.hear_ended(&own, ended, now);
    }
    if !is_whole {
        return Vec::new();
    }
    state.table.expire();
    state.find_unseated(rows, now)
}
