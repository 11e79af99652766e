//! What a handle starts and sees in its own process.

use super::Mesh;
use mesh_actor::{
    Actor, ActorRef, ActorSpec, DeadLetters, StartError, SupervisionError, SupervisionEvent, SupervisorRef,
    SupervisorSpec, TreeNode, Watermark,
};
use std::sync::Arc;
use tokio::sync::broadcast;

impl Mesh {
    /// Spawns an actor on this node, supervised: `make` makes it, and makes it anew at every restart.
    pub fn spawn<A: Actor>(
        &self,
        spec: ActorSpec,
        make: impl Fn() -> A + Send + Sync + 'static,
    ) -> ActorRef<A> {
        self.shared.system.spawn(spec, make)
    }

    /// Spawns an actor whose making may wait or fail.
    pub fn spawn_with<A, F>(
        &self,
        spec: ActorSpec,
        open: impl Fn() -> F + Send + Sync + 'static,
    ) -> ActorRef<A>
    where
        A: Actor,
        F: Future<Output = Result<A, StartError>> + Send + 'static,
    {
        self.shared.system.spawn_with(spec, open)
    }

    /// Starts a supervisor on this node, with all its children in their order; returns before they have started. Publish
    /// those that others are to reach.
    ///
    /// # Errors
    /// [`SupervisionError`]; nothing was started then.
    pub fn supervise(&self, spec: SupervisorSpec) -> Result<SupervisorRef, SupervisionError> {
        self.shared.system.supervise(spec)
    }

    /// The messages of this process that were accepted and that nobody will handle.
    #[must_use]
    pub fn dead_letters(&self) -> &Arc<DeadLetters> {
        self.shared.system.dead_letters()
    }

    /// Hears of what happens in this process's supervision from now on; one that is 1,024 events behind misses the oldest.
    #[must_use]
    pub fn supervision_events(&self) -> broadcast::Receiver<SupervisionEvent> {
        self.shared.system.events()
    }

    /// Hears of mailboxes of this process that become nearly full, and that are so no more, from now on; one that is 256
    /// behind misses the oldest.
    #[must_use]
    pub fn watermarks(&self) -> broadcast::Receiver<Watermark> {
        self.shared.system.watermarks()
    }

    /// Every actor and supervisor of this process, each under its supervisor.
    #[must_use]
    pub fn tree(&self) -> Vec<TreeNode> {
        self.shared.system.tree()
    }
}
