use mesh_proto::{
    Boot, Delta, Directory, Entry, NodeId, Taken, check_name, decode_frame,
    membership::{Membership, MembershipConfig, Own, Peer, Profile, Sync},
};
use std::time::Duration;

/// Names as two nodes publish them.
///
/// # Panics
/// When the order in which they came decides who owns a name, or a node that is forgotten still owns one.
pub fn directory(bytes: &[u8]) {
    let Ok((one, two)) = decode_frame::<(Vec<Entry>, Vec<Entry>)>(bytes) else { return };
    let nodes = [(NodeId(1), &one), (NodeId(2), &two)];
    let own = || Directory::new(NodeId(3), Boot(1));
    let (mut there, mut back) = (own(), own());
    for (node, entries) in nodes {
        entries.iter().for_each(|entry| there.note(node, Boot(1), entry.clone()));
    }
    for (node, entries) in nodes.into_iter().rev() {
        entries.iter().for_each(|entry| back.note(node, Boot(1), entry.clone()));
    }
    let all = |_: NodeId| true;
    assert!(there.names(all).eq(back.names(all)), "{one:?} {two:?}");
    there.forget(NodeId(1), Boot(1));
    assert!(there.names(all).all(|(_, owner)| owner == NodeId(2)));
    for entry in &two {
        there.strike(NodeId(2), &entry.name);
    }
    assert_eq!(there.names(all).count(), 0);
}

/// What a peer tells of its names, delta by delta.
///
/// # Panics
/// When a name is found that is none, a delta counts and its owner would say otherwise, or something is left of a node
/// that is forgotten.
pub fn deltas(bytes: &[u8]) {
    let Ok(deltas) = decode_frame::<Vec<Delta>>(bytes) else { return };
    let (peer, boot) = (NodeId(2), Boot(1));
    let mut names = Directory::new(NodeId(1), boot);
    for delta in deltas {
        let (to, digest) = (delta.to, delta.digest);
        if names.take(peer, boot, delta) == Taken::Applied {
            let known = names.known(peer);
            assert_eq!((known.version, known.digest), (to, digest));
        }
        assert!(names.names(|_| true).all(|(name, owner)| check_name(name).is_ok() && owner == peer));
    }
    let found: Vec<_> = names.of(peer).flat_map(|one| one.capabilities.clone()).collect();
    names.forget(peer, boot);
    assert_eq!(names.names(|_| true).count(), 0);
    assert!(found.iter().all(|label| names.with_capability(label, |_| true).count() == 0));
}

/// A datagram of membership, or a message of push/pull, as a peer sends it; the first byte says which.
///
/// # Panics
/// When this node's own word about itself is changed, or more members are known than may be.
pub fn membership(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let mut machine = machine();
    let peer = Peer { node: NodeId(2), boot: Boot(1), addr: "127.0.0.1:2".into(), dialled: None };
    machine.connected(&peer, Duration::ZERO);
    let mut now = Duration::from_secs(1);
    if kind % 2 == 0 {
        // What is wrong with it is told; nothing else is promised.
        drop(machine.datagram(NodeId(2), bytes, now));
    } else if let Ok(message) = decode_frame::<Sync>(bytes) {
        drop(machine.sync(NodeId(2), message, now));
    }
    for _ in 0..30 {
        now += Duration::from_secs(1);
        machine.advance(now);
        while machine.poll().is_some() {}
    }
    assert!(machine.members().count() <= MEMBERS_MAX);
    assert_eq!(
        (machine.own().0, machine.own().1, machine.own().2.name.as_str()),
        (NodeId(1), Boot(1), "own")
    );
}

const MEMBERS_MAX: usize = 16;

fn machine() -> Membership {
    let config = MembershipConfig { members_max: MEMBERS_MAX, ..MembershipConfig::lan() };
    let profile = Profile { name: "own".to_owned(), ..Profile::default() };
    let own = Own { node: NodeId(1), boot: Boot(1), addr: "127.0.0.1:1".into(), profile };
    Membership::new(config, own, 1, Duration::ZERO).expect("the settings are in their ranges")
}
