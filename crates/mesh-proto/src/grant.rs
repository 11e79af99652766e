//! What a client may do: verbs, on actors. Nothing that was not granted is allowed.

use std::{fmt, str::FromStr};

/// Most grants of one client: 32. They travel in its certificate, and a handshake is bounded.
pub const GRANTS_MAX: usize = 32;

/// Longest text of one client's grants: 4 KiB.
pub const GRANT_TEXT_BYTES_MAX: usize = 4 * 1024;

/// What is done to an actor. None of them includes another, but [`Verb::All`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verb {
    /// Send a message that nobody answers; on a topic, to those subscribers that the pattern means. Streams of a topic
    /// are `NODE/taps/TOPIC/NUMBER`.
    Tell,
    /// Send a message and get its reply.
    Ask,
    /// Send a message that is answered by a stream; and follow a topic, on `NODE/topics/TOPIC`.
    Stream,
    /// See what there is: members, actors, names, kinds. The kinds of `NODE/mesh` that change nothing.
    Read,
    /// Start actors of registered kinds, by `NODE/mesh`.
    Spawn,
    /// Stop actors, by `NODE/mesh`, and whatever else a kind calls an administrator's.
    Admin,
    /// See what people are asked to approve, and answer it, by `NODE/approvals`.
    Approve,
    /// Every verb, later ones too. Only a grant says this: no message needs it.
    All,
}

impl Verb {
    const KNOWN: [Self; 8] =
        [Self::Tell, Self::Ask, Self::Stream, Self::Read, Self::Spawn, Self::Admin, Self::Approve, Self::All];

    /// The verb's word in a grant.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Ask => "ask",
            Self::Stream => "stream",
            Self::Read => "read",
            Self::Spawn => "spawn",
            Self::Admin => "admin",
            Self::Approve => "approve",
            Self::All => "all",
        }
    }

    fn covers(self, wanted: Self) -> bool {
        self == Self::All || self == wanted
    }
}

/// Which actors a grant is about: a path in which `*` stands for any one segment, and `**`, as the last, for one or
/// more.
///
/// | pattern | is |
/// |---|---|
/// | `beta/echo` | that actor |
/// | `*/echo` | every node's `echo` |
/// | `beta/*` | every actor of beta whose name has one segment |
/// | `beta/pool/**` | `beta/pool/1`, `beta/pool/a/b`; not `beta/pool` |
/// | `**` | every actor |
/// | `*/topics/news` | the topic `news`, to follow it at any node |
/// | `*/taps/news/*` | who follows `news`, to publish to them |
///
/// A wildcard is a whole segment (`ec*` is none), letters count as they are written, and only characters of paths
/// stand in a pattern: what is compared are bytes between slashes, in one pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorPattern(Box<str>);

impl ActorPattern {
    /// Whether the actor at `path` (`node/name`) is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        for wanted in self.0.split('/') {
            let Some(segment) = segments.next() else { return false };
            match wanted {
                // The last of the pattern, as was checked when it was read.
                "**" => return true,
                "*" => {}
                literal if literal == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ActorPattern {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let invalid = |reason| Err(InvalidGrant::new(text, reason));
        let count = text.split('/').count();
        if text.len() > 264 || count > 9 {
            return invalid("a pattern has at most 264 bytes and 9 segments");
        }
        for (place, segment) in text.split('/').enumerate() {
            match segment {
                "**" if place + 1 == count => {}
                "**" => return invalid("`**` stands for the rest of a path, so it comes last"),
                "*" => {}
                "" | "." | ".." => return invalid("a segment is never empty, `.` or `..`"),
                _ if segment.contains('*') => return invalid("a wildcard is a whole segment: `*` or `**`"),
                _ if !segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) => {
                    return invalid("a pattern is made of a-z A-Z 0-9 . _ - and /, and of `*`");
                }
                _ => {}
            }
        }
        if count == 1 && text != "**" {
            return invalid("a pattern is NODE/NAME, `*/NAME` for every node, or `**`");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ActorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One verb on the actors of one pattern: `ask:*/echo`.
///
/// ```
/// use mesh_proto::{Grant, Verb};
/// let grant: Grant = "ask:*/echo".parse()?;
/// assert!(grant.allows(Verb::Ask, "beta/echo"));
/// assert!(!grant.allows(Verb::Tell, "beta/echo"));
/// # Ok::<(), mesh_proto::InvalidGrant>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    /// What may be done.
    pub verb: Verb,
    /// To which actors.
    pub actors: ActorPattern,
}

impl Grant {
    /// Whether this grant lets its holder do that.
    #[must_use]
    pub fn allows(&self, verb: Verb, path: &str) -> bool {
        self.verb.covers(verb) && self.actors.matches(path)
    }
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let Some((verb, actors)) = text.split_once(':') else {
            return Err(InvalidGrant::new(text, "a grant is VERB:PATTERN, for example ask:*/echo"));
        };
        let verb = Verb::KNOWN.into_iter().find(|known| known.as_str() == verb);
        let verb = verb.ok_or_else(|| {
            InvalidGrant::new(text, "the verbs are tell, ask, stream, read, spawn, admin, approve and all")
        })?;
        Ok(Self { verb, actors: actors.parse()? })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.verb.as_str(), self.actors)
    }
}

/// Everything that one client may do. Empty, it may do nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantSet(Vec<Grant>);

impl GrantSet {
    /// Everything, on every actor: what the user who runs the nodes has.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Grant { verb: Verb::All, actors: ActorPattern("**".into()) }])
    }

    /// These grants and no more.
    ///
    /// # Errors
    /// [`InvalidGrant`] when they are more than [`GRANTS_MAX`], or their text is longer than
    /// [`GRANT_TEXT_BYTES_MAX`].
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Self, InvalidGrant> {
        let set = Self(grants.into_iter().take(GRANTS_MAX + 1).collect());
        if set.0.len() > GRANTS_MAX {
            return Err(InvalidGrant::new("", "a client has at most 32 grants"));
        }
        if set.to_string().len() > GRANT_TEXT_BYTES_MAX {
            return Err(InvalidGrant::new("", "a client's grants have at most 4 KiB of text"));
        }
        Ok(set)
    }

    /// Reads what a certificate says. A grant that this version does not know grants nothing.
    #[must_use]
    pub fn from_certificate(text: &str) -> Self {
        if text.len() > GRANT_TEXT_BYTES_MAX {
            return Self::default();
        }
        let known = text.split(',').filter_map(|grant| grant.parse().ok());
        Self(known.take(GRANTS_MAX).collect())
    }

    /// Whether one of the grants allows `verb` on the actor at `path` (`node/name`).
    #[must_use]
    pub fn allows(&self, verb: Verb, path: &str) -> bool {
        self.0.iter().any(|grant| grant.allows(verb, path))
    }

    /// Whether anything at all may be done to the actor at `path`.
    #[must_use]
    pub fn reaches(&self, path: &str) -> bool {
        self.0.iter().any(|grant| grant.actors.matches(path))
    }

    /// The grants, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for GrantSet {
    /// The grants with commas between them, as they stand in a certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, grant) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{grant}")?;
        }
        Ok(())
    }
}

/// A text that is no grant; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no grant: {reason}")]
#[non_exhaustive]
pub struct InvalidGrant {
    /// What was given, at most its first 80 characters.
    pub text: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

impl InvalidGrant {
    fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), reason }
    }
}

#[cfg(test)]
mod tests;
