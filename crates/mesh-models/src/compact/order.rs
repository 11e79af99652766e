//! In which order groups go. What must stay is in none of these.

use super::Relevance;
use super::group::Groups;
use crate::Message;

impl Groups {
    /// The oldest first.
    pub(super) fn by_age(&self) -> Vec<usize> {
        (0..self.ranges.len()).filter(|group| !self.must_stay_one(*group)).collect()
    }

    /// The least relevant to the user's newest message first; of equals the oldest. What is no number is worth nothing.
    pub(super) fn by_relevance(&self, messages: &[Message], relevance: &dyn Relevance) -> Vec<usize> {
        let question = self.question().map(|group| said(&messages[self.ranges[group].clone()]));
        let question = question.unwrap_or_default();
        let score = |group: usize| {
            let score = relevance.score(&said(&messages[self.ranges[group].clone()]), &question);
            if score.is_nan() { f64::NEG_INFINITY } else { score }
        };
        let mut scored: Vec<(f64, usize)> =
            self.by_age().into_iter().map(|group| (score(group), group)).collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        scored.into_iter().map(|(_, group)| group).collect()
    }
}

/// What a group says, without who says it.
fn said(messages: &[Message]) -> String {
    let args = messages.iter().flat_map(|message| &message.calls).map(|call| &*call.args);
    messages.iter().map(|message| &*message.text).chain(args).collect::<Vec<_>>().join(" ")
}
