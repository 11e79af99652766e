//! How an actor is to be run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::mailbox::{MailboxConfig, Overflow};
use crate::remedy::RestartStrategy;
use crate::supervisor::Pace;

/// Where an actor runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// On the network's thread: only for actors that never block nor compute for long, since all wait for them.
    Trusted,
    /// On the pool of threads.
    #[default]
    Pool,
    /// On a thread of its own: for one that blocks or spins.
    Dedicated,
}

/// When an actor that ended by itself is started again (OTP's words).
///
/// | | crash, failed start | [`Context::stop`](crate::Context::stop) | stopped, drained or killed from outside |
/// |---|---|---|---|
/// | `Permanent` | restarted | restarted | ends |
/// | `Transient` | restarted | ends | ends |
/// | `Temporary` | ends | ends | ends |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After a crash.
    Transient,
    /// Never.
    Temporary,
}

impl Restart {
    /// OTP's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An actor's name, mailbox, place and restart policy.
///
/// ```
/// use std::time::Duration;
/// use mesh_actor::{ActorSpec, Restart};
///
/// let spec = ActorSpec::new("crawler").mailbox(256).restart(Restart::Transient).intensity(3, Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct ActorSpec {
    pub(crate) name: String,
    pub(crate) mailbox: MailboxConfig,
    pub(crate) class: Class,
    pub(crate) listing: Listing,
    pub(crate) restart: Restart,
    pub(crate) pace: Pace,
    pub(crate) redeliver: u8,
    pub(crate) on_crash: Option<Arc<dyn RestartStrategy>>,
}

/// What others are to know of an actor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) capabilities: Vec<String>,
    /// 0 for an actor that is not placed.
    pub(crate) epoch: u64,
    pub(crate) is_on_every_node: bool,
}

impl ActorSpec {
    /// An actor of this name with the defaults: a mailbox of 1,024 messages and 1 MiB that makes senders wait, on
    /// the pool, `Permanent`, at most 5 restarts in 10 s.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mailbox: MailboxConfig::default(),
            class: Class::default(),
            restart: Restart::default(),
            listing: Listing::default(),
            pace: Pace::default(),
            redeliver: 0,
            on_crash: None,
        }
    }

    /// Its name: what errors and lists call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Messages that fit into the mailbox; 1,024 by default, at least 1.
    #[must_use]
    pub fn mailbox(mut self, messages: u32) -> Self {
        self.mailbox.messages = messages.max(1);
        self
    }

    /// Bytes that fit into the mailbox; 1 MiB by default, at least 1.
    #[must_use]
    pub fn mailbox_bytes(mut self, bytes: usize) -> Self {
        self.mailbox.bytes = bytes.max(1);
        self
    }

    /// What happens to a message for which there is no room; [`Overflow::Wait`] by default.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.mailbox.overflow = overflow;
        self
    }

    /// When it is started again; [`Restart::Permanent`] by default.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How often a tell is handled again whose handler crashed; 0 by default, which loses it.
    ///
    /// It comes first after the restart, so what it did before it crashed may happen twice. When it has crashed its
    /// actor once more than this it is poison, and becomes a [dead letter](crate::DeadLetters). Only messages that can
    /// be copied ([`Message::copy`](crate::Message::copy)) and came from this process are handled again, where the mailbox has room; an ask never is,
    /// since its asker is told at once and decides.
    #[must_use]
    pub fn redeliver(mut self, times: u8) -> Self {
        self.redeliver = times;
        self
    }

    /// Asks `strategy` at each crash what is to be done about it, beyond the restart; nothing by default.
    ///
    /// ```
    /// use mesh_actor::{ActorSpec, Crash, Remedy};
    ///
    /// let spec = ActorSpec::new("writer").on_crash(|crash: &Crash| {
    ///     if crash.reason.contains("context") { Remedy::CompactAndRetry } else { Remedy::Restart }
    /// });
    /// ```
    #[must_use]
    pub fn on_crash(mut self, strategy: impl RestartStrategy + 'static) -> Self {
        self.on_crash = Some(Arc::new(strategy));
        self
    }

    /// Where it runs; [`Class::Pool`] by default.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Something that it can do, such as `tool:fetch`: where it is published, it is found by this too. May be said several
    /// times; whoever publishes the actor checks it, and takes at most 16.
    #[must_use]
    pub fn capability(mut self, capability: impl Into<String>) -> Self {
        self.listing.capabilities.push(capability.into());
        self
    }

    /// Other nodes are meant to have an actor of the same published name: nobody is told that there are two.
    #[must_use]
    pub fn on_every_node(mut self) -> Self {
        self.listing.is_on_every_node = true;
        self
    }

    /// Which of the lives of one name over all nodes this is: whoever places actors counts up from 1. 0, the default, is an
    /// actor that nobody has placed.
    #[must_use]
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.listing.epoch = epoch;
        self
    }

    /// It is given up when it would be restarted more than `restarts` times within `period`; 5 in 10 s by default.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.pace.restarts_max = restarts;
        self.pace.period = period;
        self
    }

    /// The pause before the second restart in a period, and the longest; 50 ms and 5 s by default.
    ///
    /// The first restart follows at once. From the second on the pause doubles, and each is spread by chance over
    /// half to all of its length, so that actors that fail together do not return together.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.pace.backoff_first = first;
        self.pace.backoff_max = longest;
        self
    }
}
