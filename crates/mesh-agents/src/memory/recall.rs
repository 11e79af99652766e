//! Two orders made into one, with the reasons.

use std::collections::HashMap;

use mesh_store::MemoryId;

/// Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): a place counts `1 / (60 + place)`.
const FUSION: f64 = 60.0;

/// A memory that was found, by one way or by both.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    pub(super) id: MemoryId,
    /// From 0 to 1, where 1 is the first of both lists.
    pub(super) score: f64,
    pub(super) relevance: Option<f64>,
    pub(super) word_rank: Option<u32>,
}

/// Joins those that are near, with their cosines, and those that have the words, each the best first.
pub(super) fn fused(near: &[(MemoryId, f32)], worded: &[MemoryId], limit: usize) -> Vec<Ranked> {
    let mut all: HashMap<MemoryId, Ranked> = HashMap::new();
    let empty = |id| Ranked { id, score: 0.0, relevance: None, word_rank: None };
    // Of two lists, or of the one that there is.
    let lists = f64::from(u8::from(!near.is_empty()) + u8::from(!worded.is_empty()));
    for (place, (id, cosine)) in (1_u32..).zip(near) {
        let ranked = all.entry(*id).or_insert_with(|| empty(*id));
        ranked.score += part(place) / lists;
        ranked.relevance = Some(f64::from(*cosine).clamp(-1.0, 1.0));
    }
    for (place, id) in (1_u32..).zip(worded) {
        let ranked = all.entry(*id).or_insert_with(|| empty(*id));
        ranked.score += part(place) / lists;
        ranked.word_rank = Some(place);
    }
    let mut all: Vec<Ranked> = all.into_values().collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    all.truncate(limit);
    all
}

fn part(place: u32) -> f64 {
    (FUSION + 1.0) / (FUSION + f64::from(place))
}

impl Ranked {
    pub(super) fn explanation(&self) -> String {
        let near = self.relevance.map(|cosine| format!("its meaning is near (cosine {cosine:.3})"));
        let worded =
            self.word_rank.map(|place| format!("it has words of the question (place {place} by words)"));
        [near, worded].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_ways_find_comes_before_what_one_finds() {
        let [a, b, c] = ["a", "b", "c"].map(|text| mesh_store::Memory::new(text, "here", 0).id);
        let all = fused(&[(a, 0.9), (b, 0.8)], &[b, c], 10);
        assert_eq!(all.iter().map(|ranked| ranked.id).collect::<Vec<_>>()[0], b);
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|ranked| (0.0..=1.0).contains(&ranked.score)), "{all:?}");
        assert_eq!(all[0].word_rank, Some(1));
        assert!(all[0].explanation().contains("0.800") && all[0].explanation().contains("place 1"));
    }

    #[test]
    fn by_words_alone_the_first_has_the_whole_score() {
        let [a, b] = ["a", "b"].map(|text| mesh_store::Memory::new(text, "here", 0).id);
        let all = fused(&[], &[a, b], 1);
        assert_eq!((all.len(), all[0].id, all[0].score, all[0].relevance), (1, a, 1.0, None));
    }
}
