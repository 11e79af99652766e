use super::*;
use crate::{
    ActorId, Boot, DecodeError, Directory, Entry, Failure, Json, NodeId, Publication, Retry, Subscription,
    TopicNews,
    credit::Weight,
    decode_frame, encode_frame,
    membership::{Action, Membership, MembershipConfig, Own, Peer, Profile, Sync},
};
use proptest::prelude::*;
use std::time::Duration;

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn failure() -> Failure {
    Failure {
        code: "NO_SUCH_ACTOR".to_owned(),
        message: "m".to_owned(),
        details: Json::null(),
        retry: Retry::AfterMs(300),
        may_have_run: true,
        origin: "beta".to_owned(),
    }
}

fn every_control_frame() -> Vec<Control> {
    let weight = Weight { messages: 4, bytes: 4096 };
    let actor = ActorId { node: NodeId(1), boot: Boot(2), serial: 3 };
    let entry = Entry { name: "echo".to_owned(), serial: 7, since_ms: 1000 };
    let kinds = vec![ChannelKind { name: "lab.echo.v1".to_owned(), streams: false }];
    let publication = Publication {
        entry: entry.clone(),
        capabilities: vec!["tool:fetch".to_owned()],
        kinds: vec!["lab.echo.v1".to_owned()],
    };
    let mut names = Directory::new(NodeId(1), Boot(2));
    let delta = names.publish(publication);
    vec![
        Control::Hello(Hello {
            boot: Boot(2),
            features: Features::NONE,
            listens: Some("127.0.0.1:7946".to_owned()),
        }),
        Control::Open { channel: 1, path: "echo".to_owned() },
        Control::Opened {
            channel: 1,
            actor,
            kinds,
            overflow: Overflow::Wait,
            capacity: Weight { messages: 1024, bytes: 1 << 20 },
            granted: weight,
        },
        Control::Closed { channel: 1, failure: failure() },
        Control::Close { channel: 1 },
        Control::Grant { channel: 1, granted: weight },
        Control::Want { channel: 1, until: weight },
        Control::Reclaim { channel: 1 },
        Control::Return { channel: 1, returned: weight },
        Control::Cancel { correlation: 300 },
        Control::Full { channel: 1, failure: failure() },
        Control::StreamGrant { correlation: 300, granted: weight },
        Control::Sync(first_sync()),
        Control::Published(vec![entry]),
        Control::Withdrawn(vec!["echo".to_owned()]),
        Control::Leaving,
        Control::Ping,
        Control::OpenFor { channel: 1, path: "echo".to_owned(), client: vec![0x30, 0x82] },
        Control::Renew,
        Control::Renewed { certificate: Some(vec![0x30, 0x82]) },
        Control::Retire,
        Control::Retired,
        Control::Topics(TopicNews {
            version: 300,
            is_all: true,
            came: vec![Subscription {
                topic: "news".to_owned(),
                kind: Some("lab.echo.v1".to_owned()),
                name: "echo".to_owned(),
                is_wrapped: false,
            }],
            went: vec![Subscription {
                topic: "news".to_owned(),
                kind: None,
                name: "taps/news/1".to_owned(),
                is_wrapped: true,
            }],
        }),
        Control::NamesKnown(names.known(NodeId(1))),
        Control::NamesChanged(delta),
        Control::Attach { channel: 1, correlation: 300, stream: 7, next: 34 },
        Control::Detach { correlation: 300 },
        Control::Release { channel: 1, stream: u128::MAX },
    ]
}

/// What a node sends first to one that it meets.
fn first_sync() -> Sync {
    let profile = Profile { name: "alpha".to_owned(), ..Profile::default() };
    let own = Own { node: NodeId(1), boot: Boot(2), addr: "127.0.0.1:7946".into(), profile };
    let mut alpha = Membership::new(MembershipConfig::lan(), own, 1, Duration::ZERO).unwrap();
    let beta = Peer { node: NodeId(2), boot: Boot(3), addr: "127.0.0.1:7947".into(), dialled: None };
    alpha.connected(&beta, Duration::ZERO);
    let sync = std::iter::from_fn(|| alpha.poll()).find_map(|action| match action {
        Action::Sync { message, .. } => Some(message),
        _ => None,
    });
    sync.unwrap()
}

