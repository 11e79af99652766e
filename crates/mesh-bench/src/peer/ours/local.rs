//! Actors of one process.

use anyhow::Result;
use mesh::{ActorRef, ActorSpec, Runtimes};
use mesh_actor::System;

use super::actor::{CountNotes, Counter, Crash, Echo, Note};
use crate::peer::{Crashing, LocalActor, LocalPeer};

/// The peer: a system of actors on the current runtime.
pub(crate) struct Ours(System);

impl Ours {
    /// Starts the system, with its network's part and its pool on the current runtime.
    pub(crate) fn start() -> Self {
        Self(System::new(Runtimes::current()))
    }
}

impl LocalPeer for Ours {
    type Actor = OurActor;

    async fn spawn(&self) -> Result<OurActor> {
        // The defaults: a mailbox of 1024 messages, on the pool.
        Ok(OurActor(self.0.spawn(ActorSpec::new("counter"), Counter::default)))
    }
}

/// A reference to the counting actor.
#[derive(Clone)]
pub(crate) struct OurActor(ActorRef<Counter>);

impl LocalActor for OurActor {
    async fn tell(&self, body: [u8; 64]) -> Result<()> {
        Ok(self.0.tell(Note(body)).await?)
    }

    async fn ask(&self, body: [u8; 64]) -> Result<[u8; 64]> {
        Ok(self.0.ask(Echo(body)).await?)
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.0.ask(CountNotes).await?)
    }
}

impl Crashing for OurActor {
    async fn crash(&self) -> Result<()> {
        Ok(self.0.tell(Crash).await?)
    }
}
