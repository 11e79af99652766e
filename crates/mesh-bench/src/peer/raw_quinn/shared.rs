//! Many callers on one stream: callers, a batching writer, a demultiplexing reader.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use quinn::SendStream;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    dialogue::Dialogue,
    frame::{FrameReader, Kind, put},
};

const QUEUED_REQUESTS_MAX: usize = 1024;
const BATCH_REQUESTS_MAX: usize = 256;

/// Where each caller's reply goes; a caller has one ask in flight, so its id is its slot.
type Slots = Mutex<Vec<Option<oneshot::Sender<Bytes>>>>;

/// One of the callers of a stream.
pub(crate) struct SharedCaller {
    id: u32,
    requests: mpsc::Sender<(u32, Bytes)>,
    slots: Arc<Slots>,
    /// Writer and reader, which end with the last caller.
    _tasks: Arc<JoinSet<Result<()>>>,
}

impl SharedCaller {
    /// Splits one stream among `count` callers.
    pub(super) fn share(dialogue: Dialogue, count: u32) -> Vec<Self> {
        let (requests, queue) = mpsc::channel(QUEUED_REQUESTS_MAX);
        let slots: Arc<Slots> = Arc::new(Mutex::new((0..count).map(|_| None).collect()));
        let mut tasks = JoinSet::new();
        tasks.spawn(write_batches(dialogue.send, queue));
        tasks.spawn(hand_out_replies(dialogue.replies, slots.clone()));
        let tasks = Arc::new(tasks);
        (0..count)
            .map(|id| Self { id, requests: requests.clone(), slots: slots.clone(), _tasks: tasks.clone() })
            .collect()
    }

    /// Sends `body` and waits until it comes back.
    pub(super) async fn ask(&self, body: &Bytes) -> Result<Bytes> {
        let (sender, reply) = oneshot::channel();
        lock(&self.slots)[self.id as usize] = Some(sender);
        self.requests.send((self.id, body.clone())).await.context("the writer has failed")?;
        reply.await.context("the reader has failed")
    }
}

async fn write_batches(mut send: SendStream, mut queue: mpsc::Receiver<(u32, Bytes)>) -> Result<()> {
    let mut requests = Vec::with_capacity(BATCH_REQUESTS_MAX);
    let mut batch = BytesMut::new();
    while queue.recv_many(&mut requests, BATCH_REQUESTS_MAX).await > 0 {
        batch.clear();
        for (id, body) in requests.drain(..) {
            put(&mut batch, Kind::Ask, id, &body);
        }
        send.write_all(&batch).await?;
    }
    Ok(())
}

async fn hand_out_replies(mut replies: FrameReader, slots: Arc<Slots>) -> Result<()> {
    while replies.fill().await? {
        while let Some((id, body)) = replies.take(|header, body| (header.id, Bytes::copy_from_slice(body)))? {
            let caller = lock(&slots).get_mut(id as usize).and_then(Option::take);
            // A caller that has gone away needs no reply.
            caller.map(|caller| caller.send(body));
        }
    }
    Ok(())
}

fn lock(slots: &Slots) -> std::sync::MutexGuard<'_, Vec<Option<oneshot::Sender<Bytes>>>> {
    slots.lock().expect("nothing panics while it holds the slots")
}
