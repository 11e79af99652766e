//! Why a message brought no reply, and whether to try again.

mod health;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_resilience::{CircuitOpen, Retry, Retryable, State};

/// Why an ask brought no reply, or a tell was not accepted.
///
/// Every variant says whose fault it is and what state things are in. [`may_have_run`](Self::may_have_run) tells
/// whether a second try may run the handler twice, [`retry`](Self::retry) whether one is worth it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nobody goes by that name. The caller's mistake, or the actor is not published yet. Nothing ran.
    #[error("no actor at {path}")]
    NoSuchActor {
        /// Path that was asked.
        path: String,
    },
    /// The actor does not take messages of this kind. The caller's mistake, or versions differ. Nothing ran.
    #[error("{path} does not take {kind}, it takes: {}", sorted(known))]
    UnknownKind {
        /// Path that was asked.
        path: String,
        /// Kind that was sent.
        kind: String,
        /// Kinds that the actor takes.
        known: Vec<String>,
    },
    /// The bytes are no message of that kind. The sender's fault, or versions differ. Nothing ran.
    #[error("{path} cannot read this {kind}: {reason}")]
    BadMessage {
        /// Path that was asked.
        path: String,
        /// Kind that was sent.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The mailbox had no room, or dropped the message by its policy. The recipient is too slow for its senders.
    /// The message did not run; send less, or try again after a pause.
    #[error("mailbox of {path} is full ({len} of {capacity} messages, the oldest waits for {oldest_ms} ms)")]
    MailboxFull {
        /// Path that was asked.
        path: String,
        /// Messages queued.
        len: u32,
        /// Messages that fit.
        capacity: u32,
        /// How long the oldest of them has waited, in milliseconds.
        oldest_ms: u64,
    },
    /// The actor has stopped, or is about to. The message did not run; look for another recipient.
    #[error("{path} is not running")]
    NotRunning {
        /// Path that was asked.
        path: String,
    },
    /// The actor crashed or was stopped while it handled the message. It may have run in part; retry only what is
    /// idempotent. The actor itself may be back already: its supervisor decides.
    #[error("{path} stopped before it replied")]
    Stopped {
        /// Path that was asked.
        path: String,
    },
    /// The deadline passed. Retry only what is idempotent, unless `may_have_run` is false.
    #[error("no reply from {path} within {budget_ms} ms")]
    DeadlineExceeded {
        /// Path that was asked.
        path: String,
        /// The time that the caller gave, in milliseconds.
        budget_ms: u64,
        /// Whether the handler may have been started.
        may_have_run: bool,
    },
    /// The recipient's node cannot be reached. Nobody's fault here; the mesh keeps trying to reconnect.
    #[error("node {node} is unreachable")]
    Unreachable {
        /// Name of the node.
        node: String,
        /// Whether the message may have arrived before the node was lost.
        may_have_run: bool,
    },
    /// The message is larger than a message may be. The caller's fault. Nothing ran.
    #[error("message to {path} has {bytes} bytes, {bytes_max} are allowed")]
    TooLarge {
        /// Path that was asked.
        path: String,
        /// Size of the message.
        bytes: u64,
        /// The largest that is allowed.
        bytes_max: u64,
    },
    /// The caller may not do this. Nothing ran.
    #[error("{path} denied the message: {reason}")]
    Denied {
        /// Path that was asked.
        path: String,
        /// Which rule forbids it.
        reason: String,
    },
    /// The caller withdrew the message before it was taken. Nothing ran.
    #[error("the message to {path} was cancelled before it ran")]
    Cancelled {
        /// Path that was asked.
        path: String,
    },
    /// The caller withdrew the message, and heard of no end of its handler in time. It may have run, and may still be
    /// running.
    #[error("the message to {path} was withdrawn, and it is not known whether its handler has ended")]
    Unconfirmed {
        /// Path that was asked.
        path: String,
    },
    /// No node goes by that name. The caller's mistake, or the node has not joined yet. Nothing ran.
    #[error("no node {node}, known are: {}", sorted(known))]
    NoSuchNode {
        /// Node that was named.
        node: String,
        /// Nodes that are known.
        known: Vec<String>,
    },
    /// The path is none. The caller's mistake. Nothing ran.
    #[error("{reason}")]
    BadPath {
        /// What is wrong with it.
        reason: String,
    },
    /// The actor answers this kind with a stream, and something else was asked for. The caller's mistake. Nothing ran;
    /// ask for a stream.
    #[error("{path} answers {kind} with a stream, and a stream is to be asked for")]
    AnswersWithStream {
        /// Path that was asked.
        path: String,
        /// Kind that was sent.
        kind: String,
    },
    /// Another actor of the node has the name. The caller's mistake. Nothing was spawned; choose another name, or stop
    /// that actor.
    #[error("another actor is published as {path}")]
    NameTaken {
        /// Path that was wanted.
        path: String,
    },
    /// An actor cannot be called so. The caller's mistake. Nothing was spawned.
    #[error("{name:?} is no actor's name: {reason}")]
    BadName {
        /// Name that was wanted.
        name: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// The node knows the kind of actor and cannot run it: it lacks something. Its operator's affair. Nothing was
    /// spawned; another node may do.
    #[error("{path} cannot be spawned: {reason}")]
    CannotSpawn {
        /// Path that was wanted.
        path: String,
        /// What is missing.
        reason: String,
    },
    /// A node on the way is of a version that lacks something which the message needs. Its operator's affair. Nothing ran;
    /// do without, or speak to another node.
    #[error("node {node} is of a version that lacks {lacks}")]
    Version {
        /// Name of the node.
        node: String,
        /// What it lacks.
        lacks: String,
    },
    /// A circuit breaker let the message not pass: its target was not well lately. Nothing was sent. Ask another target,
    /// or this one when the time is over.
    #[error("{}", CircuitOpen::new(name, *state, *retry_after))]
    CircuitOpen {
        /// The breaker: `node/actor`, or `node:NAME` for that of a node.
        name: String,
        /// Open, or half-open with all its probes under way.
        state: State,
        /// When it may be worth asking again; `None` where nobody can know: an operator holds it open, or all probes are
        /// under way.
        retry_after: Option<Duration>,
    },
    /// Another node reported an error that has no variant here; it knows whose fault it is.
    #[error("{failure}")]
    Remote {
        /// What it said.
        failure: RemoteFailure,
    },
}

/// An error that another node made, as it was told.
#[derive(Clone, Debug)]
pub struct RemoteFailure {
    /// The error's code there.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Whether to send the message again.
    pub retry: RetryHint,
    /// Whether the handler may have been started.
    pub may_have_run: bool,
    /// The whole of it, for who knows its type.
    pub whole: Arc<dyn Any + Send + Sync>,
}

impl RemoteFailure {
    /// The whole of it, if it is of this type.
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        self.whole.downcast_ref()
    }
}

