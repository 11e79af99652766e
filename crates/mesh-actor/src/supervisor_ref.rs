//! A supervisor of this process, from outside.

use std::fmt;
use std::sync::Arc;

use crate::actor::{Actor, ExitReason};
use crate::actor_ref::ActorRef;
use crate::mailbox::{Inner, Mailbox};
use crate::spec::ActorSpec;
use crate::supervisor::{Event, Found, Lineage, Nursery, Supervision};
use crate::supervisor_spec::{ChildSpec, SupervisionError};

/// A supervisor of this process; cheap to clone, and the same before and after a restart by its own supervisor.
#[derive(Clone)]
pub struct SupervisorRef {
    lineage: Arc<Lineage>,
    nursery: Arc<Nursery>,
    supervision: Supervision,
}

impl SupervisorRef {
    pub(crate) fn new(lineage: Arc<Lineage>, nursery: Arc<Nursery>, supervision: Supervision) -> Self {
        Self { lineage, nursery, supervision }
    }

    /// The name of its spec.
    pub fn name(&self) -> &str {
        &self.lineage.name
    }

    /// The supervisor's number, from the same row as those of actors.
    pub fn serial(&self) -> u64 {
        self.lineage.serial
    }

    /// The child of this name, if it is an actor of the type `A`. It may not have started yet; its mailbox is there.
    pub fn child<A: Actor>(&self, name: &str) -> Option<ActorRef<A>> {
        match self.nursery.find(&self.lineage, name)? {
            Found::Actor(charge) => {
                let inner = charge.as_any().downcast::<Inner<A>>().ok()?;
                Some(ActorRef::from(Mailbox::from(inner)))
            }
            Found::Supervisor(_) => None,
        }
    }

    /// The child of this name, if it is a supervisor.
    pub fn supervisor(&self, name: &str) -> Option<Self> {
        match self.nursery.find(&self.lineage, name)? {
            Found::Supervisor(lineage) => {
                Some(Self::new(lineage, Arc::clone(&self.nursery), self.supervision.clone()))
            }
            Found::Actor(_) => None,
        }
    }

    /// Adds a child, as the last; it starts at once, or when the supervisor is done with what it does.
    ///
    /// It is no part of the spec: if it does not start it is gone, and a restart of the supervisor ends it for good. Ask
    /// the child itself to stop to take it out again.
    ///
    /// # Errors
    /// [`SupervisionError`]; nothing has changed then.
    pub fn start_child(&self, child: ChildSpec) -> Result<(), SupervisionError> {
        self.nursery.check_child(&self.lineage, &child)?;
        self.nursery.add(&self.lineage, child, &self.supervision)
    }

    /// Adds an actor as the last child, and gives it. As [`start_child`](Self::start_child).
    ///
    /// # Errors
    /// [`SupervisionError`]; nothing has changed then.
    pub fn spawn<A: Actor>(
        &self,
        spec: ActorSpec,
        make: impl FnMut() -> A + Send + 'static,
    ) -> Result<ActorRef<A>, SupervisionError> {
        let name = spec.name.clone();
        self.start_child(ChildSpec::actor(spec, make))?;
        // It can only have failed to start since.
        self.child(&name)
            .ok_or_else(|| SupervisionError::NotRunning { supervisor: self.lineage.name.clone() })
    }

    /// Stops all children in reverse order, each for as long as its spec says, and ends for good.
    pub fn stop(&self) {
        self.nursery.stop(self.lineage.serial, Event::Shutdown, &self.supervision);
    }

    /// Kills all children, and ends for good.
    pub fn kill(&self) {
        self.nursery.stop(self.lineage.serial, Event::Kill, &self.supervision);
    }

    /// Whether it has ended for good.
    pub fn has_ended(&self) -> bool {
        self.lineage.exit().is_some()
    }

    /// Waits until it has ended for good, and tells how: `Crashed` if it gave up.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn stopped(&self) -> ExitReason {
        self.lineage.stopped().await
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorRef").field("name", &self.name()).field("serial", &self.serial()).finish()
    }
}
