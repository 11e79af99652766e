//! Which node gets an actor.

use super::{
    lead::View,
    record::{Label, Record, Wanted},
};
use mesh_proto::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// The least loaded of the nodes that can run it, by the actors that they run; of equals the first by name.
pub(super) fn choose<'a>(
    wanted: &Wanted,
    views: impl Iterator<Item = &'a View>,
    avoid: &BTreeSet<NodeId>,
    seated: impl Fn(NodeId) -> usize,
) -> Option<&'a View> {
    views
        .filter(|view| fits(wanted, view) && !avoid.contains(&view.seat.node()))
        .min_by_key(|view| (view.others + seated(view.seat.node()) as u64, &view.seat.name))
}

/// Whether a node can run it, as far as it is known here.
pub(super) fn fits(wanted: &Wanted, view: &View) -> bool {
    view.is_heard
        && view.is_alive
        && !view.is_closed
        && !view.is_deaf
        && view.kinds.contains(&wanted.kind)
        && Label::all(&wanted.labels, &view.labels)
}

/// Why no node can run it, for people.
pub(super) fn why_none<'a>(wanted: &Wanted, views: impl Iterator<Item = &'a View>) -> String {
    let registering: Vec<&str> =
        views.filter(|view| view.kinds.contains(&wanted.kind)).map(|view| &*view.seat.name).collect();
    let labels: Vec<String> =
        wanted.labels.iter().map(|label| format!("{}={}", label.key, label.value)).collect();
    if registering.is_empty() {
        return format!("no live node registers {}", wanted.kind);
    }
    format!(
        "of the nodes that register {} ({}) none takes it{}{}",
        wanted.kind,
        registering.join(", "),
        if labels.is_empty() { "" } else { "; it wants " },
        labels.join(", ")
    )
}

/// Which actors have to move so that no node has two more than another that could run them.
pub(super) fn moves<'a>(
    records: impl Iterator<Item = &'a Record>,
    views: &BTreeMap<NodeId, View>,
    seated: impl Fn(NodeId) -> usize,
) -> Vec<&'a Record> {
    let mut load: BTreeMap<NodeId, u64> = views
        .values()
        .map(|view| (view.seat.node(), view.others + seated(view.seat.node()) as u64))
        .collect();
    let mut moves = Vec::new();
    for record in records {
        let from = record.seat.node();
        let load_of = |load: &BTreeMap<NodeId, u64>, node| load.get(&node).copied().unwrap_or_default();
        let targets = views.values().filter(|view| fits(&record.wanted, view));
        let best = targets.min_by_key(|view| (load_of(&load, view.seat.node()), &view.seat.name));
        let Some(best) = best.map(|view| view.seat.node()) else { continue };
        if load_of(&load, from) >= load_of(&load, best) + 2 {
            *load.entry(from).or_default() -= 1;
            *load.entry(best).or_default() += 1;
            moves.push(record);
        }
    }
    moves
}

#[cfg(test)]
mod tests;
