//! Errors of asks, to and from their form on the wire.

use mesh_actor::{AskError, RemoteFailure, RetryHint};
use mesh_proto::{Failure, Json, Retry};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The wire's form of an error that `here` made, or passes on.
pub(crate) fn failure_of(error: &AskError, here: &str) -> Failure {
    if let AskError::Remote { failure } = error
        && let Some(whole) = failure.downcast_ref::<Failure>()
    {
        return whole.clone();
    }
    let retry = match error.retry() {
        RetryHint::Never => Retry::Never,
        RetryHint::After(pause) => Retry::AfterMs(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        RetryHint::Backoff => Retry::Backoff,
    };
    Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        details: details_of(error),
        retry,
        may_have_run: error.may_have_run(),
        origin: here.to_owned(),
    }
}

/// What a program may want of an error, field by field.
fn details_of(error: &AskError) -> Json {
    let details = match error {
        AskError::NoSuchActor { path }
        | AskError::NotRunning { path }
        | AskError::Stopped { path }
        | AskError::Cancelled { path }
        | AskError::Unconfirmed { path }
        | AskError::NameTaken { path } => json!({ "path": path }),
        AskError::AnswersWithStream { path, kind } => json!({ "path": path, "kind": kind }),
        AskError::BadName { name, reason } => json!({ "name": name, "reason": reason }),
        AskError::NoSuchNode { node, known } => json!({ "node": node, "known": known }),
        AskError::UnknownKind { path, kind, known } => json!({ "path": path, "kind": kind, "known": known }),
        AskError::BadMessage { path, kind, reason } => {
            json!({ "path": path, "kind": kind, "reason": reason })
        }
        AskError::MailboxFull { path, len, capacity, oldest_ms } => {
            json!({ "path": path, "len": len, "capacity": capacity, "oldest_ms": oldest_ms })
        }
        AskError::DeadlineExceeded { path, budget_ms, .. } => json!({ "path": path, "budget_ms": budget_ms }),
        AskError::Unreachable { node, .. } => json!({ "node": node }),
        AskError::TooLarge { path, bytes, bytes_max } => {
            json!({ "path": path, "bytes": bytes, "bytes_max": bytes_max })
        }
        AskError::Denied { path, reason } | AskError::CannotSpawn { path, reason } => {
            json!({ "path": path, "reason": reason })
        }
        AskError::CircuitOpen { name, state, retry_after } => json!({
            "name": name,
            "state": state,
            "retry_after_ms": retry_after.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        }),
        AskError::Version { node, lacks } => json!({ "node": node, "lacks": lacks }),
        _ => Value::Null,
    };
    Json::of(&details)
}

