//! Whom a guard may send to, the best first.

use super::Pass;
use crate::mesh::Mesh;
use mesh_actor::AskError;
use mesh_resilience::{Advice, CircuitOpen};
use std::fmt;

/// Every so many messages, a target goes first that waits to be tried again: else nobody would find out.
const PROBE_EVERY: usize = 16;

/// Whom a guard may send to.
#[derive(Debug)]
pub(super) enum Targets {
    /// One path, maybe a name alone.
    Path(String),
    /// Any of these.
    Any(Vec<String>),
    /// Whoever says that it can do this.
    Capable(String),
}

/// One target: the path that messages go to, and the one that its breaker is called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) path: String,
    pub(super) breaker: String,
}

impl Targets {
    /// All that there are now: those that are well first, in turns among equals.
    pub(super) fn in_order(&self, mesh: &Mesh, turn: usize) -> Vec<Target> {
        match self {
            Self::Path(path) => vec![target(mesh, path)],
            Self::Any(paths) => {
                let targets = paths.iter().map(|path| target(mesh, path));
                sorted(targets.collect(), turn, |target| mesh.breakers().advice(&target.breaker))
            }
            Self::Capable(label) => {
                let targets = mesh
                    .list(label)
                    .into_iter()
                    .map(|one| Target { breaker: one.path.clone(), path: one.path });
                sorted(targets.collect(), turn, |target| mesh.breakers().advice(&target.breaker))
            }
        }
    }

    /// The error where there are none.
    pub(super) fn nobody(&self) -> AskError {
        AskError::NoSuchActor { path: self.to_string() }
    }
}

/// Whether a router should send to the actor at `path`, which may be a name alone.
pub(crate) fn advice_on(mesh: &Mesh, path: &str) -> Advice {
    let breakers = mesh.breakers();
    // Looking up a name for nothing would cost each message of a large pool.
    if breakers.know_nothing() { Advice::Prefer } else { breakers.advice(&target(mesh, path).breaker) }
}

/// The right to find out how the actor at `path` is, which may be a name alone.
///
/// # Errors
/// [`CircuitOpen`] of the breaker that is, or that enough others find out about.
pub(crate) fn pass_on(mesh: &Mesh, path: &str) -> Result<Pass, CircuitOpen> {
    let shared = mesh.shared();
    Pass::through(&shared.breakers, &target(mesh, path).breaker, &shared.me.name)
}

/// A name alone is guarded as the actor to which it leads now.
fn target(mesh: &Mesh, path: &str) -> Target {
    let resolved = if path.contains('/') { None } else { mesh.resolve(path) };
    Target { breaker: resolved.unwrap_or_else(|| path.to_owned()), path: path.to_owned() }
}

fn sorted(mut targets: Vec<Target>, turn: usize, advice: impl Fn(&Target) -> Advice) -> Vec<Target> {
    if targets.is_empty() {
        return targets;
    }
    let count = targets.len();
    targets.rotate_left(turn % count);
    let mut advised: Vec<_> = targets.into_iter().map(|target| (advice(&target), target)).collect();
    // Stable: equals stay in the order of their turn.
    advised.sort_by_key(|(advice, _)| *advice);
    let probe = advised.iter().position(|(advice, _)| *advice == Advice::Probe);
    if let Some(probe) = probe.filter(|_| turn % PROBE_EVERY == PROBE_EVERY - 1) {
        advised[..=probe].rotate_right(1);
    }
    advised.into_iter().map(|(_, target)| target).collect()
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Any(paths) => f.write_str(&paths.join(" or ")),
            Self::Capable(label) => write!(f, "any {label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(advice: [Advice; 3], turn: usize) -> String {
        let target = |name: &str| Target { path: name.to_owned(), breaker: name.to_owned() };
        let by_name = |target: &Target| advice[usize::from(target.path.as_bytes()[0] - b'a')];
        sorted(["a", "b", "c"].map(target).to_vec(), turn, by_name).into_iter().map(|one| one.path).collect()
    }

    #[test]
    fn those_that_are_well_come_first_and_in_turns() {
        use Advice::{Avoid, Prefer};
        assert_eq!(order([Prefer, Prefer, Prefer], 0), "abc");
        assert_eq!(order([Prefer, Prefer, Prefer], 1), "bca");
        assert_eq!(order([Avoid, Prefer, Prefer], 0), "bca");
        assert_eq!(order([Avoid, Prefer, Avoid], 2), "bca");
    }

    #[test]
    fn one_that_waits_to_be_tried_is_tried_now_and_then() {
        let advice = [Advice::Prefer, Advice::Probe, Advice::Prefer];
        let firsts: Vec<usize> = (0..64).filter(|turn| order(advice, *turn).starts_with('b')).collect();
        assert_eq!(firsts, [15, 31, 47, 63]);
    }
}
