use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;

fn encode(bodies: &[Vec<u8>]) -> Bytes {
    let mut out = BytesMut::new();
    for body in bodies {
        out.put_u32_le(u32::try_from(body.len()).unwrap());
        out.put_slice(body);
    }
    out.freeze()
}

/// Feeds `stream` in pieces of the given sizes (the last one repeats), and gives what came out.
fn split(reader: &mut FrameReader, mut stream: Bytes, sizes: &[usize]) -> Result<Vec<Bytes>, FrameError> {
    let mut frames = Vec::new();
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(*sizes.last().unwrap()));
    while !stream.is_empty() {
        let chunk = stream.split_to(sizes.next().unwrap().clamp(1, stream.len()));
        reader.feed(&chunk, |frame| {
            let seen = frame.bytes().to_vec();
            let kept = frame.into_bytes();
            assert_eq!(seen, kept, "keeping a frame must not change it");
            frames.push(kept);
        })?;
    }
    Ok(frames)
}

fn held(reader: &FrameReader) -> usize {
    reader.carry.capacity() + reader.large.capacity()
}

fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let size = prop_oneof![5 => 0..200usize, 2 => 4000..4200usize, 1 => 0..40_000usize];
    prop::collection::vec((size, any::<u8>()).prop_map(|(size, fill)| vec![fill; size]), 0..12)
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut(
        bodies in bodies(),
        sizes in prop::collection::vec(1..3000usize, 1..20),
    ) {
        let mut reader = FrameReader::new(MAX);
        prop_assert_eq!(split(&mut reader, encode(&bodies), &sizes), Ok(bodies.into_iter().map(Bytes::from).collect()));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn any_bytes_neither_panic_nor_hold_more_than_twice_what_came(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..20_000),
        size in 1..5000usize,
    ) {
        let mut reader = FrameReader::new(MAX);
        let mut arrived = 0;
        for chunk in bytes.chunks(size) {
            arrived += chunk.len();
            let result = reader.feed(&Bytes::copy_from_slice(chunk), |_| {});
            prop_assert!(held(&reader) <= 2 * arrived, "{} held of {arrived}", held(&reader));
            if result.is_err() {
                prop_assert_eq!(reader.feed(&Bytes::from_static(&[0; 4]), |_| panic!("a frame after a failure")), result);
                break;
            }
        }
    }
}

#[test]
fn a_frame_within_a_chunk_is_lent_where_it_lies() {
    let chunk = encode(&[b"small".to_vec(), vec![7; 10_000]]);
    let mut places = Vec::new();
    let mut kept = Vec::new();
    FrameReader::new(MAX)
        .feed(&chunk, |frame| {
            places.push(frame.bytes().as_ptr());
            kept.push(frame.into_bytes());
        })
        .unwrap();
    assert_eq!(places, [chunk[4..].as_ptr(), chunk[13..].as_ptr()]);
    assert_ne!(kept[0].as_ptr(), places[0], "a small frame that is kept must not pin its chunk");
    assert_eq!(kept[1].as_ptr(), places[1], "a large frame is kept without a copy");
}

#[test]
fn a_large_frame_over_many_chunks_ends_in_an_allocation_of_exactly_its_size() {
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut reader = FrameReader::new(MAX);
    let frames = split(&mut reader, encode(std::slice::from_ref(&body)), &[1400]).unwrap();
    assert_eq!(frames, [Bytes::from(body)]);
    assert_eq!(held(&reader), 0, "the frame's receiver owns the memory now");
}

#[test]
fn a_huge_claim_is_refused_before_anything_is_held() {
    let mut reader = FrameReader::new(1000);
    let mut stream = encode(&[b"before".to_vec()]).to_vec();
    stream.extend((1u32 << 30).to_le_bytes());
    let mut seen = 0;
    let error = reader.feed(&stream.into(), |_| seen += 1);
    assert_eq!(error, Err(FrameError::TooLarge { claimed: 1 << 30, frame_bytes_max: 1000 }));
    assert_eq!((seen, held(&reader)), (1, 0));
    assert_eq!(reader.finish(), error);
}

#[test]
fn a_claim_within_the_limit_holds_only_what_arrived() {
    let mut reader = FrameReader::new(MAX);
    reader.feed(&Bytes::from_static(&[0, 0, 16, 0, 1, 2, 3]), |_| panic!("not complete")).unwrap();
    assert!(held(&reader) <= 6, "{} bytes for 3", held(&reader));
}

#[test]
fn a_stream_that_ends_within_a_frame_is_truncated() {
    let whole = encode(&[b"body".to_vec()]);
    for cut in 1..whole.len() {
        let mut reader = FrameReader::new(MAX);
        reader.feed(&whole.slice(..cut), |_| panic!("not complete")).unwrap();
        assert_eq!(reader.finish(), Err(FrameError::Truncated), "cut at {cut}");
    }
}
