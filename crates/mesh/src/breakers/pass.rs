//! The right to send one message to one target.

use super::{Breakers, of_node};
use mesh_actor::AskError;
use mesh_resilience::{Breaker, CircuitOpen, Permit, State, Verdict};

/// The right to send one message to one target: of its breaker, and of its node's. Dropped, it says nothing about either.
pub(crate) struct Pass {
    actor: Option<Leave>,
    node: Option<Leave>,
}

struct Leave {
    breaker: Breaker,
    permit: Permit,
}

impl Pass {
    /// Asks the breakers of the actor at `path`, and of its node, unless that is `own`.
    ///
    /// # Errors
    /// [`CircuitOpen`] of the one that is.
    pub(super) fn through(breakers: &Breakers, path: &str, own: &str) -> Result<Self, CircuitOpen> {
        let is_own = path.split_once('/').is_none_or(|(node, _)| node == own);
        let node = if is_own { None } else { of_node(path) };
        let node = node.and_then(|node| breakers.named(&node)).map(Leave::of).transpose()?;
        let actor = breakers.named(path).map(Leave::of).transpose()?;
        Ok(Self { actor, node })
    }

    /// A reply came, which says this about the actor.
    pub(crate) fn replied(self, verdict: Verdict) {
        self.record(verdict, Verdict::Success, "");
    }

    /// The message was taken. That says little about an actor that may not be getting on with its messages, but it is
    /// all that a teller ever hears: it counts where the breaker waits for a good sign.
    pub(crate) fn accepted(self) {
        let is_probe = self.actor.as_ref().is_some_and(|leave| leave.breaker.state() == State::HalfOpen);
        let verdict = if is_probe { Verdict::Success } else { Verdict::Ignore };
        self.record(verdict, Verdict::Success, "");
    }

    /// It failed so.
    pub(crate) fn failed(self, error: &AskError) {
        let on_node = error.verdict_on_node();
        let mut on_actor = error.verdict_on_actor();
        if self.node.is_none() && on_node == Verdict::Failure {
            // Of a name alone, nobody else notes that it cannot be reached.
            on_actor = Verdict::Failure;
        }
        self.record(on_actor, on_node, error.code());
    }

    fn record(self, on_actor: Verdict, on_node: Verdict, code: &str) {
        for (leave, verdict) in [(self.actor, on_actor), (self.node, on_node)] {
            if let Some(Leave { breaker, permit }) = leave {
                let is_excluded = !code.is_empty() && breaker.excludes(code);
                permit.record(if is_excluded { Verdict::Ignore } else { verdict });
            }
        }
    }
}

impl Leave {
    fn of(breaker: Breaker) -> Result<Self, CircuitOpen> {
        let permit = breaker.acquire()?;
        Ok(Self { breaker, permit })
    }
}
