//! Placing actors, as users see it.

use super::{
    EpochError, Label, PlacementEvent,
    message::{
        ListPlacements, Locate, PlaceActor, PlaceAnswer, PlacementList, Rebalance, Unplace, UnplaceAnswer,
    },
};
use crate::{failure::error_of, mesh::Mesh, wire::WireMessage};
use mesh_actor::AskError;
use serde::Serialize;
use std::{fmt, time::Duration};
use tokio::{
    sync::broadcast,
    time::{Instant, sleep},
};

/// The most bytes of the arguments of a placed actor, as JSON: 32 KiB. Every node keeps them.
pub const ARGS_BYTES_MAX: usize = 32 * 1024;

/// How long a placement may take, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long one node may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The shortest time without a message after which an actor is ended.
const IDLE_MIN_MS: u64 = 100;

/// Pauses between two looks at how far a placement is. They double.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

impl Mesh {
    /// Has an actor of a registered kind live on exactly one node, and be found as `name` from all of them. It is started
    /// when the [`Place`] is, on the least loaded node that registers the kind and has the labels; and again, under a higher
    /// epoch, on another one when that node is declared dead or leaves.
    ///
    /// While it moves, who asks it by its name is told so by a typed error: [`AskError::NoSuchActor`],
    /// [`AskError::NotRunning`], [`AskError::Unreachable`] or [`AskError::Stopped`]. Its state is its own affair: a new life
    /// begins with its arguments. Under a partition see [`OldestMember`](crate::OldestMember).
    ///
    /// ```no_run
    /// # use mesh::{Label, Mesh};
    /// # async fn place(mesh: &Mesh) -> Result<(), mesh::AskError> {
    /// let placed = mesh
    ///     .place("researcher-42", "researcher")
    ///     .args(&serde_json::json!({ "topic": "tides" }))
    ///     .on(Label::eq("gpu", "true"))
    ///     .start()
    ///     .await?;
    /// println!("{} runs on {} as life {}", placed.name, placed.node, placed.epoch);
    /// # Ok(()) }
    /// ```
    pub fn place(&self, name: &str, kind: &str) -> Place<'_> {
        let asked = PlaceActor {
            name: name.to_owned(),
            kind: kind.to_owned(),
            args: "null".to_owned(),
            labels: Vec::new(),
            idle_ms: 0,
        };
        Place { mesh: self, asked, bad: None, timeout: TIMEOUT }
    }

    /// Ends a placed actor after its current message: it is not started again. Answers whether there was one.
    ///
    /// # Errors
    /// As for any ask.
    ///
    /// # Cancel safety
    /// Cancel safe: what was said is said.
    pub async fn unplace(&self, name: &str) -> Result<bool, AskError> {
        let asked = Unplace { name: name.to_owned() };
        let said = self.leading(name, asked, TIMEOUT, |answer| match answer {
            Ok(UnplaceAnswer::Elsewhere { node }) => Step::Elsewhere(node),
            Ok(UnplaceAnswer::NotYet) => Step::NotYet,
            Ok(UnplaceAnswer::Ending) => Step::Done(true),
            Ok(UnplaceAnswer::Unknown) => Step::Done(false),
            Err(failure) => Step::Failed(error_of(failure)),
        });
        said.await
    }

    /// Spreads the placed actors evenly over the nodes that can run them, which nothing else ever does: a node that joins
    /// gets what is placed from then on. Each actor that moves finishes its mailbox, within the node's drain timeout, before it is
    /// started elsewhere under a higher epoch. Answers how many move; they do so after this returns.
    ///
    /// # Errors
    /// As for any ask.
    ///
    /// # Cancel safety
    /// Cancel safe: what was said is said.
    pub async fn rebalance(&self) -> Result<u64, AskError> {
        let said = self.leading("rebalance", Rebalance {}, TIMEOUT, |answer| match answer {
            Ok(answer) => answer.elsewhere.map_or(Step::Done(answer.moves), Step::Elsewhere),
            Err(_) => Step::NotYet,
        });
        said.await
    }

    /// All placed actors, as this node knows them; for a client, as its node does.
    ///
    /// # Errors
    /// As for any ask.
    pub async fn placements(&self) -> Result<PlacementList, AskError> {
        let here = self.node_name();
        self.node_actor::<ListPlacements>(&here)?.ask(ListPlacements {}).timeout(ANSWER_MAX).await
    }

    /// Whether `epoch` is still the newest life of `name`, as the mesh's source of epochs says. An actor asks before it writes
    /// where no store does so itself.
    ///
    /// # Errors
    /// [`EpochError::Fenced`] when a later one has begun, [`EpochError::Unavailable`] when that cannot be told.
    pub async fn fence(&self, name: &str, epoch: u64) -> Result<(), EpochError> {
        let shared = self.shared();
        let of_table = shared.placement.state.lock().table.get(name).map_or(0, |record| record.epoch);
        let published = shared.membership().and_then(|membership| membership.placed(name));
        let known = of_table.max(published.map_or(0, |(_, _, epoch)| epoch));
        shared.placement.epochs.fence(name, epoch, known).await
    }

    /// Hears of what happens to placed actors on this node from now on; one that is 1,024 events behind misses the oldest.
    #[must_use]
    pub fn placement_events(&self) -> broadcast::Receiver<PlacementEvent> {
        self.shared().placement.events.subscribe()
    }

    /// Asks the node that places, whichever it is, until it has decided.
    async fn leading<M, T>(
        &self,
        path: &str,
        asked: M,
        patience: Duration,
        read: impl Fn(M::Reply) -> Step<T>,
    ) -> Result<T, AskError>
    where
        M: WireMessage + Clone,
    {
        let end = Instant::now() + patience;
        let here = self.node_name().to_string();
        let (mut at, mut pause) = (here.clone(), PAUSE_MIN);
        loop {
            let until = end.min(Instant::now() + ANSWER_MAX);
            let answer = self.node_actor::<M>(&at)?.ask(asked.clone()).deadline(until).await;
            match answer.map(&read) {
                Ok(Step::Done(found)) => return Ok(found),
                Ok(Step::Failed(error)) => return Err(error),
                Ok(Step::Elsewhere(node)) => at = node,
                Ok(Step::NotYet) => {}
                // The node that places is lost, or has just changed: somebody else is going to be it.
                Err(
                    AskError::Unreachable { .. }
                    | AskError::NoSuchNode { .. }
                    | AskError::NoSuchActor { .. }
                    | AskError::NotRunning { .. }
                    | AskError::Stopped { .. }
                    | AskError::DeadlineExceeded { .. },
                ) => at.clone_from(&here),
                Err(error) => return Err(error),
            }
            if Instant::now() + pause >= end {
                let budget_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                let path = path.to_owned();
                return Err(AskError::DeadlineExceeded { path, budget_ms, may_have_run: true });
            }
            sleep(pause).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }
}

