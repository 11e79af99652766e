//! Messages that are sent until they are answered, and run once.

use crate::{
    dedup::MessageId,
    dynamic::{Request, ask_once},
    mesh::Mesh,
    pending::Answer,
    remote::{elapsed_ms, reply_from},
    wire::WireMessage,
};
use bytes::Bytes;
use mesh_actor::AskError;
use mesh_proto::{ActorPath, encode_payload, frame::Content};
use std::{fmt, marker::PhantomData, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Pauses between two attempts: from 25 ms, twice as long each time, up to 500 ms.
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// An actor to which messages are sent until they are answered: see [`Mesh::reliable`](crate::Mesh::reliable).
///
/// Each message carries an id that the sender chooses, the same at every attempt, also after the sender was restarted.
/// The receiving node remembers the ids of the messages that the actor has answered, and answers a second time as it did the first,
/// without running anything. It remembers 4,096 of them for each actor, for 10 minutes, over all restarts of the actor
/// but **not over those of its node**: delivery is at least once.
///
/// ```no_run
/// # use mesh::{Mesh, MessageId, WireMessage};
/// # use std::time::Duration;
/// # async fn order<Charge: WireMessage>(mesh: Mesh, charge: Charge, order: u128) -> Result<(), Box<dyn std::error::Error>> {
/// let cashier = mesh.reliable::<Charge>("cashier")?;
/// // The id is the order's own: however often this line runs, the card is charged once.
/// cashier.ask(MessageId::new(order), &charge, Duration::from_secs(30)).await?;
/// # Ok(()) }
/// ```
pub struct Reliable<M> {
    mesh: Mesh,
    path: ActorPath,
    of: PhantomData<fn(M)>,
}

impl<M: WireMessage> Reliable<M> {
    pub(crate) fn new(mesh: Mesh, path: ActorPath) -> Self {
        Self { mesh, path, of: PhantomData }
    }

    /// Asks until there is an answer, for at most `timeout`.
    ///
    /// A lost connection, a node that is away, and an actor that is not running (yet, or here) are waited out. All other
    /// errors end it at once.
    ///
    /// # Errors
    /// [`AskError`] as for any ask, of the last attempt; `may_have_run` speaks for all of them.
    ///
    /// # Cancel safety
    /// Dropped, it stops trying. The message may have run, and may be sent again under its id.
    pub async fn ask(&self, id: MessageId, message: &M, timeout: Duration) -> Result<M::Reply, AskError> {
        let path = self.path.to_string();
        let started = Instant::now();
        let deadline = started + timeout;
        let payload = self.payload(id, message)?;
        let mut pause = PAUSE_MIN;
        let mut may_have_run = false;
        loop {
            let request = Request {
                path: &path,
                kind: M::KIND,
                payload: (Content::BincodeWithId, payload.clone()),
                deadline: Some(deadline),
                is_tell: false,
                streams: false,
            };
            let error = match ask_once(&self.mesh, request, deadline).await {
                Ok(answered) if matches!(answered.answer, Answer::Lost) => answered.unreachable,
                Ok(answered) => match reply_from(answered.answer, &self.path) {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            may_have_run |= error.may_have_run();
            if !passes(&error) {
                return Err(error);
            }
            let next = Instant::now() + pause;
            if next >= deadline {
                let budget_ms = elapsed_ms(started, Some(deadline));
                return Err(AskError::DeadlineExceeded { path, budget_ms, may_have_run });
            }
            sleep_until(next).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Tells, and waits until the message was handled: [`ask`](Self::ask) without a use for the reply.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    ///
    /// # Cancel safety
    /// As [`ask`](Self::ask).
    pub async fn tell(&self, id: MessageId, message: &M, timeout: Duration) -> Result<(), AskError> {
        self.ask(id, message, timeout).await.map(drop)
    }

    fn payload(&self, id: MessageId, message: &M) -> Result<Bytes, AskError> {
        let mut payload = id.to_bytes().to_vec();
        encode_payload(message, &mut payload).map_err(|error| AskError::BadMessage {
            path: self.path.to_string(),
            kind: M::KIND.to_owned(),
            reason: error.reason,
        })?;
        Ok(payload.into())
    }
}

/// Whether an error may be gone at the next attempt, without anybody's doing.
fn passes(error: &AskError) -> bool {
    matches!(
        error,
        AskError::Unreachable { .. }
            | AskError::NoSuchNode { .. }
            | AskError::NoSuchActor { .. }
            | AskError::NotRunning { .. }
            | AskError::MailboxFull { .. }
    )
}

impl<M> fmt::Debug for Reliable<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reliable").field("path", &self.path).finish_non_exhaustive()
    }
}
