//! What the node that places knows and decides: the oldest live member.

use super::{
    State, choose,
    message::{Ended, How, Life},
    record::{Record, Seat},
};
use crate::membership::Row;
use mesh_actor::AskError;
use mesh_proto::{Failure, NodeId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// How long a node takes itself for the oldest before it decides anything: who has just joined does not know all yet.
const SETTLE: Duration = Duration::from_millis(500);

/// How long the node that places waits to hear from a live member that does not answer, before it decides without it.
const HEAR_PATIENCE: Duration = Duration::from_secs(10);

/// How long the node of a seat may be unknown before it counts as dead.
const UNKNOWN_PATIENCE: Duration = Duration::from_secs(10);

/// The pause after the first crash of an actor that its supervisor gave up, and the longest. It doubles.
const CRASH_PAUSE: Duration = Duration::from_secs(1);
const CRASH_PAUSE_MAX: Duration = Duration::from_secs(60);

/// When a node that refused an actor is asked again, if there is no other.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// How long trouble with an actor is remembered.
const TROUBLE_FOR: Duration = Duration::from_secs(300);

/// Most epochs that are asked for at once.
const EPOCHS_AT_ONCE: usize = 256;

/// Most names whose refusal is kept for those who ask.
const REFUSED_MAX: usize = 1024;

pub(super) struct Lead {
    since: Instant,
    pub(super) views: BTreeMap<NodeId, View>,
    /// Placed for the first time, and without a seat yet.
    pub(super) fresh: BTreeMap<String, Record>,
    /// An epoch is asked for.
    pub(super) pending: BTreeSet<String>,
    /// Have to have another seat, although their node lives.
    vacant: BTreeSet<String>,
    trouble: BTreeMap<String, Trouble>,
    unknown: BTreeMap<NodeId, Instant>,
}

/// Another node, or this one, as the one that places sees it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) seat: Seat,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) is_alive: bool,
    since: Instant,
    /// Whether it has answered since it was met: until then it may know of actors that this node does not.
    pub(super) is_heard: bool,
    pub(super) is_busy: bool,
    pub(super) not_before: Instant,
    pub(super) compare_at: Instant,
    pub(super) kinds: BTreeSet<String>,
    pub(super) others: u64,
    pub(super) is_closed: bool,
    /// It is of a version that knows nothing of placement.
    pub(super) is_deaf: bool,
    /// Names whose record it has to be told.
    pub(super) dirty: BTreeSet<String>,
    pub(super) release: Vec<Life>,
}

impl View {
    pub(super) fn new(seat: Seat, labels: BTreeMap<String, String>, now: Instant) -> Self {
        Self {
            seat,
            labels,
            is_alive: false,
            since: now,
            is_heard: false,
            is_busy: false,
            not_before: now,
            compare_at: now,
            kinds: BTreeSet::new(),
            others: 0,
            is_closed: false,
            is_deaf: false,
            dirty: BTreeSet::new(),
            release: Vec::new(),
        }
    }
}

/// What went wrong with an actor lately.
#[derive(Debug)]
struct Trouble {
    avoid: BTreeSet<NodeId>,
    refusal: Option<Failure>,
    crashes: u32,
    not_before: Instant,
    last: Instant,
}

/// The node that places: of the members that were not declared dead the one whose process is the oldest.
pub(super) fn leader(rows: &[Row]) -> Option<&Row> {
    rows.iter().filter(|row| row.is_active).min_by_key(|row| (row.boot, row.id))
}

impl Lead {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            views: BTreeMap::new(),
            fresh: BTreeMap::new(),
            pending: BTreeSet::new(),
            vacant: BTreeSet::new(),
            trouble: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Every node is to be told of this name.
    pub(super) fn is_news(&mut self, name: &str) {
        for view in self.views.values_mut() {
            view.dirty.insert(name.to_owned());
        }
    }

    /// Keeps the views of those that are in the mesh now.
    pub(super) fn meet(&mut self, rows: &[Row], now: Instant) {
        let is_there = |view: &View| {
            rows.iter().any(|row| row.is_active && row.id == view.seat.node() && row.boot == view.seat.boot())
        };
        self.views.retain(|_, view| is_there(view));
        for row in rows.iter().filter(|row| row.is_active) {
            let seat = || Seat { id: row.id.0, boot: row.boot.0, name: row.name.clone() };
            let view = self.views.entry(row.id).or_insert_with(|| View::new(seat(), row.labels.clone(), now));
            view.is_alive = row.is_alive;
            view.labels.clone_from(&row.labels);
            view.seat.name.clone_from(&row.name);
        }
    }

    /// Whether it knows enough to decide: it has been the oldest for a moment, and has heard from all others.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        let is_known = |view: &View| view.is_heard || now.duration_since(view.since) >= HEAR_PATIENCE;
        now.duration_since(self.since) >= SETTLE && self.views.values().all(is_known)
    }

    /// Whether the node of a seat is gone.
    fn is_lost(&mut self, seat: &Seat, rows: &[Row], now: Instant) -> bool {
        match rows.iter().find(|row| row.id == seat.node()) {
            Some(row) => {
                self.unknown.remove(&seat.node());
                row.boot > seat.boot() || (row.boot == seat.boot() && !row.is_active)
            }
            None => {
                let since = *self.unknown.entry(seat.node()).or_insert(now);
                now.duration_since(since) >= UNKNOWN_PATIENCE
            }
        }
    }
}