/// The bytes of version 1. A change here breaks every deployed node: it needs a new version instead.
#[test]
fn the_bytes_of_every_frame_are_those_of_version_1() {
    let mut lines = Vec::new();
    for frame in every_control_frame() {
        let mut bytes = Vec::new();
        encode_frame(&frame, &mut bytes);
        assert_eq!(decode_frame::<Control>(&bytes).as_ref(), Ok(&frame));
        let name = format!("{frame:?}");
        lines.push(format!("{:<12} {}", name.split([' ', '(']).next().unwrap(), hex(&bytes)));
    }
    let message = MessageHeader {
        channel: 1,
        kind: 2,
        content: Content::Json,
        correlation: 300,
        sender: 5,
        budget_ms: 5000,
        body: None,
    };
    let mut bytes = Vec::new();
    encode_frame(&message, &mut bytes);
    lines.push(format!("{:<12} {}", "Message", hex(&bytes)));
    let reply = ReplyHeader {
        correlation: 300,
        outcome: Outcome::Item,
        content: Content::Bincode,
        body: Some(Body { number: 1, bytes: 70_000 }),
    };
    let mut bytes = Vec::new();
    encode_frame(&reply, &mut bytes);
    lines.push(format!("{:<12} {}", "Reply", hex(&bytes)));
    for preamble in [Preamble::Control, Preamble::Lane(7), Preamble::Reply, Preamble::Body] {
        lines.push(format!("{:<12} {}", "Preamble", hex(&preamble.encode())));
    }
    insta::assert_snapshot!("frames_v1", lines.join("\n"));
}

#[test]
fn a_plain_tell_has_a_header_of_seven_bytes() {
    let header = MessageHeader {
        channel: 1,
        kind: 0,
        content: Content::Bincode,
        correlation: 0,
        sender: 9,
        budget_ms: 0,
        body: None,
    };
    let mut bytes = Vec::new();
    encode_frame(&header, &mut bytes);
    assert_eq!(bytes.len(), 7);
}

#[test]
fn every_pair_keeps_its_lane_and_pairs_spread_over_all() {
    let mut seen = [0u32; LANES as usize];
    for sender in 0..64 {
        for channel in 1..17 {
            let lane = lane_of(sender, channel);
            assert_eq!(lane, lane_of(sender, channel));
            seen[usize::from(lane)] += 1;
        }
    }
    assert!(seen.iter().all(|&count| count > 64), "uneven: {seen:?}");
}

#[test]
fn another_version_is_told_apart_from_another_protocol() {
    assert_eq!(Preamble::decode([b'M', 2, 0, 0]), Err(PreambleError::Version { theirs: 2 }));
    assert!(matches!(Preamble::decode(*b"GET "), Err(PreambleError::Unknown { .. })));
    assert!(matches!(Preamble::decode([b'M', 1, 1, LANES]), Err(PreambleError::Unknown { .. })));
}

/// What version 1 was when it had no features: such a peer must never be sent anything else.
#[test]
fn the_base_is_what_needs_no_feature() {
    let beyond = [
        "Sync",
        "Ping",
        "OpenFor",
        "Renew",
        "Retire",
        "Retired",
        "Topics",
        "NamesKnown",
        "NamesChanged",
        "Attach",
        "Detach",
        "Release",
    ];
    for frame in every_control_frame() {
        let name = format!("{frame:?}");
        let is_base = !beyond.contains(&name.split([' ', '(']).next().unwrap());
        assert_eq!(frame.needs() == Features::NONE, is_base, "{frame:?}");
        assert!((Features::ALL | Features::ISSUES).contains(frame.needs()), "{frame:?}");
    }
    for content in [Content::Bincode, Content::Json, Content::BincodeWithId, Content::JsonWithId] {
        assert_eq!(content.needs() == Features::NONE, !content.has_id());
    }
}

