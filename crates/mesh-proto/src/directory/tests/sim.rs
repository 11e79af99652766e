//! Nodes whose connections break and whose processes restart, from a seed: in the end all know the same.

use crate::directory::{log::Log, *};
use std::collections::VecDeque;

const NODES: usize = 4;
const NAMES: u64 = 6;
const STEPS: u64 = 120;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % end
    }

    fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }
}

enum Frame {
    Known(Known),
    Delta(Delta),
}

struct Node {
    boot: Boot,
    directory: Directory,
}

/// Two connections each way, as when both sides dial at once: each keeps its own order, and they keep none together.
type Link = [VecDeque<Frame>; 2];

struct World {
    chance: Chance,
    nodes: Vec<Node>,
    links: BTreeMap<(usize, usize), Link>,
    /// Whether both connections of a link are in use.
    is_crossing: bool,
    repairs: u32,
}

fn id(node: usize) -> NodeId {
    NodeId(node as u128 + 1)
}

fn born(node: usize, boot: Boot, chance: &mut Chance) -> Node {
    let mut directory = Directory::new(id(node), boot);
    directory.log = Log::of(chance.place(12));
    Node { boot, directory }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let nodes = (0..NODES).map(|node| born(node, Boot(1), &mut chance)).collect();
        let mut world =
            Self { chance, nodes, links: BTreeMap::new(), is_crossing: seed.is_multiple_of(2), repairs: 0 };
        for one in 0..NODES {
            (0..one).for_each(|other| world.reconnect(one, other));
        }
        world
    }

    fn node(&mut self) -> usize {
        self.chance.place(NODES)
    }

    fn pair(&mut self) -> (usize, usize) {
        let (one, step) = (self.node(), 1 + self.chance.place(NODES - 1));
        (one, (one + step) % NODES)
    }

    fn send(&mut self, from: usize, to: usize, frames: impl IntoIterator<Item = Frame>) {
        // Mostly one of them is used: the other is about to be given up.
        let which = usize::from(self.is_crossing && self.chance.below(8) == 0);
        self.links.get_mut(&(from, to)).unwrap()[which].extend(frames);
    }

    /// What is on the way between the two is lost, and both say what they have.
    fn reconnect(&mut self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            self.links.insert((from, to), Link::default());
        }
        for (from, to) in [(one, other), (other, one)] {
            let boot = self.nodes[to].boot;
            let known = self.nodes[from].directory.connected(id(to), boot);
            self.send(from, to, [Frame::Known(known)]);
        }
    }

    fn change(&mut self) {
        let (node, name) = (self.node(), format!("name-{}", self.chance.below(NAMES)));
        let delta = if self.chance.below(3) == 0 {
            self.nodes[node].directory.withdraw(&name)
        } else {
            let (serial, since_ms) = (self.chance.below(100), self.chance.below(100));
            let capabilities = (0..self.chance.below(3)).map(|at| format!("can-{at}")).collect();
            let entry = Entry { name, serial, since_ms };
            Some(self.nodes[node].directory.publish(Publication { entry, capabilities, kinds: Vec::new() }))
        };
        let Some(delta) = delta else { return };
        for to in (0..NODES).filter(|to| *to != node) {
            self.send(node, to, [Frame::Delta(delta.clone())]);
        }
    }

    fn restart(&mut self) {
        let node = self.node();
        let boot = Boot(self.nodes[node].boot.0 + 1);
        self.nodes[node] = born(node, boot, &mut self.chance);
        for peer in (0..NODES).filter(|peer| *peer != node) {
            self.reconnect(node, peer);
        }
    }

    /// Something that must not happen: a name is lost on a peer.
    fn damage(&mut self) {
        let (node, peer) = self.pair();
        let name = format!("name-{}", self.chance.below(NAMES));
        self.nodes[node].directory.remove(id(peer), &name);
    }

    fn tick(&mut self) {
        for (from, to) in self.links.keys().copied().collect::<Vec<_>>() {
            let known = self.nodes[from].directory.known(id(to));
            self.send(from, to, [Frame::Known(known)]);
        }
    }

    fn deliver(&mut self, from: usize, to: usize, which: usize) {
        let Some(frame) = self.links.get_mut(&(from, to)).unwrap()[which].pop_front() else { return };
        match frame {
            Frame::Known(known) => {
                let answer = self.nodes[to].directory.answer(&known);
                self.repairs += u32::from(answer.need == Need::Repair);
                self.send(to, from, answer.parts.into_iter().map(Frame::Delta));
            }
            Frame::Delta(delta) => {
                let boot = self.nodes[from].boot;
                if let Taken::Ask(known) = self.nodes[to].directory.take(id(from), boot, delta) {
                    self.send(to, from, [Frame::Known(known)]);
                }
            }
        }
    }

    fn settle(&mut self) {
        while let Some(&(from, to)) =
            self.links.iter().find(|(_, link)| link.iter().any(|way| !way.is_empty())).map(|(ends, _)| ends)
        {
            let which = self.chance.place(2);
            self.deliver(from, to, which);
        }
    }

    fn check(&self, seed: u64) {
        let first = &self.nodes[0].directory;
        for (viewer, node) in self.nodes.iter().enumerate() {
            for (owner, owned) in self.nodes.iter().enumerate() {
                let (there, here) = (owned.directory.of(id(owner)), node.directory.of(id(owner)));
                assert!(there.eq(here), "seed {seed}: node {viewer} is wrong about node {owner}");
            }
            let names = |directory: &Directory| -> Vec<(String, NodeId)> {
                directory.names(|_| true).map(|(name, owner)| (name.to_owned(), owner)).collect()
            };
            assert_eq!(names(first), names(&node.directory), "seed {seed}: node {viewer}");
            for label in 0..3 {
                let label = format!("can-{label}");
                let found = first.with_capability(&label, |_| true);
                assert!(found.eq(node.directory.with_capability(&label, |_| true)), "seed {seed}: {label}");
            }
            for (name, owner) in node.directory.lost(|_| true) {
                assert_eq!(node.directory.owner(name, |_| true), Some(owner), "seed {seed}: {name}");
            }
        }
    }
}

fn run(seed: u64, with_damage: bool) -> World {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        match world.chance.below(20) {
            0 => {
                let (one, other) = world.pair();
                world.reconnect(one, other);
            }
            1 if world.chance.below(3) == 0 => world.restart(),
            2 if with_damage => world.damage(),
            3 => world.tick(),
            4..=8 => world.change(),
            _ => {
                let (from, to) = world.pair();
                let which = usize::from(world.chance.below(4) == 0);
                world.deliver(from, to, which);
            }
        }
    }
    world.settle();
    world
}

fn seeds() -> u64 {
    std::env::var("MESH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3_000)
}

/// Whatever was lost with a connection is told over the next one, and what overtook something is found out by that: nothing has to
/// wait for the next round.
#[test]
fn after_every_break_and_restart_all_know_the_same_names() {
    for seed in 0..seeds() {
        let world = run(seed, false);
        world.check(seed);
        assert_eq!(world.repairs, 0, "seed {seed}: nothing was wrong");
    }
}

#[test]
fn what_was_damaged_is_mended_by_the_next_round() {
    let mut repairs = 0;
    for seed in 0..seeds() {
        let mut world = run(seed, true);
        world.tick();
        world.settle();
        world.check(seed);
        repairs += world.repairs;
    }
    assert!(repairs > 0, "the damage was seen");
}
