//! The least that an actor can be: a task behind a bounded channel of tokio.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{LocalActor, LocalPeer};

/// The bound that every bounded peer is measured with.
const CAPACITY: usize = 1024;

/// The peer.
pub(crate) struct TokioMpsc;

enum Message {
    Tell([u8; 64]),
    Ask([u8; 64], oneshot::Sender<[u8; 64]>),
    Count(oneshot::Sender<u64>),
}

/// The sending half of the task's channel.
#[derive(Clone)]
pub(crate) struct MpscActor {
    sender: mpsc::Sender<Message>,
    /// The task, which ends with the last handle.
    _task: Arc<JoinSet<()>>,
}

impl LocalPeer for TokioMpsc {
    type Actor = MpscActor;

    async fn spawn(&self) -> Result<MpscActor> {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let mut task = JoinSet::new();
        task.spawn(handle(receiver));
        Ok(MpscActor { sender, _task: Arc::new(task) })
    }
}

async fn handle(mut receiver: mpsc::Receiver<Message>) {
    let mut count = 0;
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Tell(body) => {
                std::hint::black_box(body);
                count += 1;
            }
            // A caller that has gone away needs no answer.
            Message::Ask(body, reply) => drop(reply.send(body)),
            Message::Count(reply) => drop(reply.send(count)),
        }
    }
}

impl LocalActor for MpscActor {
    async fn tell(&self, body: [u8; 64]) -> Result<()> {
        self.sender.send(Message::Tell(body)).await.map_err(|_| stopped())
    }

    async fn ask(&self, body: [u8; 64]) -> Result<[u8; 64]> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Ask(body, reply)).await.map_err(|_| stopped())?;
        Ok(answer.await?)
    }

    async fn count(&self) -> Result<u64> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Count(reply)).await.map_err(|_| stopped())?;
        Ok(answer.await?)
    }
}

fn stopped() -> anyhow::Error {
    anyhow!("the task behind the channel has stopped")
}