impl fmt::Display for RemoteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl PartialEq for RemoteFailure {
    fn eq(&self, other: &Self) -> bool {
        let key = |failure: &Self| (failure.retry, failure.may_have_run);
        self.code == other.code && self.message == other.message && key(self) == key(other)
    }
}

impl Eq for RemoteFailure {}

/// Names as people look for one.
fn sorted(names: &[String]) -> String {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.join(", ")
}

/// Why a tell was not accepted.
pub type TellError = AskError;

/// Whether to send a message again, and when: a retry's own word for it, so that a [`RetryPolicy`] understands it.
///
/// [`RetryPolicy`]: mesh_resilience::RetryPolicy
pub type RetryHint = Retry;

impl AskError {
    /// Whether the handler may have run, at least in part, although there is no reply.
    ///
    /// False is a promise: the message can be sent again without running twice.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Stopped { .. } | Self::Unconfirmed { .. } => true,
            Self::DeadlineExceeded { may_have_run, .. } | Self::Unreachable { may_have_run, .. } => {
                *may_have_run
            }
            Self::Remote { failure } => failure.may_have_run,
            Self::NoSuchActor { .. }
            | Self::NoSuchNode { .. }
            | Self::BadPath { .. }
            | Self::UnknownKind { .. }
            | Self::BadMessage { .. }
            | Self::MailboxFull { .. }
            | Self::NotRunning { .. }
            | Self::TooLarge { .. }
            | Self::Denied { .. }
            | Self::AnswersWithStream { .. }
            | Self::NameTaken { .. }
            | Self::BadName { .. }
            | Self::CannotSpawn { .. }
            | Self::Version { .. }
            | Self::CircuitOpen { .. }
            | Self::Cancelled { .. } => false,
        }
    }

    /// The error's name for programs: stable, in capitals.
    pub fn code(&self) -> &str {
        match self {
            Self::NoSuchActor { .. } => "NO_SUCH_ACTOR",
            Self::UnknownKind { .. } => "UNKNOWN_KIND",
            Self::BadMessage { .. } => "BAD_MESSAGE",
            Self::MailboxFull { .. } => "MAILBOX_FULL",
            Self::NotRunning { .. } => "NOT_RUNNING",
            Self::Stopped { .. } => "STOPPED",
            Self::DeadlineExceeded { .. } => "TIMEOUT",
            Self::Unreachable { .. } => "UNREACHABLE",
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::Denied { .. } => "DENIED",
            Self::Cancelled { .. } => "CANCELLED",
            Self::Unconfirmed { .. } => "UNCONFIRMED",
            Self::NoSuchNode { .. } => "NO_SUCH_NODE",
            Self::BadPath { .. } => "BAD_PATH",
            Self::AnswersWithStream { .. } => "ANSWERS_WITH_STREAM",
            Self::NameTaken { .. } => "NAME_TAKEN",
            Self::BadName { .. } => "BAD_NAME",
            Self::CannotSpawn { .. } => "CANNOT_SPAWN",
            Self::Version { .. } => "VERSION",
            Self::CircuitOpen { .. } => "CIRCUIT_OPEN",
            Self::Remote { failure } => &failure.code,
        }
    }

    /// Whether another try is worth it. It does not look at [`may_have_run`](Self::may_have_run): do.
    pub fn retry(&self) -> RetryHint {
        match self {
            // About what a full mailbox of quick messages needs to drain; and it spreads the senders.
            Self::MailboxFull { .. } => RetryHint::After(Duration::from_millis(100)),
            Self::NoSuchActor { .. }
            | Self::NotRunning { .. }
            | Self::Stopped { .. }
            | Self::DeadlineExceeded { .. }
            | Self::NoSuchNode { .. }
            | Self::Unreachable { .. } => RetryHint::Backoff,
            Self::CircuitOpen { name, state, retry_after } => {
                CircuitOpen::new(name, *state, *retry_after).retry()
            }
            Self::Remote { failure } => failure.retry,
            Self::BadPath { .. }
            | Self::UnknownKind { .. }
            | Self::BadMessage { .. }
            | Self::TooLarge { .. }
            | Self::Denied { .. }
            | Self::AnswersWithStream { .. }
            | Self::NameTaken { .. }
            | Self::BadName { .. }
            | Self::CannotSpawn { .. }
            | Self::Version { .. }
            | Self::Unconfirmed { .. }
            | Self::Cancelled { .. } => RetryHint::Never,
        }
    }
}

/// Why a message was not accepted at once. Gives the message back.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryTellError<M> {
    /// There is no room now, or others wait for room already. Wait with `tell`, or send less.
    #[error("the mailbox is full ({len} of {capacity} messages)")]
    Full {
        /// The message.
        message: M,
        /// Messages queued.
        len: u32,
        /// Messages that fit.
        capacity: u32,
    },
    /// Waiting would not help.
    #[error("{error}")]
    Refused {
        /// The message.
        message: M,
        /// Why.
        error: TellError,
    },
}

impl<M> TryTellError<M> {
    /// The message that was not accepted.
    pub fn into_message(self) -> M {
        match self {
            Self::Full { message, .. } | Self::Refused { message, .. } => message,
        }
    }

    /// Whether the mailbox was full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Without the message, so that every message's error can be shown.
impl<M> fmt::Debug for TryTellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { len, capacity, .. } => {
                f.debug_struct("Full").field("len", len).field("capacity", capacity).finish_non_exhaustive()
            }
            Self::Refused { error, .. } => {
                f.debug_struct("Refused").field("error", error).finish_non_exhaustive()
            }
        }
    }
}
