//! Messages that stay or go together.

use std::ops::Range;

use super::Kept;
use crate::tokens::of_message;
use crate::{Message, Role, TokenCounter};

/// The groups of a conversation, oldest first: a turn in which the model calls tools, with all the results that follow;
/// every other message alone. A result that nobody asked for belongs to what stands before it.
pub(crate) fn groups(messages: &[Message]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if message.role == Role::Tool => group.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

/// Where the newest message of the user is.
pub(crate) fn newest_user(messages: &[Message]) -> Option<usize> {
    messages.iter().rposition(|message| message.role == Role::User)
}

/// The groups of one conversation, and what is known of them.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) ranges: Vec<Range<usize>>,
    sizes: Vec<u64>,
    is_user: Vec<bool>,
    /// The group of the user's newest message.
    question: Option<usize>,
}

impl Groups {
    pub(super) fn of(messages: &[Message], counter: &dyn TokenCounter) -> Self {
        let ranges = groups(messages);
        let size =
            |range: &Range<usize>| messages[range.clone()].iter().map(|m| of_message(m, counter)).sum();
        let question = newest_user(messages);
        Self {
            sizes: ranges.iter().map(size).collect(),
            is_user: ranges.iter().map(|range| messages[range.start].role == Role::User).collect(),
            question: question.and_then(|at| ranges.iter().position(|range| range.contains(&at))),
            ranges,
        }
    }

    pub(super) fn all(&self) -> Kept {
        vec![true; self.ranges.len()]
    }

    /// Those from the group `first` on.
    pub(super) fn from(&self, first: usize) -> Kept {
        (0..self.ranges.len()).map(|group| group >= first || self.must_stay_one(group)).collect()
    }

    pub(super) fn must_stay(&self) -> Kept {
        (0..self.ranges.len()).map(|group| self.must_stay_one(group)).collect()
    }

    pub(super) fn must_stay_one(&self, group: usize) -> bool {
        Some(group) == self.question || group + 1 == self.ranges.len()
    }

    pub(super) fn question(&self) -> Option<usize> {
        self.question
    }

    pub(super) fn tokens(&self, kept: &Kept) -> u64 {
        self.sizes.iter().zip(kept).filter(|(_, is_kept)| **is_kept).map(|(size, _)| size).sum()
    }

    /// The messages of all groups that are not kept.
    pub(super) fn left_out(&self, kept: &Kept) -> Vec<usize> {
        let gone = self.ranges.iter().zip(kept).filter(|(_, is_kept)| !**is_kept);
        gone.flat_map(|(range, _)| range.clone()).collect()
    }

    /// Where exchanges begin: at each message of the user that does not follow another; at the first group, too.
    pub(super) fn exchanges(&self) -> Vec<usize> {
        let begins = |group: &usize| *group == 0 || (self.is_user[*group] && !self.is_user[*group - 1]);
        (0..self.ranges.len()).filter(begins).collect()
    }

    /// Without what stands before the first message of the user that is kept: an answer without its question.
    pub(super) fn begin_with_the_user(&self, mut kept: Kept) -> Kept {
        if kept.iter().all(|is_kept| *is_kept) {
            return kept;
        }
        for (group, is_kept) in kept.iter_mut().enumerate() {
            if *is_kept && (self.is_user[group] || self.must_stay_one(group)) {
                break;
            }
            *is_kept = false;
        }
        kept
    }
}
