//! What a node answers when it is asked of placed actors. Nothing here waits.

use super::{
    choose, host, jobs,
    lead::leader,
    message::{
        Compare, Compared, Life, ListPlacements, Locate, Located, Page, PlaceActor, PlaceAnswer, PlacedRow,
        PlacementList, Pull, Push, Rebalance, Rebalanced, Release, Report, Unplace, UnplaceAnswer,
    },
    place::ARGS_BYTES_MAX,
    record::Record,
};
use crate::{failure::failure_of, membership::Row, shared::Shared};
use mesh_actor::AskError;
use mesh_proto::Failure;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The name of the node that places, if it is another one.
fn elsewhere(shared: &Shared, rows: &[Row]) -> Option<String> {
    leader(rows).filter(|row| row.id != shared.me.id).map(|row| row.name.clone())
}

fn rows(shared: &Shared) -> Vec<Row> {
    shared.membership().map(crate::membership::Membership::rows).unwrap_or_default()
}

pub(super) fn place(shared: &Arc<Shared>, asked: PlaceActor) -> Result<PlaceAnswer, Failure> {
    let fail = |error: &AskError| failure_of(error, &shared.me.name);
    let Some(membership) = shared.membership() else { return Ok(PlaceAnswer::NotYet) };
    mesh_proto::check_name(&asked.name)
        .map_err(|reason| fail(&AskError::BadName { name: asked.name.clone(), reason: reason.to_owned() }))?;
    if asked.args.len() > ARGS_BYTES_MAX {
        let (bytes, bytes_max) = (asked.args.len() as u64, ARGS_BYTES_MAX as u64);
        return Err(fail(&AskError::TooLarge { path: asked.name, bytes, bytes_max }));
    }
    if let Some(node) = elsewhere(shared, &membership.rows()) {
        return Ok(PlaceAnswer::Elsewhere { node });
    }
    let known = membership.placed(&asked.name);
    let owner = membership.owner(&asked.name);
    let mut state = shared.placement.state.lock();
    if let Some(failure) = state.refused.remove(&asked.name) {
        return Err(failure);
    }
    if !state.lead.as_ref().is_some_and(|lead| lead.is_ready(Instant::now())) {
        return Ok(PlaceAnswer::NotYet);
    }
    let wanted = asked.wanted();
    let taken = |node: &str| fail(&AskError::NameTaken { path: format!("{node}/{}", asked.name) });
    if let Some(record) = state.table.live(&asked.name) {
        return match known {
            _ if record.wanted != wanted => Err(taken(&record.seat.name)),
            Some((id, node, epoch)) if id == record.seat.node() && epoch == record.epoch => {
                Ok(PlaceAnswer::Running { node, epoch })
            }
            _ => Ok(PlaceAnswer::Starting),
        };
    }
    let lead = state.lead.as_ref();
    if let Some(fresh) = lead.and_then(|lead| lead.fresh.get(&asked.name)) {
        return if fresh.wanted == wanted { Ok(PlaceAnswer::Starting) } else { Err(taken("")) };
    }
    let before = state.table.get(&asked.name).map_or(0, |record| record.epoch);
    // What was struck out may still be on its way out; a name that nobody has placed is somebody's.
    if owner.is_some() && known.is_none() {
        return Err(taken(&shared.me.name));
    }
    let seat = host::own_seat(shared);
    let record =
        Record { name: asked.name.clone(), wanted, epoch: before, seat, is_new: true, is_removed: false };
    let fits = |view: &super::lead::View| choose::fits(&record.wanted, view);
    if !lead.is_some_and(|lead| lead.views.values().any(fits)) {
        return Err(state.no_place(&record, &shared.me.name));
    }
    let waiting = lead.map_or(0, |lead| lead.fresh.len());
    if state.table.is_full() || waiting >= super::PLACEMENTS_MAX {
        let reason = format!("a mesh has at most {} placed actors", super::PLACEMENTS_MAX);
        return Err(fail(&AskError::CannotSpawn { path: asked.name, reason }));
    }
    if let Some(lead) = &mut state.lead {
        lead.fresh.insert(asked.name, record);
    }
    drop(state);
    shared.placement.due.notify_one();
    Ok(PlaceAnswer::Starting)
}