/// The error that a failure stands for: of the same variant that the other node had, where this version knows it.
pub(crate) fn error_of(failure: Failure) -> AskError {
    let details = failure.details.to_value();
    let text = |key: &str| details.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| details.get(key).and_then(Value::as_u64);
    let texts = |key: &str| {
        let list = details.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let known = || {
        let error = match failure.code.as_str() {
            "NO_SUCH_ACTOR" => AskError::NoSuchActor { path: text("path")? },
            "NO_SUCH_NODE" => AskError::NoSuchNode { node: text("node")?, known: texts("known") },
            "NOT_RUNNING" => AskError::NotRunning { path: text("path")? },
            "STOPPED" => AskError::Stopped { path: text("path")? },
            "CANCELLED" => AskError::Cancelled { path: text("path")? },
            "UNCONFIRMED" => AskError::Unconfirmed { path: text("path")? },
            "UNKNOWN_KIND" => {
                AskError::UnknownKind { path: text("path")?, kind: text("kind")?, known: texts("known") }
            }
            "BAD_MESSAGE" => {
                AskError::BadMessage { path: text("path")?, kind: text("kind")?, reason: text("reason")? }
            }
            "MAILBOX_FULL" => AskError::MailboxFull {
                path: text("path")?,
                len: u32::try_from(number("len")?).ok()?,
                capacity: u32::try_from(number("capacity")?).ok()?,
                oldest_ms: number("oldest_ms")?,
            },
            "TIMEOUT" => AskError::DeadlineExceeded {
                path: text("path")?,
                budget_ms: number("budget_ms")?,
                may_have_run: failure.may_have_run,
            },
            "UNREACHABLE" => {
                AskError::Unreachable { node: text("node")?, may_have_run: failure.may_have_run }
            }
            "DENIED" => AskError::Denied { path: text("path")?, reason: text("reason")? },
            "ANSWERS_WITH_STREAM" => AskError::AnswersWithStream { path: text("path")?, kind: text("kind")? },
            "NAME_TAKEN" => AskError::NameTaken { path: text("path")? },
            "BAD_NAME" => AskError::BadName { name: text("name")?, reason: text("reason")? },
            "CANNOT_SPAWN" => AskError::CannotSpawn { path: text("path")?, reason: text("reason")? },
            "CIRCUIT_OPEN" => AskError::CircuitOpen {
                name: text("name")?,
                state: serde_json::from_value(details.get("state")?.clone()).ok()?,
                retry_after: number("retry_after_ms").map(Duration::from_millis),
            },
            "VERSION" => AskError::Version { node: text("node")?, lacks: text("lacks")? },
            _ => return None,
        };
        Some(error)
    };
    if let Some(error) = known() {
        return error;
    }
    let retry = match failure.retry {
        Retry::Never => RetryHint::Never,
        Retry::AfterMs(pause) => RetryHint::After(Duration::from_millis(pause)),
        Retry::Backoff => RetryHint::Backoff,
    };
    let whole = Arc::new(failure.clone());
    let Failure { code, message, may_have_run, .. } = failure;
    AskError::Remote { failure: RemoteFailure { code, message, retry, may_have_run, whole } }
}

pub(crate) fn not_running(path: &str, here: &str) -> Failure {
    failure_of(&AskError::NotRunning { path: path.to_owned() }, here)
}

/// An actor has ended: its channels close with this, and monitors read how.
pub(crate) fn ended(path: &str, here: &str, exit: mesh_actor::ExitReason) -> Failure {
    let mut failure = not_running(path, here);
    let down = crate::monitor::DownReason::from(exit);
    failure.details = Json::of(&json!({ "path": path, "down": down }));
    failure
}

/// The channel that a message names is closed, or never was open.
pub(crate) fn channel_closed(here: &str) -> Failure {
    failure_of(&AskError::NotRunning { path: "the actor behind a closed channel".to_owned() }, here)
}

/// A large payload never came, or not whole.
pub(crate) fn body_lost(path: &str, here: &str) -> Failure {
    let reason = "its payload did not arrive".to_owned();
    failure_of(&AskError::BadMessage { path: path.to_owned(), kind: "message".to_owned(), reason }, here)
}

pub(crate) fn bad_message(path: &str, kind: &str, reason: String, here: &str) -> Failure {
    failure_of(&AskError::BadMessage { path: path.to_owned(), kind: kind.to_owned(), reason }, here)
}

pub(crate) fn limit_reached(what: &str, limit: usize, here: &str) -> Failure {
    let path = here.to_owned();
    failure_of(&AskError::Denied { path, reason: format!("a peer has at most {limit} {what}") }, here)
}

/// The node behind a relay cannot be reached; `may_return` tells whether it may be the way only that is cut.
pub(crate) fn lost(error: &AskError, may_return: bool, here: &str) -> Failure {
    let mut failure = failure_of(error, here);
    if let (true, AskError::Unreachable { node, .. }) = (may_return, error) {
        failure.details = Json::of(&json!({ "node": node, "may_return": true }));
    }
    failure
}

/// Whether a failure is that of a connection that may come back.
pub(crate) fn may_return(failure: &Failure) -> bool {
    failure.code == "UNREACHABLE" && failure.details.to_value()["may_return"] == true
}

/// There is no such stream here, or not all that its reader lacks.
pub(crate) fn stream_gone(path: &str, first: Option<u64>, here: &str) -> Failure {
    let why = first.map_or_else(
        || "it is over, or nobody came for it in time".to_owned(),
        |first| format!("what is left of it begins with item {first}"),
    );
    Failure {
        code: STREAM_GONE.to_owned(),
        message: format!("a stream from {path} cannot go on: {why}"),
        details: Json::of(&json!({ "path": path, "first": first })),
        retry: Retry::Never,
        may_have_run: true,
        origin: here.to_owned(),
    }
}

/// The code of a stream that cannot go on.
pub(crate) const STREAM_GONE: &str = "STREAM_GONE";

/// A reader came for a stream that another one still had.
pub(crate) fn another_reader(path: &str, here: &str) -> Failure {
    Failure {
        message: format!("another reader has come for the stream from {path}"),
        ..stream_gone(path, None, here)
    }
}

/// The end of a stream for a reader that left it, and may come back.
pub(crate) fn detached(path: &str, here: &str) -> Failure {
    Failure {
        message: format!("the stream from {path} is kept for its reader"),
        ..stream_gone(path, None, here)
    }
}

/// A stream ends here, behind what was received: why the way to it was not found again.
pub(crate) fn stream_lost(path: &str, received: u64, why: &AskError, here: &str) -> Failure {
    let message = format!("the stream from {path} was lost behind item {received}: {why}");
    let node = path.split_once('/').map_or(path, |(node, _)| node);
    // Its handler has run, if only in part: what tells that nothing ran is not the end of a stream.
    let end = match why {
        AskError::Unreachable { .. } | AskError::NoSuchNode { .. } | AskError::DeadlineExceeded { .. } => {
            AskError::Unreachable { node: node.to_owned(), may_have_run: true }
        }
        _ => AskError::Stopped { path: path.to_owned() },
    };
    let details = Json::of(&json!({ "path": path, "node": node, "received": received }));
    Failure { message, details, ..failure_of(&end, here) }
}