/// How far something is.
enum Step<T> {
    Done(T),
    Elsewhere(String),
    NotYet,
    Failed(AskError),
}

/// An actor that is about to be placed: see [`Mesh::place`].
#[must_use = "an actor is not placed until it is started"]
pub struct Place<'a> {
    mesh: &'a Mesh,
    asked: PlaceActor,
    bad: Option<AskError>,
    timeout: Duration,
}

/// A placed actor that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// Its name: send to this, and it is found wherever it is.
    pub name: String,
    /// Its node now.
    pub node: String,
    /// The number of its life, from 1: an actor that was started anew elsewhere has a higher one.
    pub epoch: u64,
}

impl Place<'_> {
    /// What the kind needs to know; `null` by default. At most [`ARGS_BYTES_MAX`] as JSON.
    pub fn args(mut self, args: &impl Serialize) -> Self {
        match serde_json::to_string(args) {
            Ok(args) => self.asked.args = args,
            Err(error) => {
                let (path, kind) = (self.asked.name.clone(), "arguments".to_owned());
                self.bad = Some(AskError::BadMessage { path, kind, reason: error.to_string() });
            }
        }
        self
    }

    /// What the kind needs to know, as a JSON text.
    pub fn args_json(mut self, args: &str) -> Self {
        self.asked.args = args.to_owned();
        self
    }

    /// Only on nodes that have this label; may be said several times, and then they have to have all.
    pub fn on(mut self, label: Label) -> Self {
        self.asked.labels.push(label);
        self
    }

    /// Ends it when nobody has sent it anything for so long; it is wanted no more then. At least 100 ms; by default never.
    pub fn passivate_after(mut self, idle: Duration) -> Self {
        self.asked.idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX).max(IDLE_MIN_MS);
        self
    }

    /// How long [`start`](Self::start) may take; 10 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Places it, and waits until it runs and is found from here. One that is placed already with the same kind, arguments and
    /// labels is waited for only.
    ///
    /// # Errors
    /// [`AskError::CannotSpawn`] when no live node registers the kind and has the labels, or all that do lack what the kind needs;
    /// `BAD_MESSAGE` for wrong arguments; [`AskError::NameTaken`] and [`AskError::BadName`]; [`AskError::TooLarge`] for the
    /// arguments; [`AskError::DeadlineExceeded`] when it does not run yet: it is placed all the same, maybe.
    ///
    /// # Cancel safety
    /// Dropped early, it may be placed or not; ask again with the same content.
    pub async fn start(self) -> Result<Placed, AskError> {
        let Self { mesh, asked, bad, timeout } = self;
        if let Some(bad) = bad {
            return Err(bad);
        }
        let (end, name) = (Instant::now() + timeout, asked.name.clone());
        let (_, epoch) = mesh
            .leading(&name, asked, timeout, |answer| match answer {
                Ok(PlaceAnswer::Elsewhere { node }) => Step::Elsewhere(node),
                Ok(PlaceAnswer::NotYet | PlaceAnswer::Starting) => Step::NotYet,
                Ok(PlaceAnswer::Running { node, epoch }) => Step::Done((node, epoch)),
                Err(failure) => Step::Failed(error_of(failure)),
            })
            .await?;
        mesh.until_found(name, epoch, end, timeout).await
    }
}

impl Mesh {
    /// Waits until this process's node has heard of an epoch that is not older than this one.
    async fn until_found(
        &self,
        name: String,
        epoch: u64,
        end: Instant,
        patience: Duration,
    ) -> Result<Placed, AskError> {
        let mut pause = PAUSE_MIN;
        loop {
            let here = self.node_actor::<Locate>(&self.node_name())?;
            let found = here.ask(Locate { name: name.clone() }).deadline(end).await?;
            if let Some(found) = found.filter(|found| found.epoch >= epoch) {
                return Ok(Placed { name, node: found.node, epoch: found.epoch });
            }
            if Instant::now() + pause >= end {
                let budget_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                return Err(AskError::DeadlineExceeded { path: name, budget_ms, may_have_run: true });
            }
            sleep(pause).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("name", &self.asked.name).field("kind", &self.asked.kind).finish()
    }
}
