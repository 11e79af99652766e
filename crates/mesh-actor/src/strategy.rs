//! What supervisors do about their children, in OTP's words.

use std::fmt;
use std::time::Duration;

/// Who is restarted with a child that has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The child alone.
    #[default]
    OneForOne,
    /// All children: they are stopped in reverse order, then started in order.
    OneForAll,
    /// The child, and those that were started after it.
    RestForOne,
    /// The child alone, of many alike that come and go: the spec names none, and when the supervisor ends they are
    /// stopped all at once. One that is not restarted is forgotten.
    SimpleOneForOne,
}

impl Strategy {
    /// OTP's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
            Self::SimpleOneForOne => "simple_one_for_one",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long a child may take to end when its supervisor wants it to. Then it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No time at all (OTP's `brutal_kill`): what it does is dropped at its next await.
    Kill,
    /// This long.
    Within(Duration),
    /// As long as it takes (OTP's `infinity`): for supervisors, whose children have limits of their own.
    Infinity,
}

impl Shutdown {
    /// What an actor gets by default: 5 s, as in OTP.
    pub(crate) const ACTOR: Self = Self::Within(Duration::from_secs(5));
}

/// Whether a supervisor ends when its significant children have ended by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoShutdown {
    /// No.
    #[default]
    Never,
    /// With the first of them.
    AnySignificant,
    /// With the last of them.
    AllSignificant,
}
