//! The driving node, as a client of the workloads.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use mesh::{ListActors, Mesh, Recipient, WireMessage};

use super::{
    node::actor_name,
    wire::{CountNotes, Echo, Note, SlowDown, Stick},
};
use crate::{
    peer::{Caller, Client, Crowd, Sender},
    tls::SERVER,
};

/// A node that knows the serving one.
#[derive(Clone)]
pub(crate) struct MeshClient {
    mesh: Mesh,
}

impl MeshClient {
    pub(super) fn new(mesh: Mesh) -> Self {
        Self { mesh }
    }

    fn actor<M: WireMessage>(&self, target: u32) -> Result<Recipient<M>> {
        Ok(self.mesh.recipient(&format!("{SERVER}/{}", actor_name(target)))?)
    }
}

impl Client for MeshClient {
    type Caller = MeshCaller;
    type Sender = MeshSender;

    async fn callers(&self, target: u32, count: u32) -> Result<Vec<MeshCaller>> {
        let actor = self.actor(target)?;
        Ok((0..count).map(|_| MeshCaller(actor.clone())).collect())
    }

    async fn sender(&self, target: u32, _body_bytes: usize) -> Result<MeshSender> {
        Ok(MeshSender { notes: self.actor(target)?, counts: self.actor(target)? })
    }

    async fn slow_down(&self, target: u32) -> Result<()> {
        Ok(self.actor(target)?.ask(SlowDown { millis: 1 }).await?)
    }
}

impl Crowd for MeshClient {
    async fn stick(&self, target: u32) -> Result<()> {
        Ok(self.actor(target)?.tell(Stick { forever: true }).await?)
    }

    async fn ask_within(&self, target: u32, patience: Duration) -> Result<()> {
        self.actor(target)?.ask(Echo { body: Bytes::new() }).timeout(patience).await?;
        Ok(())
    }

    async fn tell_within(&self, target: u32, body: &Bytes, patience: Duration) -> Result<bool> {
        let told = self.actor(target)?.tell(Note { body: body.clone() }).timeout(patience).await;
        match told {
            Ok(()) => Ok(true),
            Err(error) if error.code() == "MAILBOX_FULL" || error.code() == "TIMEOUT" => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn queued(&self) -> Result<u64> {
        let node: Recipient<ListActors> = self.mesh.recipient(&format!("{SERVER}/mesh"))?;
        let listed = node.ask(ListActors {}).await?;
        Ok(listed.actors.iter().map(|actor| u64::from(actor.mailbox.len)).sum())
    }
}

/// One task's way to ask.
pub(crate) struct MeshCaller(Recipient<Echo>);

impl Caller for MeshCaller {
    async fn ask(&mut self, body: &Bytes) -> Result<()> {
        let reply = self.0.ask(Echo { body: body.clone() }).await?;
        ensure!(reply.len() == body.len(), "the reply is not what was asked");
        Ok(())
    }
}

/// One task's way to tell.
pub(crate) struct MeshSender {
    notes: Recipient<Note>,
    counts: Recipient<CountNotes>,
}

impl Sender for MeshSender {
    async fn tell(&mut self, body: &Bytes) -> Result<()> {
        Ok(self.notes.tell(Note { body: body.clone() }).await?)
    }

    async fn handled(&mut self) -> Result<u64> {
        Ok(self.counts.ask(CountNotes { since: 0 }).await?)
    }
}
