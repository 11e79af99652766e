//! Names that people write: paths of actors and kinds of messages.

use std::{fmt, str::FromStr};

/// Where an actor is found: `node/name`, or a published `name` that any node may own.
///
/// A node is a DNS label (`a-z`, `0-9`, `-`, at most 63). A name has one to eight segments of `a-z A-Z 0-9 . _ -`
/// joined by `/`, at most 200 bytes; no segment is `.` or `..`.
///
/// ```
/// use mesh_proto::ActorPath;
/// let path: ActorPath = "beta/echo".parse()?;
/// assert_eq!((path.node(), path.name()), (Some("beta"), "echo"));
/// assert_eq!("summarizer".parse::<ActorPath>()?.node(), None);
/// # Ok::<(), mesh_proto::InvalidPath>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorPath {
    node: Option<Box<str>>,
    name: Box<str>,
}

impl ActorPath {
    /// The actor called `name` on `node`.
    ///
    /// # Errors
    /// [`InvalidPath`] when either breaks the rules above.
    pub fn new(node: &str, name: &str) -> Result<Self, InvalidPath> {
        let invalid = |reason| InvalidPath { path: format!("{node}/{name}"), reason };
        check_node(node).map_err(invalid)?;
        check_name(name).map_err(invalid)?;
        Ok(Self { node: Some(node.into()), name: name.into() })
    }

    /// The node that is asked for, or `None` for a published name.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// The actor's name on its node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for ActorPath {
    type Err = InvalidPath;

    fn from_str(path: &str) -> Result<Self, InvalidPath> {
        match path.split_once('/') {
            Some((node, name)) => Self::new(node, name),
            None => {
                check_name(path).map_err(|reason| InvalidPath { path: path.to_owned(), reason })?;
                Ok(Self { node: None, name: path.into() })
            }
        }
    }
}

impl fmt::Display for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A path that breaks the rules of [`ActorPath`]; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not an actor's path (`node/name`): {reason}")]
pub struct InvalidPath {
    /// What was given.
    pub path: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

/// Checks an actor's name (the part behind the node) by the rules of [`ActorPath`].
///
/// # Errors
/// The rule that the name breaks.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 200 {
        return Err("a name has 1 to 200 bytes");
    }
    if name.split('/').count() > 8 {
        return Err("a name has at most 8 segments");
    }
    for segment in name.split('/') {
        if segment.is_empty() || segment == "." || segment == ".." {
            return Err("a segment of a name is never empty, `.` or `..`");
        }
        if !segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return Err("a name is made of a-z A-Z 0-9 . _ - and /");
        }
    }
    Ok(())
}

pub(crate) fn check_node(node: &str) -> Result<(), &'static str> {
    let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if node.is_empty() || node.len() > 63 || !node.bytes().all(label) {
        return Err("a node's name has 1 to 63 of a-z 0-9 and -");
    }
    if node.starts_with('-') || node.ends_with('-') {
        return Err("a node's name neither starts nor ends with -");
    }
    Ok(())
}

/// What a message is: `area.verb_or_noun.vN`. Its fields never change; a change is the next N.
///
/// ```
/// assert!("lab.echo.v1".parse::<mesh_proto::Kind>().is_ok());
/// assert!("echo".parse::<mesh_proto::Kind>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Box<str>);

impl Kind {
    /// The kind as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Kind {
    type Err = InvalidKind;

    fn from_str(kind: &str) -> Result<Self, InvalidKind> {
        let invalid = || InvalidKind { kind: kind.chars().take(80).collect() };
        let segment = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_lowercase())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let (area, version) = kind.rsplit_once(".v").ok_or_else(invalid)?;
        let numbered =
            !version.is_empty() && version.len() <= 4 && version.bytes().all(|b| b.is_ascii_digit());
        let named = area.contains('.') && area.split('.').all(segment);
        if kind.len() <= 100 && numbered && named { Ok(Self(kind.into())) } else { Err(invalid()) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A kind that is not `area.verb_or_noun.vN`; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?} is not a kind of message (`area.verb_or_noun.vN`)")]
pub struct InvalidKind {
    /// What was given, at most its first 80 characters.
    pub kind: String,
}

#[cfg(test)]
mod tests;
