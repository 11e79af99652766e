//! [`Bytes`] in a message, decoded by one copy: `#[serde(with = "mesh::raw_bytes")]`.
//!
//! The encoding is that of `Bytes` itself, so either end may use it alone. What it saves is memory that is zeroed before
//! it is written.
//!
//! ```
//! use bytes::Bytes;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Chunk {
//!     #[serde(with = "mesh::raw_bytes")]
//!     body: Bytes,
//! }
//! ```

use bytes::Bytes;
use serde::{
    Deserializer, Serializer,
    de::{Error, SeqAccess, Visitor},
};
use std::fmt;

/// Room that is set aside on a claim of length alone; more is only taken as values come.
const CLAIM_MAX: usize = 4096;

/// Writes the bytes as one field.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Reads what [`serialize`] wrote; of JSON, a list of numbers, or a text as its bytes.
///
/// # Errors
/// Those of the deserializer; anything else than these.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_bytes(BytesVisitor)
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(CLAIM_MAX));
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{decode_payload, encode_payload_to_vec};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ours(#[serde(with = "super")] Bytes);

    #[test]
    fn the_encoding_is_that_of_bytes() {
        for body in [Bytes::new(), Bytes::from_static(b"one"), Bytes::from(vec![7; 70_000])] {
            let ours = Ours(body.clone());
            let encoded = encode_payload_to_vec(&ours).unwrap();
            assert_eq!(encoded, encode_payload_to_vec(&body).unwrap());
            assert_eq!(decode_payload::<Ours>(&encoded), Ok(ours));
            assert_eq!(decode_payload::<Bytes>(&encoded), Ok(body));
        }
    }

    #[test]
    fn a_length_that_is_not_there_is_an_error() {
        let mut encoded = encode_payload_to_vec(&Bytes::from(vec![1; 100])).unwrap();
        encoded.truncate(50);
        assert!(decode_payload::<Ours>(&encoded).is_err());
    }

    #[test]
    fn a_list_of_numbers_or_a_text_is_read_from_json() {
        assert_eq!(
            serde_json::from_str::<Ours>("[1, 2, 255]").unwrap(),
            Ours(Bytes::from_static(&[1, 2, 255]))
        );
        assert!(serde_json::from_str::<Ours>("[256]").is_err());
        assert_eq!(serde_json::from_str::<Ours>("\"text\"").unwrap(), Ours(Bytes::from_static(b"text")));
    }
}