pub(super) fn unplace(shared: &Arc<Shared>, asked: &Unplace) -> Result<UnplaceAnswer, Failure> {
    if let Some(node) = elsewhere(shared, &rows(shared)) {
        return Ok(UnplaceAnswer::Elsewhere { node });
    }
    let mut state = shared.placement.state.lock();
    if !state.lead.as_ref().is_some_and(|lead| lead.is_ready(Instant::now())) {
        return Ok(UnplaceAnswer::NotYet);
    }
    let was_fresh = state.lead.as_mut().is_some_and(|lead| lead.fresh.remove(&asked.name).is_some());
    let is_known = was_fresh || state.table.live(&asked.name).is_some();
    state.strike(&asked.name);
    drop(state);
    shared.placement.due.notify_one();
    Ok(if is_known { UnplaceAnswer::Ending } else { UnplaceAnswer::Unknown })
}

pub(super) fn rebalance(shared: &Arc<Shared>, _: Rebalance) -> Result<Rebalanced, Failure> {
    if let Some(node) = elsewhere(shared, &rows(shared)) {
        return Ok(Rebalanced { elsewhere: Some(node), moves: 0 });
    }
    let mut state = shared.placement.state.lock();
    let super::State { lead, table, .. } = &mut *state;
    let is_ready = lead.as_ref().is_some_and(|lead| lead.is_ready(Instant::now()));
    let Some(lead) = lead.as_mut().filter(|_| is_ready) else {
        let (node, may_have_run) = (shared.me.name.to_string(), false);
        return Err(failure_of(&AskError::Unreachable { node, may_have_run }, &shared.me.name));
    };
    let moves: Vec<(mesh_proto::NodeId, Life)> =
        choose::moves(table.all_live(), &lead.views, |node| table.seated(node))
            .into_iter()
            .map(|record| (record.seat.node(), Life { name: record.name.clone(), epoch: record.epoch }))
            .collect();
    let count = moves.len() as u64;
    let mut own = Vec::new();
    for (node, life) in moves {
        match lead.views.get_mut(&node) {
            Some(_) if node == shared.me.id => own.push(life),
            Some(view) => view.release.push(life),
            None => {}
        }
    }
    drop(state);
    host::release(shared, &own, patience(shared));
    shared.placement.due.notify_one();
    Ok(Rebalanced { elsewhere: None, moves: count })
}

pub(super) fn locate(shared: &Arc<Shared>, asked: &Locate) -> Option<Located> {
    let (_, node, epoch) = shared.membership()?.placed(&asked.name)?;
    Some(Located { node, epoch })
}

pub(super) fn list(shared: &Arc<Shared>, _: ListPlacements) -> PlacementList {
    let Some(membership) = shared.membership() else {
        return PlacementList { placed_by: String::new(), placements: Vec::new() };
    };
    let placed_by = leader(&membership.rows()).map(|row| row.name.clone()).unwrap_or_default();
    let records: Vec<Record> = shared.placement.state.lock().table.all_live().cloned().collect();
    let row = |record: Record| PlacedRow {
        is_running: membership.epoch_at(record.seat.node(), &record.name) == record.epoch,
        name: record.name,
        kind: record.wanted.kind,
        node: record.seat.name,
        epoch: record.epoch,
    };
    PlacementList { placed_by, placements: records.into_iter().map(row).collect() }
}

pub(super) fn compare(shared: &Arc<Shared>, _: Compare) -> Compared {
    let actors = shared.system.len() as u64;
    let state = shared.placement.state.lock();
    Compared {
        digest: state.table.digest(),
        kinds: shared.registry.names(),
        others: actors.saturating_sub(state.hosted.len() as u64),
        is_closed: state.is_closed,
        ended: jobs::reportable(&state),
    }
}

pub(super) fn pull(shared: &Arc<Shared>, asked: &Pull) -> Page {
    let state = shared.placement.state.lock();
    let (records, is_more) = state.table.page(asked.after.as_deref());
    Page { records, is_more }
}

pub(super) fn push(shared: &Arc<Shared>, told: Push) -> u32 {
    shared.placement.learn(told.records)
}

pub(super) fn report(shared: &Arc<Shared>, told: Report) -> bool {
    let now = Instant::now();
    let mut state = shared.placement.state.lock();
    let Some(lead) = &mut state.lead else { return false };
    if let Some(view) = lead.views.get_mut(&told.from.node()) {
        view.is_closed |= told.is_closed;
    }
    for ended in told.ended {
        state.hear_ended(&told.from, ended, now);
    }
    drop(state);
    shared.placement.due.notify_one();
    true
}

pub(super) fn release(shared: &Arc<Shared>, asked: &Release) -> u32 {
    host::release(shared, &asked.actors, patience(shared))
}

/// How long an actor that is moved may take for its mailbox.
fn patience(shared: &Shared) -> Duration {
    shared.membership().map(|membership| membership.config.drain_timeout).unwrap_or_default()
}
