//! Which memories are worth their tokens.

use super::{HEADER, Remembered, Why, line};
use crate::TokenCounter;

/// Candidates, and those that are taken.
#[derive(Debug, Default)]
pub(super) struct Choice {
    candidates: Vec<Candidate>,
    /// What the words around the memories take, if there is any memory.
    around: u64,
}

#[derive(Debug)]
struct Candidate {
    tokens: u64,
    value: f64,
    is_taken: bool,
}

impl Choice {
    pub(super) fn of(memories: &[Remembered], counter: &dyn TokenCounter) -> Self {
        let candidate = |memory: &Remembered| Candidate {
            tokens: counter.count(&format!("\n{}", line(&memory.text))),
            // What is no number is worth nothing.
            value: if memory.value > 0.0 { memory.value } else { 0.0 },
            is_taken: false,
        };
        Self {
            candidates: memories.iter().map(candidate).collect(),
            around: counter.count(&format!("{HEADER}\n\n")),
        }
    }

    /// The tokens of all that is taken, with the words around it.
    pub(super) fn tokens(&self) -> u64 {
        let taken: u64 = self.taken().map(|candidate| candidate.tokens).sum();
        if self.taken().next().is_none() { 0 } else { self.around + taken }
    }

    fn taken(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|candidate| candidate.is_taken)
    }

    /// Chooses anew, up to `room` tokens in all: the best value for the size first, and whatever still fits behind it. If
    /// a single one is worth more than all of those, it is taken first; so the choice is worth at least half of the best
    /// possible (Dantzig's bound for the knapsack).
    pub(super) fn take(&mut self, room: u64) {
        let room = room.saturating_sub(self.around);
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        let is_possible = |candidate: &Candidate| candidate.value > 0.0 && candidate.tokens <= room;
        order.retain(|&at| is_possible(&self.candidates[at]));
        order.sort_by(|&a, &b| self.density(b).total_cmp(&self.density(a)).then(a.cmp(&b)));
        let (greedy, value) = self.greedy(&order, room);
        let by_value = |a: &usize, b: &usize| self.candidates[*a].value.total_cmp(&self.candidates[*b].value);
        let single = order.iter().copied().max_by(by_value);
        let taken = match single.filter(|&single| self.candidates[single].value > value) {
            Some(single) => {
                order.retain(|&at| at != single);
                let (mut rest, _) = self.greedy(&order, room - self.candidates[single].tokens);
                rest.push(single);
                rest
            }
            None => greedy,
        };
        self.candidates.iter_mut().for_each(|candidate| candidate.is_taken = false);
        taken.into_iter().for_each(|at| self.candidates[at].is_taken = true);
    }

    /// Whatever fits, in this order, and what it is worth.
    fn greedy(&self, order: &[usize], room: u64) -> (Vec<usize>, f64) {
        let (mut left, mut value, mut taken) = (room, 0.0, Vec::new());
        for &at in order {
            let candidate = &self.candidates[at];
            if candidate.tokens <= left {
                left -= candidate.tokens;
                value += candidate.value;
                taken.push(at);
            }
        }
        (taken, value)
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing has 2^53 tokens")]
    fn density(&self, at: usize) -> f64 {
        self.candidates[at].value / self.candidates[at].tokens.max(1) as f64
    }

    /// Gives up what is worth the least for its size; false if nothing is left.
    pub(super) fn drop_worst(&mut self) -> bool {
        let taken = (0..self.candidates.len()).filter(|&at| self.candidates[at].is_taken);
        let worst = taken.min_by(|&a, &b| self.density(a).total_cmp(&self.density(b)));
        worst.map(|at| self.candidates[at].is_taken = false).is_some()
    }

    /// What is taken, by id: the same memories stand in the same order, whatever was asked.
    pub(super) fn chosen<'m>(&self, memories: &'m [Remembered]) -> impl Iterator<Item = &'m Remembered> {
        let chosen = memories.iter().zip(&self.candidates).filter(|(_, candidate)| candidate.is_taken);
        let mut chosen: Vec<_> = chosen.map(|(memory, _)| memory).collect();
        chosen.sort_by(|a, b| a.id.cmp(&b.id));
        chosen.into_iter()
    }

    pub(super) fn outcome(&self, memories: &[Remembered]) -> (Vec<String>, Vec<(String, Why)>) {
        let included = self.chosen(memories).map(|memory| memory.id.clone()).collect();
        let excluded = memories.iter().zip(&self.candidates).filter(|(_, candidate)| !candidate.is_taken);
        let excluded = excluded.map(|(memory, candidate)| {
            let why = match candidate.value {
                value if value > 0.0 => Why::NoRoom { tokens: candidate.tokens },
                _ => Why::Worthless,
            };
            (memory.id.clone(), why)
        });
        (included, excluded.collect())
    }
}
