//! The nodes, and the queue of what happens next.

use super::{
    ledger::Ledger,
    naming::{addr, boot, id, index, node_at},
    network::{Conditions, Network},
    scenario::Operation,
};
use crate::{
    codec::encode_frame,
    membership::{Action, Change, Membership, MembershipConfig, Own, Peer, Profile, Sync, random::Seeded},
};
use bytes::Bytes;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::Arc,
    time::Duration,
};

mod connections;
mod truth;

/// A connection without a sign of life is given up: mesh-net's default.
const IDLE: Duration = Duration::from_secs(2);

/// Most of what waits for a node that stands still: about what a socket's buffer holds.
const WAITING_MAX: usize = 4_000;

/// What all nodes have sent, in bytes of datagrams and of frames, without what QUIC and UDP add.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Datagrams.
    pub datagrams: u64,
    /// Their bytes.
    pub datagram_bytes: u64,
    /// Bytes of push/pull.
    pub sync_bytes: u64,
}

#[derive(Debug)]
enum Event {
    Wake(usize),
    Hear { to: usize, from: usize, epoch: u64, what: Heard },
    Meet { from: usize, to: usize, dialled: Arc<str> },
    GiveUp { one: usize, other: usize, epoch: u64 },
}

#[derive(Debug)]
enum Heard {
    Datagram(Bytes),
    Sync(Sync),
    Connected(Peer),
    Disconnected,
}

struct Node {
    machine: Option<Membership>,
    boot: u64,
    wake_at: Option<Duration>,
    waiting: Option<VecDeque<(usize, Heard)>>,
    ledger: Ledger,
}

/// A mesh, and the time in it.
pub struct Cluster {
    config: MembershipConfig,
    seed: u64,
    now: Duration,
    nodes: Vec<Node>,
    pub(super) network: Network,
    events: BTreeMap<u64, Event>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    next_event: u64,
    traffic: Traffic,
    changes: Vec<(Duration, usize, Change)>,
    most_actions: usize,
    renewals: usize,
}

impl Cluster {
    /// A mesh of `nodes` that have yet to start. The settings' seeds are replaced by nodes 0 and 1.
    #[must_use]
    pub fn new(nodes: usize, config: &MembershipConfig, conditions: Conditions, seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let idle =
            |_| Node { machine: None, boot: 0, wake_at: None, waiting: None, ledger: Ledger::default() };
        Self {
            config: MembershipConfig { seeds: vec![addr(0), addr(1)], ..config.clone() },
            seed,
            now: Duration::ZERO,
            nodes: (0..nodes).map(idle).collect(),
            network: Network::new(nodes, conditions, random.draw()),
            events: BTreeMap::new(),
            queue: BinaryHeap::new(),
            next_event: 0,
            traffic: Traffic::default(),
            changes: Vec::new(),
            most_actions: 0,
            renewals: 0,
        }
    }