#[test]
fn a_frame_of_the_future_is_told_apart_from_nonsense() {
    let unknown = u8::try_from(every_control_frame().len()).unwrap();
    let read = decode_frame::<Control>(&[unknown, 1, 2, 3]);
    assert_eq!(read, Err(DecodeError::Unknown { what: "Control", found: unknown.into() }));
    assert!(matches!(decode_frame::<Control>(&[0]), Err(DecodeError::Malformed { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode_frame::<Control>(&bytes);
        let _ = MessageHeader::decode(&bytes);
        let _ = ReplyHeader::decode(&bytes);
        let _ = decode_frame::<Failure>(&bytes);
        if let Some(first) = bytes.first_chunk() {
            let _ = Preamble::decode(*first);
        }
    }

    #[test]
    fn a_frame_with_one_byte_changed_is_a_frame_or_an_error(which in 0usize..every_control_frame().len(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = Vec::new();
        encode_frame(&every_control_frame()[which], &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(frame) = decode_frame::<Control>(&bytes) {
            let mut again = Vec::new();
            encode_frame(&frame, &mut again);
            prop_assert_eq!(decode_frame::<Control>(&again), Ok(frame));
        }
    }

    #[test]
    fn every_message_header_comes_back_as_it_went_in_the_bytes_of_bincode(
        channel in any::<u32>(), kind in any::<u16>(), content in 0usize..4,
        correlation in any::<u64>(), sender in any::<u64>(), budget_ms in any::<u64>(), body in prop::option::of((any::<u64>(), any::<u32>())),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let body = body.map(|(number, bytes)| Body { number, bytes });
        let content = [Content::Bincode, Content::Json, Content::BincodeWithId, Content::JsonWithId][content];
        let header = MessageHeader { channel, kind, content, correlation, sender, budget_ms, body };
        let mut bytes = Vec::new();
        encode_frame(&header, &mut bytes);
        let mut at_once = Vec::new();
        header.encode(&mut at_once);
        prop_assert_eq!(&bytes, &at_once);
        let length = bytes.len();
        bytes.extend_from_slice(&payload);
        prop_assert_eq!(MessageHeader::decode(&bytes), Ok((header, length)));
    }

    #[test]
    fn every_reply_header_comes_back_as_it_went_in_the_bytes_of_bincode(
        correlation in any::<u64>(), outcome in 0u8..3, is_json in any::<bool>(), body in prop::option::of((any::<u64>(), any::<u32>())),
    ) {
        let body = body.map(|(number, bytes)| Body { number, bytes });
        let content = if is_json { Content::Json } else { Content::Bincode };
        let outcome = [Outcome::Reply, Outcome::Failure, Outcome::Item][usize::from(outcome)];
        let header = ReplyHeader { correlation, outcome, content, body };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        header.encode(&mut ours);
        encode_frame(&header, &mut theirs);
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(ReplyHeader::decode(&ours), Ok((header, ours.len())));
    }

    /// A header that bincode reads is the same header here, and one that it refuses is refused.
    #[test]
    fn any_bytes_are_the_header_that_bincode_reads(bytes in prop::collection::vec(prop_oneof![0u8..8, 245u8.., any::<u8>()], 0..64)) {
        let message = (0..=bytes.len()).find_map(|end| Some((decode_frame::<MessageHeader>(&bytes[..end]).ok()?, end)));
        prop_assert_eq!(MessageHeader::decode(&bytes).ok(), message);
        let reply = (0..=bytes.len()).find_map(|end| Some((decode_frame::<ReplyHeader>(&bytes[..end]).ok()?, end)));
        // A reply stands for the one ask that waits for it, and never has an id.
        let reply = reply.filter(|(header, _)| !header.content.has_id());
        prop_assert_eq!(ReplyHeader::decode(&bytes).ok(), reply);
    }
}
