//! What is known of a tool before it is called.

use std::time::Duration;

use mesh_store::CallPolicy;

/// How long a tool may run, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls that run at once, unless the tool says otherwise.
const CONCURRENCY: usize = 4;

/// The longest name: with `tool:` before it, it is a capability of 64 bytes.
const NAME_BYTES_MAX: usize = 59;

/// What a tool is called, what it does, and how it may be called.
///
/// ```
/// use mesh_agents::tools::{Annotations, ToolSpec};
///
/// let spec = ToolSpec::new("send_mail", "Sends a mail.").annotations(Annotations { open_world: true, ..Annotations::default() });
/// assert_eq!(spec.timeout.as_secs(), 30);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolSpec {
    /// Its name: 1 to 59 bytes of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// What it does; models read it.
    pub description: String,
    /// What it may do to the world.
    pub annotations: Annotations,
    /// How long a call may run, 30 s by default. Waiting for a slot or an approval does not count.
    pub timeout: Duration,
    /// How many calls run at once, 4 by default, at least 1. Others wait their turn.
    pub concurrency: usize,
    /// What may be done about a call whose outcome got lost; by default it is for a human to decide, unless the
    /// annotations say that calling again is harmless.
    pub policy: CallPolicy,
}

/// Hints of what a tool may do to the world, with MCP's names. The default is the worst that is usual: it may write, and
/// nothing is harmless to repeat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Annotations {
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy what was there.
    pub destructive: bool,
    /// The same call twice has no more effect than once.
    pub idempotent: bool,
    /// It deals with the world outside of the node.
    pub open_world: bool,
}

impl ToolSpec {
    /// A tool of this name, with the defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            annotations: Annotations::default(),
            timeout: TIMEOUT,
            concurrency: CONCURRENCY,
            policy: CallPolicy::Manual,
        }
    }

    /// With these annotations. A tool that only reads, or is idempotent, may be called again when a call is in doubt.
    #[must_use]
    pub fn annotations(mut self, annotations: Annotations) -> Self {
        self.annotations = annotations;
        if annotations.read_only || annotations.idempotent {
            self.policy = CallPolicy::Idempotent;
        }
        self
    }

    /// With another time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With so many calls at once, at least 1.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// With another policy for calls that are in doubt.
    #[must_use]
    pub fn policy(mut self, policy: CallPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// What is wrong with it, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let name = &self.name;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_letter) {
            return Some(format!(
                "{name:?} is no tool's name: 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, _ and -"
            ));
        }
        if self.timeout.is_zero() {
            return Some(format!("{name}: a timeout of nothing lets no call end"));
        }
        None
    }
}
