//! Whose memories they are.

use std::fmt;
use std::str::FromStr;

use crate::sum::{Digest, Sum};
use crate::{InvalidName, RunId};

/// Whose memories: those of a tenant, of one of its agents, or of one run of that agent. Written as `acme`,
/// `acme/planner` or `acme/planner/run-7`; each part is what a [`RunId`] is.
///
/// A scope holds what was put into it and nothing else: what belongs to `acme/planner` is not in `acme`.
///
/// ```
/// use mesh_store::MemoryScope;
///
/// let scope: MemoryScope = "acme/planner".parse()?;
/// assert_eq!((scope.tenant(), scope.agent(), scope.run()), ("acme", Some("planner"), None));
/// assert!("acme/../other".parse::<MemoryScope>().is_err());
/// # Ok::<(), mesh_store::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryScope(Box<str>);

impl MemoryScope {
    /// The scope as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose it is at last.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.part(0).unwrap_or_default()
    }

    /// The agent, if it is not the whole tenant's.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.part(1)
    }

    /// The run, if it is of one alone.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        self.part(2)
    }

    fn part(&self, at: usize) -> Option<&str> {
        self.0.split('/').nth(at)
    }

    /// What its rows are kept under.
    pub(crate) fn key(&self) -> Sum {
        Digest::new("memory scope").text(&self.0).finish()
    }
}

impl FromStr for MemoryScope {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |reason| InvalidName { name: text.chars().take(120).collect(), reason };
        if text.split('/').count() > 3 {
            return Err(invalid("a scope is TENANT, TENANT/AGENT or TENANT/AGENT/RUN"));
        }
        for part in text.split('/') {
            part.parse::<RunId>().map_err(|error| invalid(error.reason))?;
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for MemoryScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_could_lead_elsewhere_is_refused() {
        for bad in ["", "/", "a/", "/a", "a//b", "a/..", "a/b/c/d", "a/*", "a b", "a%", "ä"] {
            assert!(bad.parse::<MemoryScope>().is_err(), "{bad:?}");
        }
        let (outer, inner): (MemoryScope, MemoryScope) = ("a_b".parse().unwrap(), "a/b".parse().unwrap());
        assert_ne!(outer.key(), inner.key());
    }
}
