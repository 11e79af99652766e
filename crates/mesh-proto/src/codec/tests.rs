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
