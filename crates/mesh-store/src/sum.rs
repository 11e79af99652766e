//! Checksums: what a row must hash to, and the name of a blob.

use std::fmt;
use std::str::FromStr;

/// A BLAKE3 hash.
pub(crate) const SUM_BYTES: usize = 32;

/// The checksum of a row. For a journal's it covers the one before, so that the rows hold each other in their places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum(pub(crate) [u8; SUM_BYTES]);

impl Sum {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex()[..16])
    }
}

/// Hashes fields so that no two lists of fields look the same: each with its length in front.
pub(crate) struct Digest(blake3::Hasher);

impl Digest {
    /// `what` keeps the sums of different tables apart.
    pub(crate) fn new(what: &str) -> Self {
        Self(blake3::Hasher::new()).text(what)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn int(mut self, number: i64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn uint(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn finish(self) -> Sum {
        Sum(*self.0.finalize().as_bytes())
    }
}

/// The name of some bytes: their BLAKE3 hash. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; SUM_BYTES]);

impl ContentHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash itself, 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SUM_BYTES] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; SUM_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// Some text that is no hash; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a content hash is 64 hexadecimal digits")]
pub struct InvalidHash;

impl FromStr for ContentHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| InvalidHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_be_cut_another_way_to_the_same_sum() {
        assert_ne!(
            Digest::new("t").text("ab").text("c").finish(),
            Digest::new("t").text("a").text("bc").finish()
        );
        assert_ne!(Digest::new("t").text("a").finish(), Digest::new("ta").finish());
        assert_ne!(Digest::new("t").int(1).int(2).finish(), Digest::new("t").int(2).int(1).finish());
    }

    #[test]
    fn a_content_hash_survives_being_written() {
        let hash = ContentHash::of(b"abc");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("abc".parse::<ContentHash>().is_err());
    }
}
