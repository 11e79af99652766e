use mesh_proto::{
    Boot, Directory, Entry, NodeId, decode_frame,
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
    let (mut there, mut back) = (Directory::default(), Directory::default());
    for (node, entries) in nodes {
        entries.iter().for_each(|entry| there.publish(node, Boot(1), entry.clone()));
    }
    for (node, entries) in nodes.into_iter().rev() {
        entries.iter().for_each(|entry| back.publish(node, Boot(1), entry.clone()));
    }
    let all = |_: NodeId| true;
    assert!(there.names(all).eq(back.names(all)), "{one:?} {two:?}");
    there.forget(NodeId(1), Boot(1));
    assert!(there.names(all).all(|(_, owner)| owner == NodeId(2)));
    for entry in &two {
        there.withdraw(NodeId(2), &entry.name);
    }
    assert_eq!(there.names(all).count(), 0);
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
