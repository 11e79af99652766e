//! Vectors of one length, side by side, and which of them are near another.

use std::collections::HashMap;

use bytes::Bytes;
use mesh_store::MemoryId;

/// Normalized vectors, in one piece of memory, so that comparing with all of them reads it once from end to end.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    dimensions: usize,
    numbers: Vec<f32>,
    ids: Vec<MemoryId>,
    places: HashMap<MemoryId, usize>,
}

impl Vectors {
    /// Of another length than all others it is not taken.
    pub(super) fn insert(&mut self, id: MemoryId, vector: &[f32]) {
        if self.ids.is_empty() {
            self.dimensions = vector.len();
        }
        if vector.len() != self.dimensions || vector.is_empty() {
            return;
        }
        match self.places.get(&id) {
            Some(&place) => {
                self.numbers[place * self.dimensions..][..self.dimensions].copy_from_slice(vector)
            }
            None => {
                self.places.insert(id, self.ids.len());
                self.ids.push(id);
                self.numbers.extend_from_slice(vector);
            }
        }
    }

    /// The last one takes the place of the one that goes.
    pub(super) fn remove(&mut self, id: MemoryId) {
        let Some(place) = self.places.remove(&id) else { return };
        let last = self.ids.len() - 1;
        self.ids.swap_remove(place);
        self.numbers.copy_within(last * self.dimensions.., place * self.dimensions);
        self.numbers.truncate(last * self.dimensions);
        if let Some(&moved) = self.ids.get(place) {
            self.places.insert(moved, place);
        }
    }

    pub(super) fn get(&self, id: MemoryId) -> Option<&[f32]> {
        let place = *self.places.get(&id)?;
        Some(&self.numbers[place * self.dimensions..][..self.dimensions])
    }

    /// The `count` nearest to `to` of those that `is_wanted`, with their cosines, which are at least `min`; the nearest
    /// first, of equals the older.
    pub(super) fn nearest(
        &self,
        to: &[f32],
        count: usize,
        min: f32,
        is_wanted: impl Fn(MemoryId) -> bool,
    ) -> Vec<(MemoryId, f32)> {
        if self.ids.is_empty() || to.len() != self.dimensions {
            return Vec::new();
        }
        let cosines = self.numbers.chunks_exact(self.dimensions).map(|vector| dot(vector, to));
        let mut best: Vec<(MemoryId, f32)> = self
            .ids
            .iter()
            .copied()
            .zip(cosines)
            .filter(|&(id, cosine)| cosine >= min && is_wanted(id))
            .collect();
        let order = |a: &(MemoryId, f32), b: &(MemoryId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if best.len() > count {
            best.select_nth_unstable_by(count, order);
            best.truncate(count);
        }
        best.sort_by(order);
        best
    }
}

/// Sixteen sums at a time, which a compiler turns into whatever vector instructions there are.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const WIDE: usize = 16;
    let mut sums = [0.0_f32; WIDE];
    let (left, right) = (a.chunks_exact(WIDE), b.chunks_exact(WIDE));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left.zip(right) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The vector with length 1; `None` if it has none, or is made of anything but numbers: nothing is near such a one.
pub(super) fn normalized(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    // In f64: the squares of large numbers are too large for f32.
    let length = vector.iter().map(|&number| f64::from(number) * f64::from(number)).sum::<f64>().sqrt();
    if !(length.is_finite() && length > f64::from(f32::MIN_POSITIVE)) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "what is at most 1 fits")]
    vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    Some(vector)
}

pub(super) fn to_bytes(vector: &[f32]) -> Bytes {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>().into()
}

pub(super) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(at: u128) -> MemoryId {
        format!("{:032x}", at << 64 | 0x7000_8000_0000_0000_0000).parse().unwrap()
    }

    #[test]
    fn the_nearest_are_those_of_an_exact_search_also_after_some_are_gone() {
        let mut random = 42_u64;
        let mut number = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 40) as f32 / 8_388_608.0 - 1.0
        };
        let mut vector = || normalized((0..19).map(|_| number()).collect()).unwrap();
        let (mut vectors, mut all) = (Vectors::default(), Vec::new());
        for at in 0..300 {
            let one = vector();
            vectors.insert(id(at), &one);
            all.push((id(at), one));
        }
        for at in [0, 299, 150, 7] {
            vectors.remove(id(at));
            all.retain(|(known, _)| *known != id(at));
        }
        let to = vector();
        let exact =
            |one: &[f32]| one.iter().zip(&to).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        all.sort_by(|a, b| exact(&b.1).total_cmp(&exact(&a.1)));
        let wanted: Vec<_> = all.iter().take(10).map(|(id, _)| *id).collect();
        let found: Vec<_> = vectors.nearest(&to, 10, -1.0, |_| true).into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, wanted);
        assert_eq!(vectors.get(all[3].0).unwrap(), all[3].1);
    }

    #[test]
    fn a_vector_without_a_direction_is_none() {
        for bad in [vec![], vec![0.0; 4], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0], vec![1e-45; 2]] {
            assert_eq!(normalized(bad.clone()), None, "{bad:?}");
        }
        assert_eq!(normalized(vec![3e38, 2e38]).map(|vector| vector.len()), Some(2));
    }
}
