//! Names that come from outside: checked once, and harmless ever after.

use std::{fmt, str::FromStr};

/// How long a name may be, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Which run: 1 to 100 bytes of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
///
/// Two runs are the same if their ids are the same bytes; no id is a pattern, a prefix or a path.
///
/// ```
/// use mesh_store::RunId;
/// assert!("2026-08-report".parse::<RunId>().is_ok());
/// assert!("../etc".parse::<RunId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Box<str>);

/// A word for a kind, a status, a tag, a tool or a holder: 1 to 100 bytes of `a-z A-Z 0-9 . _ - : / @`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// A name that breaks the rules of its type; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be a name here: {reason}")]
pub struct InvalidName {
    /// What was given, at most 120 characters of it.
    pub name: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

impl RunId {
    /// A new id that nobody else has: a UUID of version 7, so that later runs come behind earlier ones.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        check(name, b"._-", "an id is made of a-z A-Z 0-9 . _ and -")?;
        if name == "." || name == ".." {
            return Err(InvalidName { name: name.to_owned(), reason: "it leads to a folder" });
        }
        Ok(Self(name.into()))
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        check(name, b"._-:/@", "a name is made of a-z A-Z 0-9 . _ - : / and @")?;
        Ok(Self(name.into()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(name: &str, also: &[u8], letters: &'static str) -> Result<(), InvalidName> {
    let invalid = |reason| Err(InvalidName { name: name.chars().take(120).collect(), reason });
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return invalid("it has 1 to 100 bytes");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte)) {
        return invalid(letters);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_be_a_path_or_a_pattern_is_refused() {
        for bad in ["", ".", "..", "../a", "a/b", "a\\b", "a b", "a\0b", "a%", "a*", "ä", &"a".repeat(101)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
        for good in ["a", "a_b", "A.b-9", &"a".repeat(100), "..."] {
            assert_eq!(good.parse::<RunId>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_later_generated_id_comes_behind_an_earlier_one() {
        let ids: Vec<_> = (0..1000).map(|_| RunId::generate()).collect();
        assert!(ids.is_sorted());
    }
}
