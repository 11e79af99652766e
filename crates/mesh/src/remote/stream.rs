//! Streams from a path.

use super::{Asked, Remote, Way, elapsed_ms, encoded, header, reply_of, within};
use crate::{
    channel::Channel,
    pending::{Answer, Waiter},
    stream_out::STREAM_WINDOW,
    wire::WireMessage,
};
use futures::future::BoxFuture;
use mesh_actor::{AskError, Deliver, Items, Meta, Open, Streaming, TellError, TryTellError};
use mesh_proto::{
    ActorPath,
    credit::Weight,
    decode_payload,
    frame::{Content, Control, MessageHeader, Outcome},
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use tokio::{sync::mpsc, time::Instant};

impl<M> Deliver<Open<M>> for Remote<Open<M>>
where
    M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
{
    fn path(&self) -> String {
        self.route.path.to_string()
    }

    // The items of a stream have to be read: it is always asked for, never told.
    fn try_tell(&self, message: Open<M>, _: &Meta) -> Result<(), TryTellError<Open<M>>> {
        Err(TryTellError::Full { message, len: 0, capacity: 0 })
    }

    fn tell(&self, message: Open<M>, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let asks = self.ask(message, meta);
        Box::pin(async move { asks.await.map(drop) })
    }

    fn ask(&self, open: Open<M>, meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        let route = Arc::clone(&self.route);
        Box::pin(async move {
            let started = Instant::now();
            let deadline = meta.deadline;
            let late = |may_have_run| AskError::DeadlineExceeded {
                path: route.path.to_string(),
                budget_ms: elapsed_ms(started, deadline),
                may_have_run,
            };
            let way = within(deadline, route.way::<Open<M>>(M::KIND, true), || late(false)).await?;
            let (channel, kind) = match way {
                Way::Here(recipient) => return recipient.ask(open).deadline(deadline).await,
                Way::There(channel, kind) => (channel, kind),
            };
            let (sender, answers) = mpsc::channel(stream_queue());
            let asked = Asked::new(channel.session(), Waiter::Stream(sender))?;
            let header = MessageHeader {
                correlation: asked.correlation,
                ..header(&channel, kind, Content::Bincode, &meta, Instant::now)
            };
            let payload = encoded(&route.path, &open.message)?;
            within(deadline, channel.send(header, payload), || route.unsent()).await?;
            let reads = read::<M>(answers, &open.items, &channel, &route.path, asked.correlation);
            let reply = within(deadline, reads, || late(true)).await?;
            asked.answered();
            Ok(reply)
        })
    }
}

/// Answers that may wait for a stream's reader: as many items as were granted, and the end.
pub(crate) fn stream_queue() -> usize {
    usize::try_from(STREAM_WINDOW.messages).unwrap_or(usize::MAX) + 2
}

/// Room that a reader keeps granting as it reads: a quarter of the window at a time.
#[derive(Debug, Default)]
pub(crate) struct Granting {
    read: Weight,
    granted: Weight,
}

impl Granting {
    /// An item of `bytes` was read; answers the sum of grants when it is time to say it.
    pub(crate) fn read(&mut self, bytes: usize) -> Option<Weight> {
        self.read = self.read.plus(Weight { messages: 1, bytes: bytes as u64 });
        let unsaid = self.read.minus(self.granted);
        let is_due = unsaid.messages >= STREAM_WINDOW.messages / 4 || unsaid.bytes >= STREAM_WINDOW.bytes / 4;
        is_due.then(|| {
            self.granted = self.read;
            self.read.plus(STREAM_WINDOW)
        })
    }
}

async fn read<M>(
    mut answers: mpsc::Receiver<Answer>,
    items: &Items<M::Item>,
    channel: &Channel,
    path: &ActorPath,
    correlation: u64,
) -> Result<M::Reply, AskError>
where
    M: WireMessage + Streaming<Item: Serialize + DeserializeOwned>,
{
    let mut granting = Granting::default();
    loop {
        let answer = answers.recv().await.unwrap_or(Answer::Lost);
        let Answer::Frame { outcome: Outcome::Item, payload, .. } = &answer else {
            return reply_of(answer, channel.session(), path);
        };
        let item = decode_payload::<M::Item>(payload).map_err(|error| AskError::BadMessage {
            path: path.to_string(),
            kind: "item".to_owned(),
            reason: error.to_string(),
        })?;
        let bytes = payload.len();
        if items.send(item).await.is_err() {
            return Err(AskError::Cancelled { path: path.to_string() });
        }
        if let Some(granted) = granting.read(bytes) {
            channel.session().control(&Control::StreamGrant { correlation, granted });
        }
    }
}
