use super::*;

/// An encoded length of 2^30 with nothing behind it, as bincode's varint writes it.
fn claim(length: u32) -> Vec<u8> {
    let mut bytes = vec![252];
    bytes.extend(length.to_le_bytes());
    bytes
}

#[test]
fn a_claim_of_a_gibibyte_is_an_error_and_not_an_abort() {
    assert!(matches!(decode_payload::<Vec<u8>>(&claim(1 << 30)), Err(DecodeError::Malformed { .. })));
    assert!(matches!(decode_frame::<Vec<u64>>(&claim(1 << 30)), Err(DecodeError::Malformed { .. })));
    assert!(matches!(decode_payload::<Vec<u64>>(&claim(1 << 30)), Err(DecodeError::Malformed { .. })));
}

#[test]
fn a_claim_within_the_limit_allocates_no_more_than_the_limit() {
    let bytes = claim(u32::try_from(DECODE_BYTES_MAX).unwrap() - 16);
    assert!(matches!(decode_payload::<Vec<u8>>(&bytes), Err(DecodeError::Malformed { .. })));
}

#[test]
fn a_frame_claims_at_most_twice_the_longest_whatever_it_says() {
    use crate::frame::{CONTROL_BYTES_MAX, Control};
    // An `Open` whose path claims more than any frame of ours can hold.
    let mut bytes = vec![1, 1];
    bytes.extend(claim(u32::try_from(2 * CONTROL_BYTES_MAX).unwrap()));
    let error = decode_frame::<Control>(&bytes).unwrap_err();
    assert!(
        matches!(&error, DecodeError::Malformed { reason, .. } if reason.contains("LimitExceeded")),
        "{error}"
    );
}

#[test]
fn trailing_bytes_are_an_error() {
    let mut bytes = encode_payload_to_vec(&7u32).unwrap();
    bytes.push(0);
    let error = decode_payload::<u32>(&bytes).unwrap_err();
    assert_eq!(error, DecodeError::Trailing { what: "u32", extra: 1 });
}

#[test]
fn a_refused_encoding_leaves_the_buffer_as_it_was() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeTuple};
            let mut tuple = serializer.serialize_tuple(2)?;
            tuple.serialize_element(&1u64)?;
            Err(S::Error::custom("no"))
        }
    }
    let mut buffer = Vec::from(&b"before"[..]);
    let error = encode_payload(&Refuses, &mut buffer).unwrap_err();
    assert_eq!((&buffer[..], error.reason.as_str()), (&b"before"[..], "no"));
}

/// One byte or two on the wire, 24 in memory.
type Nothings = Vec<Option<String>>;

fn nothings(count: usize) -> Vec<u8> {
    let mut bytes = claim(u32::try_from(count).unwrap());
    bytes.resize(bytes.len() + count, 0);
    bytes
}

#[test]
fn what_elements_take_in_memory_is_bounded_and_not_only_what_they_are_on_the_wire() {
    assert_eq!(decode_payload::<Nothings>(&nothings(1_000_000)).unwrap().len(), 1_000_000);
    let refused = decode_payload::<Nothings>(&nothings(1_500_000)).unwrap_err().to_string();
    assert!(refused.contains("its elements take more than 33554432 bytes"), "{refused}");
    // Wherever they stand, they take from the same.
    type Deep = (u8, Option<Vec<(u8, Nothings)>>);
    let part = nothings(500_000);
    let deep = |parts: u8| [&[7, 1, parts][..], &[&[1][..], &part].concat().repeat(parts.into())].concat();
    assert!(decode_payload::<Deep>(&deep(2)).is_ok());
    assert!(decode_payload::<Deep>(&deep(3)).is_err());
    assert!(decode_payload::<Result<Nothings, ()>>(&[&[0][..], &nothings(1_500_000)].concat()).is_err());
}

#[test]
fn json_is_bounded_in_the_same_way_also_in_maps() {
    let list = |count: usize| format!("[{}null]", "null,".repeat(count));
    let read = |text: &str| serde_json::from_str::<Bounded<Nothings>>(text).map(|Bounded(list)| list.len());
    assert_eq!(read(&list(1_000_000)).unwrap(), 1_000_001);
    assert!(read(&list(1_500_000)).unwrap_err().to_string().contains("take more than"));
    type Map = std::collections::BTreeMap<u32, [u64; 32]>;
    let row = |number: usize| format!("\"{number}\":[{}0]", "0,".repeat(31));
    let map = |count: usize| format!("{{{}}}", (0..count).map(row).collect::<Vec<_>>().join(","));
    assert!(serde_json::from_str::<Bounded<Map>>(&map(1000)).is_ok());
    assert!(serde_json::from_str::<Bounded<Map>>(&map(140_000)).is_err());
}

#[test]
fn what_has_a_fixed_number_of_parts_is_paid_for_once() {
    let pairs = vec![(1u8, (2u8, [3u8; 2])); 8_000_000];
    let bytes = encode_payload_to_vec(&pairs).unwrap();
    assert_eq!(decode_payload::<Vec<(u8, (u8, [u8; 2]))>>(&bytes).unwrap().len(), pairs.len());
}