    /// The time in the mesh.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// What was sent since the last call.
    pub fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }

    /// What nodes have told since the last call: when, which node, and what.
    pub fn take_changes(&mut self) -> Vec<(Duration, usize, Change)> {
        std::mem::take(&mut self.changes)
    }

    /// Most actions that one event led to.
    #[must_use]
    pub fn most_actions(&self) -> usize {
        self.most_actions
    }

    /// How often nodes have come back from the dead.
    #[must_use]
    pub fn renewals(&self) -> usize {
        self.renewals
    }

    /// The machine of a node that runs.
    #[must_use]
    pub fn machine(&self, node: usize) -> Option<&Membership> {
        self.nodes[node].machine.as_ref()
    }

    /// Lets a scenario happen.
    ///
    /// # Errors
    /// The first telling that breaks the promise of [`Change`], with the seed.
    pub fn run(&mut self, operations: &[Operation]) -> Result<(), String> {
        operations.iter().try_for_each(|operation| {
            self.perform(operation).map_err(|error| format!("{error}; seed {}, at {operation:?}", self.seed))
        })
    }

    fn perform(&mut self, operation: &Operation) -> Result<(), String> {
        match operation {
            Operation::Start(node) => self.start(*node),
            Operation::Kill(node) => {
                self.kill(*node);
                Ok(())
            }
            Operation::Pause(node) => {
                self.pause(*node);
                Ok(())
            }
            Operation::Resume(node) => self.resume(*node),
            Operation::Leave(node) => self.leave(*node),
            Operation::CutOneWay(from, to) => {
                self.cut(from, to);
                Ok(())
            }
            Operation::Isolate(nodes) => {
                let others: Vec<usize> = (0..self.nodes.len()).filter(|node| !nodes.contains(node)).collect();
                self.cut(nodes, &others);
                self.cut(&others, nodes);
                Ok(())
            }
            Operation::Heal => {
                self.network.heal();
                Ok(())
            }
            Operation::Loss(loss) => {
                self.network.conditions.loss = *loss;
                Ok(())
            }
            Operation::Wait(time) => self.pass(*time),
        }
    }

    fn start(&mut self, node: usize) -> Result<(), String> {
        self.kill(node);
        let number = self.nodes[node].boot + 1;
        let own = Own {
            node: id(node),
            boot: boot(number),
            addr: addr(node),
            profile: Profile { name: format!("n{node}"), ..Profile::default() },
        };
        let seed = self.seed ^ (u64::try_from(node).unwrap_or(0) << 32) ^ number;
        let machine =
            Membership::new(self.config.clone(), own, seed, self.now).map_err(|error| error.to_string())?;
        self.nodes[node] = Node {
            machine: Some(machine),
            boot: number,
            wake_at: None,
            waiting: None,
            ledger: Ledger::default(),
        };
        self.with(node, |machine, now| machine.advance(now))
    }

    fn kill(&mut self, node: usize) {
        self.nodes[node].machine = None;
        self.nodes[node].waiting = None;
        self.give_up_later(node);
        for other in 0..self.nodes.len() {
            self.network.drop_side(node, other);
        }
    }

    fn pause(&mut self, node: usize) {
        if self.nodes[node].machine.is_some() && self.nodes[node].waiting.is_none() {
            self.nodes[node].waiting = Some(VecDeque::new());
            self.give_up_later(node);
        }
    }

    fn resume(&mut self, node: usize) -> Result<(), String> {
        for (from, heard) in self.nodes[node].waiting.take().unwrap_or_default() {
            self.hear(node, from, heard)?;
        }
        self.with(node, |machine, now| machine.advance(now))
    }

    fn leave(&mut self, node: usize) -> Result<(), String> {
        if self.nodes[node].waiting.is_none() {
            self.with(node, |machine, now| machine.leave(now))?;
        }
        // Its connections are closed in order.
        for other in 0..self.nodes.len() {
            self.part(node, other, self.now + self.network.delay_in_order());
        }
        self.kill(node);
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now + time;
        while let Some(Reverse((at, number))) =
            self.queue.peek().copied().filter(|Reverse((at, _))| *at <= end)
        {
            self.queue.pop();
            self.now = at;
            if let Some(event) = self.events.remove(&number) {
                self.happen(event)?;
            }
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Wake(node) => {
                if self.nodes[node].wake_at != Some(self.now) {
                    return Ok(());
                }
                self.nodes[node].wake_at = None;
                if self.nodes[node].waiting.is_some() {
                    return Ok(());
                }
                self.with(node, |machine, now| machine.advance(now))
            }
            Event::Hear { to, from, epoch, what } => {
                if self.network.epoch(to, from) == Some(epoch) {
                    self.hear(to, from, what)
                } else {
                    Ok(())
                }
            }
            Event::Meet { from, to, dialled } => self.meet(from, to, &dialled),
            Event::GiveUp { one, other, epoch } => {
                // The run of before answers no more, however soon the next one came.
                let is_silent = !self.network.is_connected(one, other)
                    || !self.answers(one, other)
                    || !self.answers(other, one);
                if is_silent { self.end(one, other, epoch).and(self.end(other, one, epoch)) } else { Ok(()) }
            }
        }
    }

    fn hear(&mut self, to: usize, from: usize, heard: Heard) -> Result<(), String> {
        if let Some(waiting) = &mut self.nodes[to].waiting {
            if waiting.len() < WAITING_MAX || !matches!(heard, Heard::Datagram(_)) {
                waiting.push_back((from, heard));
            }
            return Ok(());
        }
        let mut refused = None;
        self.with(to, |machine, now| match heard {
            Heard::Datagram(bytes) => {
                refused = machine.datagram(id(from), &bytes, now).err().map(|e| e.to_string())
            }
            Heard::Sync(message) => {
                refused = machine.sync(id(from), message, now).err().map(|e| e.to_string())
            }
            Heard::Connected(peer) => machine.connected(&peer, now),
            Heard::Disconnected => machine.disconnected(id(from), now),
        })?;
        refused.map_or(Ok(()), |error| Err(format!("node {to} refused what an honest node said: {error}")))
    }

    /// Does something to the machine of a node that runs, and performs what it asks for.
    pub(super) fn with(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Membership, Duration),
    ) -> Result<(), String> {
        let now = self.now;
        let Some(machine) = &mut self.nodes[node].machine else { return Ok(()) };
        act(machine, now);
        let actions: Vec<Action> = std::iter::from_fn(|| machine.poll()).collect();
        if let Some(next) = machine.next_at()
            && self.nodes[node].wake_at.is_none_or(|at| next < at)
        {
            let at = next.max(now);
            self.nodes[node].wake_at = Some(at);
            self.plan(at, Event::Wake(node));
        }
        self.most_actions = self.most_actions.max(actions.len());
        actions.into_iter().try_for_each(|action| self.act(node, action))
    }

    fn act(&mut self, from: usize, action: Action) -> Result<(), String> {
        match action {
            Action::Send { to, bytes } => {
                self.traffic.datagrams += 1;
                self.traffic.datagram_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let delay = self.network.delay();
                self.carry(from, index(to), delay, Heard::Datagram(bytes));
            }
            Action::Sync { to, message } => {
                let mut bytes = Vec::new();
                encode_frame(&message, &mut bytes);
                self.traffic.sync_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let delay = self.network.delay_in_order();
                self.carry(from, index(to), Some(delay), Heard::Sync(message));
            }
            Action::Dial { addr, .. } => {
                let to = node_at(&addr).unwrap_or(from);
                let at = self.now + self.network.delay_in_order() * 3;
                self.plan(at, Event::Meet { from, to, dialled: addr });
            }
            Action::Changed(change) => {
                let noted = self.nodes[from].ledger.note(&change);
                self.changes.push((self.now, from, change));
                return noted.map_err(|error| format!("node {from} at {:?}: {error}", self.now));
            }
            Action::Forgotten { node, .. } => self.nodes[from].ledger.forget(node),
            Action::Superseded { boot } => return Err(format!("node {from} is superseded by {boot:?}")),
            Action::Renewed { .. } => self.renewals += 1,
            Action::Profile { .. } => {}
        }
        Ok(())
    }

    fn carry(&mut self, from: usize, to: usize, delay: Option<Duration>, what: Heard) {
        let (Some(delay), Some(epoch)) = (delay, self.network.epoch(from, to)) else { return };
        if self.network.is_open(from, to) && self.nodes[to].machine.is_some() {
            self.plan(self.now + delay, Event::Hear { to, from, epoch, what });
        }
    }

    fn plan(&mut self, at: Duration, event: Event) {
        self.events.insert(self.next_event, event);
        self.queue.push(Reverse((at, self.next_event)));
        self.next_event += 1;
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("seed", &self.seed).field("now", &self.now).finish_non_exhaustive()
    }
}
