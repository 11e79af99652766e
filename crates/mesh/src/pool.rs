//! Several placed actors of one kind behind one recipient.

use crate::{
    mesh::Mesh,
    placement::{Label, Placed},
    router::{self, Balance},
    wire::WireMessage,
};
use futures::future::try_join_all;
use mesh_actor::{Ask, AskError, Recipient, Tell, TryTellError};
use mesh_proto::{ActorPath, InvalidPath};
use serde::Serialize;
use std::{fmt, time::Duration};

/// The most members of a pool: 256.
const SIZE_MAX: usize = 256;

impl Mesh {
    /// A pool of actors of a registered kind, which take messages of the type `M`. Its members are placed
    /// ([`Mesh::place`]): spread over the nodes that fit, and each started elsewhere when its node dies.
    ///
    /// ```no_run
    /// # use mesh::{Balance, Label, Mesh, WireMessage};
    /// # use std::time::Duration;
    /// # async fn run<M: WireMessage>(mesh: Mesh, question: M) -> Result<(), mesh::AskError> {
    /// let pool = mesh.pool::<M>("summarizer").on(Label::eq("gpu", "true")).size(4).spawn().await?;
    /// let summary = pool.ask(question).timeout(Duration::from_secs(30)).await?;
    /// pool.stop().await?;
    /// # Ok(()) }
    /// ```
    pub fn pool<M: WireMessage>(&self, kind: &str) -> PoolSpec<'_, M> {
        let name = format!("pool-{kind}-{}", uuid::Uuid::new_v4().simple());
        PoolSpec {
            mesh: self,
            kind: kind.to_owned(),
            name,
            size: 2,
            labels: Vec::new(),
            args: Ok("null".to_owned()),
            balance: Balance::LeastLoaded,
            timeout: Duration::from_secs(10),
        }
    }
}

/// A pool that is about to be spawned: see [`Mesh::pool`].
#[must_use = "a pool has no members until it is spawned"]
pub struct PoolSpec<'a, M> {
    mesh: &'a Mesh,
    kind: String,
    name: String,
    size: usize,
    labels: Vec<Label>,
    args: Result<String, AskError>,
    balance: Balance<M>,
    timeout: Duration,
}

impl<M: WireMessage> PoolSpec<'_, M> {
    /// What its members are called, with a number behind it; by default a name that nobody else has. Two pools of one name, kind
    /// and content are one, and who comes back finds it again.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// How many members; 2 by default, 1 to 256.
    pub fn size(mut self, size: usize) -> Self {
        self.size = size.clamp(1, SIZE_MAX);
        self
    }

    /// Only on nodes that have this label; may be said several times.
    pub fn on(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    /// What the kind needs to know; `null` by default.
    pub fn args(mut self, args: &impl Serialize) -> Self {
        self.args = serde_json::to_string(args).map_err(|error| {
            let (path, kind) = (self.name.clone(), "arguments".to_owned());
            AskError::BadMessage { path, kind, reason: error.to_string() }
        });
        self
    }

    /// Which member gets a message; [`Balance::LeastLoaded`] by default.
    pub fn balance(mut self, balance: Balance<M>) -> Self {
        self.balance = balance;
        self
    }

    /// How long [`spawn`](Self::spawn) may take; 10 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Places the members, and waits until all run.
    ///
    /// # Errors
    /// As [`Place::start`](crate::Place::start); those that were placed by then stay, if the pool has a name that it was given, else they
    /// are ended.
    ///
    /// # Cancel safety
    /// Dropped early, some members may be placed.
    pub async fn spawn(self) -> Result<Pool<M>, AskError> {
        let Self { mesh, kind, name, size, labels, args, balance, timeout } = self;
        let args = args?;
        let names: Vec<String> = (0..size).map(|number| format!("{name}-{number}")).collect();
        let bad = |error: InvalidPath| AskError::BadPath { reason: error.to_string() };
        let paths =
            names.iter().map(|name| name.parse().map_err(bad)).collect::<Result<Vec<ActorPath>, _>>()?;
        let places = names.iter().map(|name| {
            let mut place = mesh.place(name, &kind).args_json(&args).timeout(timeout);
            for label in &labels {
                place = place.on(label.clone());
            }
            place.start()
        });
        let placed = match try_join_all(places).await {
            Ok(placed) => placed,
            Err(error) => {
                for name in &names {
                    // What is left has no pool; the error that matters is the first one.
                    let _ = mesh.unplace(name).await;
                }
                return Err(error);
            }
        };
        let recipient = router::in_front_of(mesh, name, paths, balance);
        Ok(Pool { mesh: mesh.clone(), names, placed, recipient })
    }
}

impl<M> fmt::Debug for PoolSpec<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSpec").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

/// Several actors that take messages of the type `M`, as one. Its members outlive it, until [`stop`](Self::stop).
///
/// A pool has no queue: a message waits for room at the member that it was given to, and `try_tell` is refused only if all
/// are full.
pub struct Pool<M: WireMessage> {
    mesh: Mesh,
    names: Vec<String>,
    placed: Vec<Placed>,
    recipient: Recipient<M>,
}

impl<M: WireMessage> Pool<M> {
    /// Where its members were when it was spawned.
    #[must_use]
    pub fn members(&self) -> &[Placed] {
        &self.placed
    }

    /// The pool as a recipient like any other.
    #[must_use]
    pub fn recipient(&self) -> Recipient<M> {
        self.recipient.clone()
    }

    /// Asks one member.
    pub fn ask(&self, message: M) -> Ask<'_, M> {
        self.recipient.ask(message)
    }

    /// Tells one member; waits for room there.
    pub fn tell(&self, message: M) -> Tell<'_, M> {
        self.recipient.tell(message)
    }

    /// Tells one member that has room now.
    ///
    /// # Errors
    /// None has.
    pub fn try_tell(&self, message: M) -> Result<(), TryTellError<M>> {
        self.recipient.try_tell(message)
    }

    /// Ends all members, each after its current message.
    ///
    /// # Errors
    /// As for any ask; some may have been ended.
    pub async fn stop(self) -> Result<(), AskError> {
        try_join_all(self.names.iter().map(|name| self.mesh.unplace(name))).await?;
        Ok(())
    }
}

impl<M: WireMessage> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("members", &self.names).finish_non_exhaustive()
    }
}
