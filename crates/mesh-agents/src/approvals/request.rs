//! What is asked of people.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_store::{ContentHash, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::level::Level;

/// The most that the arguments of an action may have, as JSON: 256 KiB.
pub const ARGS_BYTES_MAX: usize = 256 << 10;
/// What is said about a request, each part of it.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// The longest that a request may wait: 30 days.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Says what is wrong with edited arguments, if anything. It is called by the inbox, so it is quick.
pub type Check = Arc<dyn Fn(&Value) -> Result<(), String> + Send + Sync>;

/// Something that an agent is about to do, for people to decide on.
#[derive(Clone)]
pub struct Request {
    pub(super) by: String,
    pub(super) action: String,
    pub(super) args: Value,
    pub(super) description: String,
    pub(super) doing: String,
    pub(super) run: Option<RunId>,
    pub(super) key: Option<String>,
    pub(super) level: Option<Level>,
    pub(super) timeout: Option<Duration>,
    pub(super) at_most: Option<Duration>,
    pub(super) needed: u32,
    pub(super) check: Option<Check>,
    pub(super) form: Form,
}

/// What the arguments are, which decides how they may be edited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// Those of an action.
    #[default]
    Action,
    /// The items of a review: each keeps its id.
    Review,
}

impl Request {
    /// The agent `by` (1 to 60 bytes of `a-z A-Z 0-9 . _ - : /`) asks to do `action` (1 to 100 bytes of these and `@`),
    /// with exactly these arguments.
    #[must_use]
    pub fn new(by: impl Into<String>, action: impl Into<String>, args: Value) -> Self {
        Self {
            by: by.into(),
            action: action.into(),
            args,
            description: String::new(),
            doing: String::new(),
            run: None,
            key: None,
            level: None,
            timeout: None,
            at_most: None,
            needed: 1,
            check: None,
            form: Form::Action,
        }
    }

    /// What it is for, for people; at most 16 KiB.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// What the agent was doing when it came to this, for people; at most 16 KiB.
    #[must_use]
    pub fn doing(mut self, text: impl Into<String>) -> Self {
        self.doing = text.into();
        self
    }

    /// The run that waits for it.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// What names the request within its run, or of its agent where there is no run, as `step/3`: who asks again under the
    /// same key, after a restart too, goes on with the request that is there, and with what was decided then: another occasion
    /// takes another key. By default it is one of its own.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// At least this level, whatever the policies say; they can only be stricter.
    #[must_use]
    pub fn at_least(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// How long it waits before it counts as denied, up to 30 days; by default what the policies say, which is 300 s
    /// unless set otherwise. Where a policy sets less, that holds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Never longer than this, whatever the policies say: when nobody would be there to use the answer.
    #[must_use]
    pub fn at_most(mut self, timeout: Duration) -> Self {
        // A moment is longer than nothing, which would be no request.
        self.at_most = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// At least this many different people must approve; 1 by default.
    #[must_use]
    pub fn quorum(mut self, needed: u32) -> Self {
        self.needed = needed;
        self
    }

    /// What looks at edited arguments: when somebody edits them, who is told at once, and again before they are used.
    #[must_use]
    pub fn check(mut self, check: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// What is wrong with it, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let long = |text: &str| text.len() > TEXT_BYTES_MAX;
        if self.by.is_empty() || self.by.len() > 60 || self.by.contains('@') {
            return Some("its agent's name has 1 to 60 bytes, and no @".to_owned());
        }
        if long(&self.description) || long(&self.doing) {
            return Some(format!("what is said about it has more than {TEXT_BYTES_MAX} bytes"));
        }
        if self.key.as_ref().is_some_and(|key| key.len() > 1024) {
            return Some("its key has more than 1 KiB".to_owned());
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero() || timeout > TIMEOUT_MAX) {
            return Some("it waits longer than nothing, and 30 days at most".to_owned());
        }
        let bytes = self.args.to_string().len();
        (bytes > ARGS_BYTES_MAX)
            .then(|| format!("its arguments have {bytes} bytes; at most {ARGS_BYTES_MAX} are taken"))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("by", &self.by).field("action", &self.action).finish_non_exhaustive()
    }
}

/// An action with its arguments, as they are stored and hashed.
#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    action: &'a str,
    #[serde(borrow)]
    args: &'a RawValue,
}

/// The bytes that an approval is about. `args` is a JSON text.
pub(super) fn payload(action: &str, args: &str) -> Result<Bytes, String> {
    let args: &RawValue = serde_json::from_str(args).map_err(|error| format!("the arguments: {error}"))?;
    let text = serde_json::to_vec(&Payload { action, args }).map_err(|error| error.to_string())?;
    Ok(text.into())
}

/// The arguments of what is stored, as their text.
pub(super) fn args_of(payload: &[u8]) -> Option<&str> {
    serde_json::from_slice::<Payload<'_>>(payload).ok().map(|payload| payload.args.get())
}

/// The BLAKE3 hash of exactly this action with these arguments: what an approval is about.
///
/// The order of an object's keys does not matter, where JSON does not keep it.
#[must_use]
pub fn action_hash(action: &str, args: &Value) -> ContentHash {
    let payload = payload(action, &args.to_string()).expect("a value is JSON");
    ContentHash::of(&payload)
}

/// What is said about a request: kept with it, and never changed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Brief {
    pub(super) description: String,
    pub(super) doing: String,
    pub(super) approvers: Option<Vec<String>>,
    #[serde(default)]
    pub(super) form: Form,
}

/// What is kept of an edit beside its hash: what it was before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct EditNote {
    pub(super) said: String,
    pub(super) before: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_byte_of_the_arguments_makes_another_hash() {
        let hash = |action, args| action_hash(action, &args);
        let asked = hash("delete_files", json!({"glob": "logs/*.gz", "n": 1}));
        assert_eq!(asked, hash("delete_files", json!({"glob": "logs/*.gz", "n": 1})));
        assert_ne!(asked, hash("delete_files", json!({"glob": "logs/*.gy", "n": 1})));
        assert_ne!(asked, hash("delete_file", json!({"glob": "logs/*.gz", "n": 1})));
    }

    #[test]
    fn arguments_come_back_as_they_were_written() {
        let stored = payload("a", "{\"b\": 1.50,\n \"c\": \"é\"}").unwrap();
        assert_eq!(args_of(&stored), Some("{\"b\": 1.50,\n \"c\": \"é\"}"));
        assert!(payload("a", "{} x").is_err() && payload("a", "").is_err());
        assert_eq!(args_of(b"rm old"), None);
    }

    #[test]
    fn a_request_that_cannot_be_kept_is_refused() {
        let plain = || Request::new("ops", "x", json!({}));
        assert_eq!(plain().problem(), None);
        for bad in [
            Request::new("", "x", json!({})),
            Request::new("ops@beta", "x", json!({})),
            Request::new("ops", "x", json!("y".repeat(ARGS_BYTES_MAX))),
            plain().timeout(Duration::ZERO),
            plain().timeout(TIMEOUT_MAX + Duration::from_secs(1)),
            plain().description("x".repeat(TEXT_BYTES_MAX + 1)),
        ] {
            assert!(bad.problem().is_some(), "{bad:?}");
        }
    }
}
