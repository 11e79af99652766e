//! One actor for each key, started when it is first needed.

use crate::{mesh::Mesh, placement::Label, remote::Remote, wire::WireMessage};
use futures::future::BoxFuture;
use mesh_actor::{AskError, Deliver, Message, Meta, Recipient, TellError, TryTellError};
use mesh_proto::{ActorPath, InvalidPath};
use serde_json::json;
use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

type Args = Arc<dyn Fn(&str) -> String + Send + Sync>;

impl Mesh {
    /// One actor of a registered kind for each key, as the agent of one session: it is placed ([`Mesh::place`]) with the first
    /// message, whoever sends it, on the least loaded node that fits.
    ///
    /// The actor's arguments are `{"key": "…"}`, unless [`args`](Keyed::args) says otherwise. All who use a kind have to say the
    /// same of arguments, labels and passivation.
    ///
    /// ```no_run
    /// # use mesh::{Mesh, WireMessage};
    /// # use std::time::Duration;
    /// # async fn run<M: WireMessage>(mesh: Mesh, question: M) -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = mesh.keyed::<M>("session").passivate_after(Duration::from_secs(600));
    /// let answer = sessions.get("42")?.ask(question).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn keyed<M: WireMessage>(&self, kind: &str) -> Keyed<M> {
        Keyed {
            mesh: self.clone(),
            kind: kind.to_owned(),
            args: Arc::new(|key| json!({ "key": key }).to_string()),
            labels: Vec::new(),
            idle: None,
            of: PhantomData,
        }
    }
}

/// Actors by key: see [`Mesh::keyed`]. Cheap to clone.
pub struct Keyed<M> {
    mesh: Mesh,
    kind: String,
    args: Args,
    labels: Vec<Label>,
    idle: Option<Duration>,
    of: PhantomData<fn(M)>,
}

impl<M: WireMessage> Keyed<M> {
    /// What an actor needs to know, as a JSON text, by its key.
    #[must_use]
    pub fn args(mut self, args: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.args = Arc::new(args);
        self
    }

    /// Only on nodes that have this label; may be said several times.
    #[must_use]
    pub fn on(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    /// Ends an actor to which nobody has sent anything for so long; the next message starts it anew. At least 100 ms; by default
    /// never.
    #[must_use]
    pub fn passivate_after(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// The actor of this key. Nothing is started before the first message.
    ///
    /// Starting counts into the deadline of that message. When the actor is passivated at that moment, the message fails as
    /// [`AskError::NotRunning`], did not run, and the next one starts it.
    ///
    /// # Errors
    /// [`InvalidPath`] when the key is too long for a name: up to 150 bytes of `a-z A-Z 0-9 _` fit, others take three each.
    pub fn get(&self, key: &str) -> Result<Recipient<M>, InvalidPath> {
        let name = name_of(&self.kind, key);
        let path: ActorPath = name.parse()?;
        let to = Arc::new(Remote::new(self.mesh.clone(), path));
        let (spec, args) = (self.clone(), (self.args)(key));
        Ok(Recipient::new(Arc::new(One { spec, name, args, to, is_known: Arc::default() })))
    }
}

/// The name of a key's actor: no two kinds and keys share one, since a key has no `-` in it any more.
fn name_of(kind: &str, key: &str) -> String {
    let mut name = format!("keyed-{kind}-");
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!(".{byte:02x}"));
        }
    }
    name
}

impl<M> Clone for Keyed<M> {
    fn clone(&self) -> Self {
        Self {
            mesh: self.mesh.clone(),
            kind: self.kind.clone(),
            args: Arc::clone(&self.args),
            labels: self.labels.clone(),
            idle: self.idle,
            of: PhantomData,
        }
    }
}

impl<M> fmt::Debug for Keyed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("kind", &self.kind).field("idle", &self.idle).finish_non_exhaustive()
    }
}

/// The way to the actor of one key.
struct One<M> {
    spec: Keyed<M>,
    name: String,
    args: String,
    to: Arc<Remote<M>>,
    /// Whether it was there when it was looked for last: only a client has to remember.
    is_known: Arc<AtomicBool>,
}

impl<M: WireMessage> One<M> {
    fn is_there(&self) -> bool {
        match self.spec.mesh.shared().membership() {
            Some(membership) => membership.placed(&self.name).is_some(),
            None => self.is_known.load(Ordering::Acquire),
        }
    }

    /// Starts the actor, if it is not there.
    fn wake(&self, meta: &Meta) -> BoxFuture<'static, Result<(), AskError>> {
        if self.is_there() {
            return Box::pin(async { Ok(()) });
        }
        let (spec, name, args) = (self.spec.clone(), self.name.clone(), self.args.clone());
        let left =
            meta.deadline.map(|deadline| deadline.saturating_duration_since(tokio::time::Instant::now()));
        let is_known = Arc::clone(&self.is_known);
        Box::pin(async move {
            let mut place = spec.mesh.place(&name, &spec.kind).args_json(&args);
            for label in &spec.labels {
                place = place.on(label.clone());
            }
            if let Some(idle) = spec.idle {
                place = place.passivate_after(idle);
            }
            place.timeout(left.unwrap_or(WAKE_MAX)).start().await?;
            is_known.store(true, Ordering::Release);
            Ok(())
        })
    }
}

/// How long a message without a deadline waits until its actor is started.
const WAKE_MAX: Duration = Duration::from_secs(5);

/// Whether the actor is gone, and the message did not run.
fn is_gone(error: &AskError) -> bool {
    matches!(error, AskError::NoSuchActor { .. } | AskError::NotRunning { .. })
}

impl<M: WireMessage> Deliver<M> for One<M> {
    fn path(&self) -> String {
        self.name.clone()
    }

    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>> {
        if !self.is_there() {
            let error = AskError::NoSuchActor { path: self.name.clone() };
            return Err(TryTellError::Refused { message, error });
        }
        self.to.try_tell(message, meta)
    }

    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let (wakes, to, is_known) = (self.wake(&meta), Arc::clone(&self.to), Arc::clone(&self.is_known));
        Box::pin(async move {
            wakes.await?;
            let told = to.tell(message, meta).await;
            forget(&is_known, &told);
            told
        })
    }

    fn ask(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<<M as Message>::Reply, AskError>> {
        let (wakes, to, is_known) = (self.wake(&meta), Arc::clone(&self.to), Arc::clone(&self.is_known));
        Box::pin(async move {
            wakes.await?;
            let answer = to.ask(message, meta).await;
            forget(&is_known, &answer);
            answer
        })
    }
}

fn forget<T>(is_known: &AtomicBool, result: &Result<T, AskError>) {
    if result.as_ref().err().is_some_and(is_gone) {
        is_known.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn no_two_keys_share_a_name() {
        assert_eq!(name_of("session", "42"), "keyed-session-42");
        assert_eq!(name_of("a", "b-c/d"), "keyed-a-b.2dc.2fd");
        assert_ne!(name_of("a-b", "c"), name_of("a", "b-c"));
        assert_ne!(name_of("a", ".2d"), name_of("a", "-"));
        assert!(mesh_proto::check_name(&name_of("a", "ü …")).is_ok());
    }
}
