//! What supervisors hear, and what they want done.

use std::time::Duration;

use super::RowSpec;

/// A child's place among its supervisor's children; children start in the order of their places.
pub(crate) type Place = u32;

/// A timer that was asked for.
pub(crate) type Token = u64;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The supervisor is to start, with all children of its spec.
    Begin,
    /// A child's start is done.
    Started(Place),
    /// A child ended, or failed to start.
    Ended(Place, Exit),
    /// A child ended for good, since somebody outside wanted that.
    Gone(Place),
    /// A child that is not in the spec is to start, as the last.
    Add(Place, RowSpec),
    /// A timer is over.
    Due(Token),
    /// The supervisor is to end, its children first.
    Shutdown,
    /// The supervisor is to end, and its children get no time for it.
    Kill,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, in order.
    Normal,
    /// As a supervisor that gave up does, and one that was told to end (OTP's `shutdown`).
    Shutdown,
    /// A crash.
    Crashed,
    /// A crash after which a restart is known to be of no use.
    Hopeless,
}

/// How a supervisor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to.
    Asked,
    /// A child would have been restarted too often.
    GaveUp,
    /// A child of its spec did not start.
    StartFailed,
    /// A significant child ended.
    Significant,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start this child, anew if it was removed before.
    Start(Place),
    /// Tell this child to end in order.
    Stop(Place),
    /// End this child at once.
    Kill(Place),
    /// This child rests: it takes nothing more until it is started with others, or its supervisor is.
    Rest(Place),
    /// This child is gone for good.
    Remove(Place),
    /// Send `Due` after this time.
    Wait(Token, Duration),
    /// All children of the spec have started.
    Ready,
    /// A child is restarted, alone or with others.
    Restarting(Place),
    /// The supervisor has ended, and none of its children runs.
    Over(End),
}
