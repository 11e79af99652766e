//! What is done about a crash beyond starting again: decided by who knows the actor, done by the actor itself.

use std::fmt;

/// One crash, as it is shown to who decides on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crash {
    /// The actor's name.
    pub path: String,
    /// The actor's number in this process.
    pub serial: u64,
    /// The panic's message, the reason given to [`Context::fail`](crate::Context::fail), or why it did not start.
    pub reason: String,
    /// How often it was restarted before.
    pub restarts: u32,
}

/// What is to be done about a crash.
///
/// The supervisor restarts the actor by OTP's rules whatever the remedy, but for [`GiveUp`](Self::GiveUp): restarts count,
/// pause, and take others along. The new incarnation finds the remedy in
/// [`Context::remedy`](crate::Context::remedy), and applies it in its [`started`](crate::Actor::started).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Nothing but the restart.
    #[default]
    Restart,
    /// It goes back to this checkpoint.
    RewindTo(String),
    /// It makes its context smaller, and tries again.
    CompactAndRetry,
    /// It goes on with this model.
    SwapModel(String),
    /// A person is to look at it: it is restarted paused, takes no message until
    /// [`ActorRef::resume`](crate::ActorRef::resume), and its mailbox fills meanwhile.
    EscalateToHuman,
    /// It is not worth another try: its supervisor gives up, as if it had been restarted too often.
    GiveUp,
}

/// Decides on the crashes of an actor; see [`ActorSpec::on_crash`](crate::ActorSpec::on_crash).
pub trait RestartStrategy: Send + Sync {
    /// Decides on one crash.
    ///
    /// It runs in the task of all supervisors, which waits for it: it should return at once. A panic counts as
    /// [`Remedy::Restart`].
    fn remedy(&self, crash: &Crash) -> Remedy;
}

impl<F: Fn(&Crash) -> Remedy + Send + Sync> RestartStrategy for F {
    fn remedy(&self, crash: &Crash) -> Remedy {
        self(crash)
    }
}

impl fmt::Debug for dyn RestartStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RestartStrategy")
    }
}
