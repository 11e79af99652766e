use bytes::Bytes;
use mesh_net::FrameReader;
use mesh_proto::frame::{Control, FRAME_BYTES_MAX, MessageHeader, PREAMBLE_BYTES, Preamble, ReplyHeader};
use mesh_proto::{Boot, Failure, NodeId, SUBSCRIPTIONS_MAX, Topics, check_topic, decode_frame, encode_frame};

/// A frame of the control stream.
///
/// # Panics
/// When it is read differently from what is written of it; or when a subscription that breaks a rule is believed.
pub fn control(bytes: &[u8]) {
    if let Ok(read) = decode_frame::<Control>(bytes) {
        let mut written = Vec::new();
        encode_frame(&read, &mut written);
        assert_eq!(decode_frame::<Control>(&written).as_ref(), Ok(&read));
        if let Control::Topics(news) = read {
            let mut topics = Topics::default();
            topics.hear(NodeId(1), Boot(1), news);
            let known: Vec<_> = topics.all_of(NodeId(1)).into_iter().flat_map(|part| part.came).collect();
            assert!(known.len() <= SUBSCRIPTIONS_MAX);
            assert!(known.iter().all(|one| check_topic(&one.topic).is_ok()), "{known:?}");
        }
    }
}

/// What stands in a reply that failed.
///
/// # Panics
/// As [`control`]; or when what a peer put in the place of JSON can't be looked at.
pub fn failure(bytes: &[u8]) {
    if let Ok(read) = decode_frame::<Failure>(bytes) {
        let mut written = Vec::new();
        encode_frame(&read, &mut written);
        assert_eq!(decode_frame::<Failure>(&written).as_ref(), Ok(&read));
        drop(read.details.to_value());
    }
}

/// The header of a message; any payload follows it.
///
/// # Panics
/// When it takes more than there is, or is read differently from what is written of it.
pub fn message_header(bytes: &[u8]) {
    if let Ok((read, taken)) = MessageHeader::decode(bytes) {
        assert!(taken <= bytes.len());
        let mut written = Vec::new();
        read.encode(&mut written);
        assert_eq!(MessageHeader::decode(&written), Ok((read, written.len())));
    }
}

/// The header of a reply; any payload follows it.
///
/// # Panics
/// As [`message_header`].
pub fn reply_header(bytes: &[u8]) {
    if let Ok((read, taken)) = ReplyHeader::decode(bytes) {
        assert!(taken <= bytes.len());
        let mut written = Vec::new();
        read.encode(&mut written);
        assert_eq!(ReplyHeader::decode(&written), Ok((read, written.len())));
    }
}

/// What opens a stream.
///
/// # Panics
/// When two openings mean the same.
pub fn preamble(bytes: &[u8]) {
    if let Some(first) = bytes.first_chunk::<PREAMBLE_BYTES>()
        && let Ok(read) = Preamble::decode(*first)
    {
        assert_eq!(read.encode(), *first);
    }
}

/// A stream that arrives in pieces: the first byte says how many bytes tell the lengths of the pieces, which come next.
///
/// # Panics
/// When where it is cut makes a difference.
pub fn frame_reader(bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_first() else { return };
    let (cuts, stream) = rest.split_at(usize::from(count).min(rest.len()));
    let whole = read_in_pieces(stream, &[]);
    assert_eq!(read_in_pieces(stream, cuts), whole);
    assert_eq!(read_in_pieces(stream, &[1]), whole);
}

/// All frames, and whether the stream could be understood, and ended, between two.
fn read_in_pieces(stream: &[u8], lengths: &[u8]) -> (Vec<Bytes>, bool, bool) {
    let (mut reader, mut frames) = (FrameReader::new(FRAME_BYTES_MAX), Vec::new());
    let (mut rest, mut understood) = (stream, true);
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().map_or(rest.len(), |length| usize::from(*length).clamp(1, rest.len()));
        let (piece, later) = rest.split_at(length);
        let fed = reader.feed(&Bytes::copy_from_slice(piece), |frame| frames.push(frame.into_bytes()));
        understood &= fed.is_ok();
        rest = later;
    }
    (frames, understood, reader.finish().is_ok())
}