impl State {
    /// Names that need an epoch and a seat now.
    pub(super) fn find_unseated(&mut self, rows: &[Row], now: Instant) -> Vec<(String, u64)> {
        let Some(lead) = &mut self.lead else { return Vec::new() };
        if !lead.is_ready(now) {
            return Vec::new();
        }
        lead.trouble.retain(|_, trouble| now.duration_since(trouble.last) < TROUBLE_FOR);
        let mut found: Vec<(String, u64)> =
            lead.fresh.values().map(|record| (record.name.clone(), record.epoch)).collect();
        for record in self.table.all_live() {
            if lead.vacant.contains(&record.name) || lead.is_lost(&record.seat, rows, now) {
                found.push((record.name.clone(), record.epoch));
            }
        }
        let can_run = |lead: &Lead, name: &str| {
            let record = lead.fresh.get(name).or_else(|| self.table.live(name));
            let fits = |record: &Record| lead.views.values().any(|view| choose::fits(&record.wanted, view));
            record.is_some_and(fits)
        };
        found.retain(|(name, _)| {
            let waits = lead.trouble.get(name).is_some_and(|trouble| trouble.not_before > now);
            let is_refused = lead.trouble.get(name).is_some_and(|trouble| trouble.refusal.is_some());
            !waits && !lead.pending.contains(name) && (is_refused || can_run(lead, name))
        });
        found.truncate(EPOCHS_AT_ONCE.saturating_sub(lead.pending.len()));
        lead.pending.extend(found.iter().map(|(name, _)| name.clone()));
        found
    }

    /// An epoch was given: the actor gets its seat.
    pub(super) fn seat(&mut self, name: &str, after: u64, epoch: u64, here: &str, now: Instant) {
        let Some(lead) = &mut self.lead else { return };
        lead.pending.remove(name);
        let fresh = lead.fresh.remove(name);
        let is_fresh = fresh.is_some();
        let Some(record) = fresh.or_else(|| self.table.live(name).cloned()) else { return };
        if record.epoch != after {
            return;
        }
        let trouble = lead.trouble.get_mut(name);
        let nobody = BTreeSet::new();
        let (avoid, refusal) = match &trouble {
            Some(trouble) => (&trouble.avoid, trouble.refusal.clone()),
            None => (&nobody, None),
        };
        let is_new = record.is_new && (is_fresh || refusal.is_some());
        let seated = |node| self.table.seated(node);
        if let Some(view) = choose::choose(&record.wanted, lead.views.values(), avoid, seated) {
            let seat = view.seat.clone();
            lead.vacant.remove(name);
            tracing::info!(actor = %name, epoch, node = %seat.name, "an actor is placed");
            self.learn(Record { epoch, seat, is_new, ..record });
            return;
        }
        if is_new {
            let failure = refusal.unwrap_or_else(|| self.no_place(&record, here));
            tracing::warn!(actor = %name, reason = %failure.message, "an actor could not be placed");
            self.give_up(name, failure);
        } else if let Some(trouble) = trouble {
            trouble.avoid.clear();
            trouble.refusal = None;
            trouble.not_before = now + REFUSED_PAUSE;
        }
    }

    /// The error of an actor that no node can run.
    pub(super) fn no_place(&self, record: &Record, here: &str) -> Failure {
        let views = self.lead.iter().flat_map(|lead| lead.views.values());
        let reason = choose::why_none(&record.wanted, views);
        crate::failure::failure_of(&AskError::CannotSpawn { path: record.name.clone(), reason }, here)
    }

    /// A new actor is not placed after all; its placer is told when it asks.
    fn give_up(&mut self, name: &str, failure: Failure) {
        self.strike(name);
        if let Some(lead) = &mut self.lead {
            lead.vacant.remove(name);
            lead.trouble.remove(name);
        }
        while self.refused.len() >= REFUSED_MAX {
            self.refused.pop_first();
        }
        self.refused.insert(name.to_owned(), failure);
    }

    /// No epoch was given: it is asked for again after a pause.
    pub(super) fn no_epoch(&mut self, name: &str, now: Instant) {
        let Some(lead) = &mut self.lead else { return };
        lead.pending.remove(name);
        let trouble = lead.trouble.entry(name.to_owned()).or_insert_with(|| Trouble::new(now));
        (trouble.not_before, trouble.last) = (now + CRASH_PAUSE, now);
    }

    /// A node says what does not run there any more.
    pub(super) fn hear_ended(&mut self, from: &Seat, ended: Ended, now: Instant) {
        let Ended { name, epoch, how } = ended;
        let Some(lead) = &mut self.lead else { return };
        let is_meant = |record: &&Record| {
            record.epoch == epoch && record.seat.id == from.id && record.seat.boot == from.boot
        };
        if self.table.live(&name).filter(is_meant).is_none()
            || lead.pending.contains(&name)
            || lead.vacant.contains(&name)
        {
            return;
        }
        match how {
            How::Fenced => return,
            How::Stopped => return self.strike(&name),
            How::Released => {}
            How::Crashed => {
                let trouble = lead.trouble.entry(name.clone()).or_insert_with(|| Trouble::new(now));
                let pause = CRASH_PAUSE * 2u32.saturating_pow(trouble.crashes.min(6));
                trouble.crashes += 1;
                (trouble.not_before, trouble.last) = (now + pause.min(CRASH_PAUSE_MAX), now);
                tracing::warn!(actor = %name, epoch, node = %from.name, ?pause, "a placed actor was given up");
            }
            How::Refused { failure } => {
                let trouble = lead.trouble.entry(name.clone()).or_insert_with(|| Trouble::new(now));
                trouble.avoid.insert(from.node());
                trouble.last = now;
                trouble.refusal = serde_json::from_str(&failure).ok();
                tracing::warn!(actor = %name, epoch, node = %from.name, %failure, "a node refused an actor");
            }
        }
        lead.vacant.insert(name);
    }
}

impl Trouble {
    fn new(now: Instant) -> Self {
        Self { avoid: BTreeSet::new(), refusal: None, crashes: 0, not_before: now, last: now }
    }
}
