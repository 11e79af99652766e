use super::*;
use crate::{
    Boot, NodeId,
    membership::{
        profile::{Load, Profile},
        sync::{Known, Message as SyncMessage, Sync},
    },
};
use proptest::prelude::*;

fn id(node: u128, boot: u64) -> Identity {
    Identity {
        node: NodeId(node),
        boot: Boot(boot),
        renewal: 1,
        has_left: false,
        addr: "10.0.0.1:7946".into(),
    }
}

fn row(node: u128) -> Row {
    let labels = vec![("gpu".to_owned(), "true".to_owned())];
    let profile = Profile { name: "beta".to_owned(), labels, load: Load { actors: 5, queued: 300 } };
    Row { node: NodeId(node), boot: Boot(2), version: 3, profile }
}

fn claim(node: u128, state: State) -> Claim {
    Claim { id: id(node, 2), incarnation: 4, state }
}

fn datagram(message: Message, claims: &[Claim], rows: &[Row]) -> Vec<u8> {
    let header = Header { src: id(1, 2), src_incarnation: 300, dst: id(2, 2), message };
    let packet = Packet { header, claims: Vec::new(), rows: Vec::new(), length: 0 };
    let mut bytes = packet.encode_with(claims);
    for row in rows {
        let mut encoded = Vec::new();
        encode_frame(row, &mut encoded);
        bytes.put_u16(u16::try_from(encoded.len()).unwrap());
        bytes.extend_from_slice(&encoded);
    }
    bytes.to_vec()
}

fn every_datagram() -> Vec<(&'static str, Vec<u8>)> {
    let news = [claim(3, State::Alive), claim(4, State::Suspect), claim(5, State::Down)];
    let third = || id(9, 2);
    vec![
        ("ping", datagram(Message::Ping(7), &news, &[row(3)])),
        ("ack", datagram(Message::Ack(7), &[claim(3, State::Alive)], &[])),
        ("ping-req", datagram(Message::PingReq { target: third(), probe: 7 }, &[], &[])),
        ("indirect-ping", datagram(Message::IndirectPing { origin: third(), probe: 7 }, &[], &[])),
        ("indirect-ack", datagram(Message::IndirectAck { target: third(), probe: 7 }, &[], &[])),
        ("forwarded-ack", datagram(Message::ForwardedAck { origin: third(), probe: 7 }, &[], &[])),
        ("announce", datagram(Message::Announce, &[], &[])),
        ("feed", datagram(Message::Feed, &news[..1], &[])),
        ("gossip", datagram(Message::Gossip, &news, &[row(3), row(4)])),
        ("broadcast", datagram(Message::Broadcast, &[], &[row(3)])),
        ("turn-undead", datagram(Message::TurnUndead, &[], &[])),
    ]
}

fn every_sync() -> Vec<(&'static str, Sync)> {
    let rows = vec![
        Known { claim: claim(3, State::Suspect), row: Some(row(3)) },
        Known { claim: claim(4, State::Down), row: None },
    ];
    let (after, until) = (Some(NodeId(2)), Some(NodeId(4)));
    vec![
        ("ask", Sync(SyncMessage::Ask { after: None, digest: 1 << 40 })),
        ("page", Sync(SyncMessage::Page { after, until, rows: rows.clone() })),
        ("tell", Sync(SyncMessage::Tell { rows })),
    ]
}

/// The bytes of version 1. A change here breaks every deployed node: it needs a new version instead.
#[test]
fn the_bytes_of_every_datagram_and_comparison_are_those_of_version_1() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut lines: Vec<String> =
        every_datagram().iter().map(|(name, bytes)| format!("{name:<14} {}", hex(bytes))).collect();
    for (name, message) in every_sync() {
        let mut bytes = Vec::new();
        encode_frame(&message, &mut bytes);
        assert_eq!(decode_frame::<Sync>(&bytes), Ok(message));
        lines.push(format!("{name:<14} {}", hex(&bytes)));
    }
    insta::assert_snapshot!("membership_v1", lines.join("\n"));
}

#[test]
fn what_is_written_is_read_again() {
    let news = [claim(3, State::Alive), claim(4, State::Suspect)];
    let bytes = datagram(Message::Gossip, &news, &[row(3), row(4)]);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.sender(), packet.sender_incarnation()), (&id(1, 2), 300));
    assert_eq!((&packet.claims[..], &packet.rows[..]), (&news[..], &[row(3), row(4)][..]));
    assert_eq!(packet.encode_with(&news), bytes[..packet.length]);
}

#[test]
fn a_datagram_that_is_cut_anywhere_or_goes_on_is_refused() {
    for (name, bytes) in every_datagram() {
        Packet::parse(&bytes).unwrap();
        for length in 0..bytes.len() {
            // Between two of its parts a datagram may end; that is another datagram, not a part of this one.
            if let Ok(packet) = Packet::parse(&bytes[..length]) {
                assert!(length >= packet.length, "{name} at {length}");
            }
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Packet::parse(&longer).is_err(), "{name}");
    }
}

#[test]
fn the_longest_header_leaves_room_for_news() {
    let addr: Arc<str> = "x".repeat(crate::membership::identity::ADDR_BYTES_MAX).into();
    let long = || Identity {
        node: NodeId(u128::MAX),
        boot: Boot(u64::MAX),
        renewal: u32::MAX,
        has_left: true,
        addr: addr.clone(),
    };
    let message = Message::PingReq { target: long(), probe: 255 };
    let header = Header { src: long(), src_incarnation: u16::MAX, dst: long(), message };
    let mut bytes = Vec::new();
    encode_frame(&header, &mut bytes);
    assert!(bytes.len() < DATAGRAM_BYTES_MAX - 200, "{}", bytes.len());
}

proptest! {
    #[test]
    fn any_bytes_are_a_datagram_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..1200)) {
        drop(Packet::parse(&bytes));
        drop(decode_frame::<Sync>(&bytes));
    }

    #[test]
    fn what_is_read_is_what_was_written(at in any::<prop::sample::Index>(), to in any::<u8>(), which in any::<prop::sample::Index>()) {
        let all = every_datagram();
        let mut bytes = all[which.index(all.len())].1.clone();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(packet) = Packet::parse(&bytes) {
            let again = packet.encode_with(&packet.claims);
            let again = Packet::parse(&again).unwrap();
            prop_assert_eq!((again.header, again.claims), (packet.header, packet.claims));
        }
    }
}
