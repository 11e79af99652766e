//! ractor as it comes: an actor with an unbounded queue.

use ::ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use anyhow::{Result, anyhow, bail};

use super::{LocalActor, LocalPeer};

/// The peer.
pub(crate) struct Ractor;

impl LocalPeer for Ractor {
    type Actor = RactorActor;

    async fn spawn(&self) -> Result<RactorActor> {
        let (actor, _ends_with_the_runtime) = Actor::spawn(None, Counter, ()).await?;
        Ok(RactorActor(actor))
    }
}

/// An actor that counts tells and returns what it is asked.
struct Counter;

enum Message {
    Tell([u8; 64]),
    Ask([u8; 64], RpcReplyPort<[u8; 64]>),
    Count(RpcReplyPort<u64>),
}

impl Actor for Counter {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _me: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _me: ActorRef<Message>,
        message: Message,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Tell(body) => {
                std::hint::black_box(body);
                *count += 1;
            }
            Message::Ask(body, reply) => reply.send(body)?,
            Message::Count(reply) => reply.send(*count)?,
        }
        Ok(())
    }
}

/// A reference to the counting actor.
#[derive(Clone)]
pub(crate) struct RactorActor(ActorRef<Message>);

impl LocalActor for RactorActor {
    async fn tell(&self, body: [u8; 64]) -> Result<()> {
        self.0.cast(Message::Tell(body)).map_err(|_| anyhow!("the actor of ractor has stopped"))
    }

    async fn ask(&self, body: [u8; 64]) -> Result<[u8; 64]> {
        self.call(|reply| Message::Ask(body, reply)).await
    }

    async fn count(&self) -> Result<u64> {
        self.call(Message::Count).await
    }
}

impl RactorActor {
    async fn call<T: Send + 'static>(&self, message: impl FnOnce(RpcReplyPort<T>) -> Message) -> Result<T> {
        match self.0.call(message, None).await {
            Ok(CallResult::Success(value)) => Ok(value),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => {
                bail!("the actor of ractor has stopped")
            }
        }
    }
}
