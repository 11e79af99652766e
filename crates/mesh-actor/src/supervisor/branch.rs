//! One supervisor of a tree: its rules, its seats, and who sits in them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Timer;
use super::rules::{End, Place, RowSpec, Rules, Token};
use crate::actor::ExitReason;
use crate::strategy::Strategy;
use crate::supervisor_spec::{ChildSpec, SupervisorSpec};

pub(crate) struct Branch {
    pub(crate) lineage: Arc<Lineage>,
    pub(crate) strategy: Strategy,
    pub(crate) rules: Rules,
    pub(crate) parent: Option<(u64, Place)>,
    pub(crate) seats: BTreeMap<Place, Seat>,
    /// How many of the seats are of the spec, and outlast their children.
    fixed: Place,
    next: Place,
    pub(crate) timers: HashMap<Token, Timer>,
    /// False once somebody outside told it to end.
    pub(crate) is_wanted: bool,
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// Why it ended last.
    pub(crate) exit: Option<ExitReason>,
    pub(crate) since: Instant,
}

/// Where a child sits.
pub(crate) struct Seat {
    pub(crate) spec: ChildSpec,
    pub(crate) instance: Option<Instance>,
    /// Whether this child was started before.
    pub(crate) has_run: bool,
}

/// A child, by its serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instance {
    Actor(u64),
    Supervisor(u64),
}

/// What lasts of a supervisor as long as anybody refers to it.
pub(crate) struct Lineage {
    pub(crate) serial: u64,
    pub(crate) name: String,
    exit: OnceLock<ExitReason>,
    exited: Notify,
}

impl Branch {
    pub(super) fn new(serial: u64, spec: SupervisorSpec, rules: Rules, parent: Option<(u64, Place)>) -> Self {
        let seats: BTreeMap<Place, Seat> = (0..).zip(spec.children.into_iter().map(Seat::new)).collect();
        let fixed = seats.keys().next_back().map_or(0, |last| last + 1);
        let name = spec.name;
        Self {
            lineage: Arc::new(Lineage { serial, name, exit: OnceLock::new(), exited: Notify::new() }),
            strategy: spec.strategy,
            rules,
            parent,
            seats,
            fixed,
            next: fixed,
            timers: HashMap::new(),
            is_wanted: true,
            restarts: 0,
            exit: None,
            since: Instant::now(),
        }
    }

    /// A seat for one more child, unless its name is taken.
    pub(super) fn add_seat(&mut self, spec: ChildSpec) -> Option<Place> {
        if self.seats.values().any(|seat| seat.spec.name() == spec.name()) {
            return None;
        }
        let place = self.next;
        self.next += 1;
        self.seats.insert(place, Seat::new(spec));
        Some(place)
    }

    pub(super) fn at(&self, place: Place) -> Option<Instance> {
        self.seats.get(&place)?.instance
    }

    /// Whoever sits there is gone. A seat of the spec stays.
    pub(super) fn vacate(&mut self, place: Place) -> Option<Instance> {
        if place < self.fixed {
            self.seats.get_mut(&place)?.instance.take()
        } else {
            self.seats.remove(&place)?.instance
        }
    }

    pub(super) fn instance(&self, name: &str) -> Option<Instance> {
        self.seats.values().find(|seat| seat.spec.name() == name)?.instance
    }

    pub(super) fn instances(&self) -> Vec<Instance> {
        self.seats.values().filter_map(|seat| seat.instance).collect()
    }

    /// Gives the name of the child that is restarted, alone or with others.
    pub(super) fn note_restart(&self, place: Place) -> String {
        let child = self.seats.get(&place).map_or("", |seat| seat.spec.name());
        let supervisor = &self.lineage.name;
        tracing::info!(supervisor, child, strategy = self.strategy.as_str(), "child is restarted");
        child.to_owned()
    }

    pub(super) fn is_over(&mut self, end: End) {
        let supervisor = &self.lineage.name;
        let restarts = self.restarts;
        let crashed = |reason: &str| ExitReason::Crashed { reason: reason.to_owned(), restarts };
        self.exit = Some(match end {
            End::Asked | End::Significant => ExitReason::Stopped,
            End::GaveUp => {
                tracing::error!(supervisor, "supervisor gives up: its children are restarted too often");
                crashed("its children are restarted too often")
            }
            End::StartFailed => {
                tracing::error!(supervisor, "supervisor gives up: a child does not start");
                crashed("a child does not start")
            }
        });
    }
}

impl Seat {
    fn new(spec: ChildSpec) -> Self {
        Self { spec, instance: None, has_run: false }
    }
}

impl ChildSpec {
    pub(super) fn row(&self) -> RowSpec {
        RowSpec { restart: self.restart, shutdown: self.shutdown, is_significant: self.is_significant }
    }
}

impl Lineage {
    pub(super) fn end(&self, reason: ExitReason) {
        // Only the first end counts.
        let _ = self.exit.set(reason);
        self.exited.notify_waiters();
    }

    pub(crate) fn exit(&self) -> Option<&ExitReason> {
        self.exit.get()
    }

    pub(crate) async fn stopped(&self) -> ExitReason {
        loop {
            // Made before the outcome is read: `notify_waiters` reaches every `Notified` that exists by then.
            let exited = self.exited.notified();
            if let Some(reason) = self.exit.get() {
                return reason.clone();
            }
            exited.await;
        }
    }
}
