//! A number for all that is in a table.

use super::Publication;
use crate::codec::encode_frame;
use bincode::{Decode, Encode};

/// A number that two tables share if they hold the same names with the same particulars: the sum, modulo 2^128, of a hash of each.
///
/// As a sum it is kept up at each change, whatever the order. The hash is two lanes of SplitMix64's mixing function over
/// the bytes of the publication, which spreads each bit over all; two tables that differ by accident share a digest once
/// in about 2^128. **It proves nothing about a peer that means harm**, nor need it: a node is the only writer of its own table, and could
/// as well publish what it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Digest(u128);

impl Digest {
    pub(super) fn add(&mut self, publication: &Publication) {
        self.0 = self.0.wrapping_add(hash(publication));
    }

    pub(super) fn remove(&mut self, publication: &Publication) {
        self.0 = self.0.wrapping_sub(hash(publication));
    }
}

fn hash(publication: &Publication) -> u128 {
    let mut bytes = Vec::with_capacity(128);
    encode_frame(publication, &mut bytes);
    // The seeds are the first digits of pi and of e: any two that differ will do.
    let (mut high, mut low) = (0x243F_6A88_85A3_08D3_u64, 0xB7E1_5162_8AED_2A6A_u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        high = mix(high ^ word);
        low = mix(low.wrapping_add(word));
    }
    let length = bytes.len() as u64;
    (u128::from(mix(high ^ length)) << 64) | u128::from(mix(low ^ length))
}

/// SplitMix64's output function (Steele, Lea and Flood, 2014): a permutation of 64 bits in which each bit of the input
/// changes half of those of the output.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entry;
    use std::collections::HashSet;

    fn publication(name: &str, serial: u64) -> Publication {
        Entry { name: name.to_owned(), serial, since_ms: 1 }.into()
    }

    fn digest(all: &[Publication]) -> Digest {
        let mut digest = Digest::default();
        all.iter().for_each(|one| digest.add(one));
        digest
    }

    #[test]
    fn the_order_does_not_matter_and_what_is_removed_leaves_nothing_behind() {
        let [a, b, c] = [publication("a", 1), publication("b", 2), publication("c", 3)];
        let mut sum = digest(&[c.clone(), a.clone(), b.clone()]);
        assert_eq!(sum, digest(&[a.clone(), b.clone(), c.clone()]));
        sum.remove(&c);
        assert_eq!(sum, digest(&[a, b]));
    }

    /// A sum of hashes that only multiply would not tell these apart: what one table lacks the other has.
    #[test]
    fn tables_whose_entries_differ_crosswise_differ() {
        let mut seen = HashSet::new();
        for one in 0..64 {
            for other in 0..64 {
                let table = [publication("a", one), publication("b", other)];
                assert!(seen.insert(digest(&table).0), "{one} and {other}");
            }
        }
    }
}
