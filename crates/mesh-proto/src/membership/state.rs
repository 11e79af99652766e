//! How a member is.

use bincode::{Decode, Encode};

/// How a member is, from best known to most final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It was probed in vain, and may still contradict.
    Suspect,
    /// It is taken for dead.
    Down,
    /// It said goodbye.
    Left,
}

impl MemberState {
    /// The word for people and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Left => "left",
        }
    }
}
