//! A picture of the tree. What actors say of themselves is asked when the lock is free.

use super::{Arc, Branch, Charge, Child, Children, Instance, Instant, Nursery, Restart, Under};
use crate::info::ActorState;
use crate::supervisor::rules::State;
use crate::tree::{TreeKind, TreeNode};

/// A node whose actors were not asked yet.
enum Sketch {
    Actor { charge: Arc<dyn Charge>, restart: Restart, since: Instant },
    Supervisor { node: TreeNode, children: Vec<Self> },
}

impl Nursery {
    /// All that has no supervisor but the root, in the order of its spawning.
    pub(crate) fn tree(&self) -> Vec<TreeNode> {
        let sketches = self.children.lock().sketch_all();
        let now = Instant::now();
        sketches.into_iter().map(|sketch| sketch.drawn("", now)).collect()
    }
}

impl Children {
    fn sketch_all(&self) -> Vec<Sketch> {
        let actors = self.by_serial.iter().filter(|(_, child)| matches!(child.under(), Under::Root));
        let mut roots: Vec<(u64, Sketch)> =
            actors.map(|(serial, child)| (*serial, child.sketch(child.restart()))).collect();
        let trees = self.branches.iter().filter(|(_, branch)| branch.parent.is_none());
        roots.extend(trees.map(|(serial, branch)| (*serial, self.sketch(branch, Restart::Temporary))));
        roots.sort_by_key(|(serial, _)| *serial);
        roots.into_iter().map(|(_, sketch)| sketch).collect()
    }

    fn sketch(&self, branch: &Branch, restart: Restart) -> Sketch {
        let of_seat = |seat: &crate::supervisor::branch::Seat| match seat.instance? {
            Instance::Actor(serial) => Some(self.by_serial.get(&serial)?.sketch(seat.spec.restart)),
            Instance::Supervisor(serial) => Some(self.sketch(self.branches.get(&serial)?, seat.spec.restart)),
        };
        let children = branch.seats.values().filter_map(of_seat).collect();
        let node = TreeNode {
            serial: branch.lineage.serial,
            name: branch.lineage.name.clone(),
            path: String::new(),
            restart,
            state: self.state_of(branch),
            restarts: branch.restarts,
            last_crash: branch.exit.as_ref().map(ToString::to_string),
            since: branch.since.elapsed(),
            kind: TreeKind::Supervisor { strategy: branch.strategy, children: Vec::new() },
        };
        Sketch::Supervisor { node, children }
    }

    fn state_of(&self, branch: &Branch) -> ActorState {
        if branch.rules.is_starting() {
            return ActorState::Starting;
        }
        if !branch.rules.is_over() {
            return ActorState::Running;
        }
        let of_parent =
            branch.parent.and_then(|(parent, place)| self.branches.get(&parent)?.rules.state(place));
        match of_parent {
            Some(State::Failed | State::Waiting(_) | State::Ended) => ActorState::Restarting,
            _ if branch.exit.is_none() => ActorState::Starting,
            _ => ActorState::Stopped,
        }
    }
}

impl Child {
    fn sketch(&self, restart: Restart) -> Sketch {
        Sketch::Actor { charge: Arc::clone(&self.charge), restart, since: self.since }
    }
}

impl Sketch {
    fn drawn(self, above: &str, now: Instant) -> TreeNode {
        match self {
            Self::Actor { charge, restart, since } => {
                let info = charge.info();
                TreeNode {
                    serial: info.serial,
                    path: path(above, &info.name),
                    name: info.name.clone(),
                    restart,
                    state: info.state,
                    restarts: info.restarts,
                    last_crash: info.last_crash.clone(),
                    since: now.saturating_duration_since(since),
                    kind: TreeKind::Actor { info: Box::new(info) },
                }
            }
            Self::Supervisor { mut node, children } => {
                node.path = path(above, &node.name);
                let drawn = children.into_iter().map(|child| child.drawn(&node.path, now)).collect();
                if let TreeKind::Supervisor { children, .. } = &mut node.kind {
                    *children = drawn;
                }
                node
            }
        }
    }
}

fn path(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}
