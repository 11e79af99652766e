//! A recipient behind circuit breakers.

use super::{
    Pass,
    targets::{Target, Targets},
};
use crate::{mesh::Mesh, wire::WireMessage};
use futures::future::BoxFuture;
use mesh_actor::{AskError, Deliver, Message, Meta, Recipient, TellError, TryTellError};
use mesh_proto::{ActorPath, InvalidPath};
use mesh_resilience::Verdict;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Ways that are kept beside those of the targets that there are now.
const WAYS_SPARE: usize = 64;

/// A way to one actor, or to any of several, that leads through their circuit breakers and those of their nodes.
///
/// What it makes is a [`Recipient`] like any other, so timeouts, deadlines and cancelling are what they always are. Of several
/// targets, those whose breakers are closed take turns; one whose breaker is open, here or as another node says, is asked
/// last, and one that waits to be tried again is asked now and then. A message goes to one target, once: what is to be
/// tried again, a [`RetryPolicy`] tries.
///
/// ```no_run
/// # use mesh::{Guard, Mesh, WireMessage};
/// # use mesh_resilience::{RetryConfig, RetryPolicy};
/// # async fn ask<Question: WireMessage + Clone>(mesh: Mesh, question: Question) -> Result<(), Box<dyn std::error::Error>> {
/// let fetcher = Guard::<Question>::capable("tool:fetch").recipient(&mesh)?;
/// let policy = RetryPolicy::new(RetryConfig::default())?;
/// let answer = policy
///     .run(|attempt| {
///         let until = attempt.deadline().map(|deadline| deadline.instant());
///         let ask = fetcher.ask(question.clone()).deadline(until);
///         async move { ask.await }
///     })
///     .await;
/// # Ok(()) }
/// ```
///
/// An ask that its caller gives up says nothing about its target.
///
/// # Errors
/// Beside those of any ask, [`AskError::CircuitOpen`], at once, where no target may be asked: that of the breaker that lets
/// messages pass soonest.
///
/// [`RetryPolicy`]: mesh_resilience::RetryPolicy
pub struct Guard<M: Message> {
    targets: Targets,
    judge: Option<Judge<M>>,
}

type Judge<M> = fn(&<M as Message>::Reply) -> Verdict;

impl<M: WireMessage> Guard<M> {
    /// The actor at `path`: `node/name`, or a published `name`, which is guarded as the actor to which it leads.
    pub fn path(path: &str) -> Self {
        Self { targets: Targets::Path(path.to_owned()), judge: None }
    }

    /// Any of the actors at `paths`.
    pub fn any<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self { targets: Targets::Any(paths.into_iter().map(Into::into).collect()), judge: None }
    }

    /// Any actor that says that it can do this, as of [`Mesh::list`] when the message is sent. A client, which keeps no such
    /// list, finds nobody.
    pub fn capable(capability: &str) -> Self {
        Self { targets: Targets::Capable(capability.to_owned()), judge: None }
    }

    /// Has `judge` say what a reply means: an actor that answers may still say that it, or what it depends on, is not well. By
    /// default each reply is a success.
    #[must_use]
    pub fn judging(self, judge: fn(&M::Reply) -> Verdict) -> Self {
        Self { judge: Some(judge), ..self }
    }

    /// The recipient.
    ///
    /// # Errors
    /// [`InvalidPath`] when a path breaks the rules of paths.
    pub fn recipient(self, mesh: &Mesh) -> Result<Recipient<M>, InvalidPath> {
        let Self { targets, judge } = self;
        let paths = match &targets {
            Targets::Path(path) => std::slice::from_ref(path),
            Targets::Any(paths) => paths,
            Targets::Capable(_) => &[],
        };
        for path in paths {
            path.parse::<ActorPath>()?;
        }
        let guarded =
            Guarded { mesh: mesh.clone(), targets, judge, turn: AtomicUsize::new(0), ways: Mutex::default() };
        Ok(Recipient::new(Arc::new(Way(Arc::new(guarded)))))
    }
}

impl Mesh {
    /// The actor at `path`, behind its circuit breaker and that of its node; otherwise as [`Mesh::recipient`]. Who is not well
    /// is left alone for a while, and its callers are told [`AskError::CircuitOpen`] at once. [`Guard`] has more to choose from.
    ///
    /// # Errors
    /// [`InvalidPath`] when the path breaks the rules of paths.
    pub fn guarded<M: WireMessage>(&self, path: &str) -> Result<Recipient<M>, InvalidPath> {
        Guard::path(path).recipient(self)
    }
}

/// The way itself, shared by all handles.
struct Way<M: Message>(Arc<Guarded<M>>);

struct Guarded<M: Message> {
    mesh: Mesh,
    targets: Targets,
    judge: Option<Judge<M>>,
    turn: AtomicUsize,
    /// Ways that were found, by path.
    ways: Mutex<BTreeMap<String, Recipient<M>>>,
}

impl<M: WireMessage> Guarded<M> {
    /// The best target that may be asked now, with the right to ask it.
    ///
    /// # Errors
    /// [`AskError`] when there is none.
    fn choose(&self) -> Result<(Recipient<M>, Pass), AskError> {
        let shared = self.mesh.shared();
        let targets = self.targets.in_order(&self.mesh, self.turn.fetch_add(1, Ordering::Relaxed));
        let mut soonest = None;
        for target in &targets {
            match Pass::through(&shared.breakers, &target.breaker, &shared.me.name) {
                Ok(pass) => return Ok((self.way(&target.path, &targets)?, pass)),
                Err(open) => {
                    let when = |open: &mesh_resilience::CircuitOpen| {
                        open.retry_after.map_or((1, None), |at| (0, Some(at)))
                    };
                    let is_sooner = soonest.as_ref().is_none_or(|known| when(&open) < when(known));
                    soonest = if is_sooner { Some(open) } else { soonest };
                }
            }
        }
        Err(soonest.map_or_else(|| self.targets.nobody(), AskError::from))
    }

    fn way(&self, path: &str, targets: &[Target]) -> Result<Recipient<M>, AskError> {
        let mut ways = self.ways.lock();
        if let Some(known) = ways.get(path) {
            return Ok(known.clone());
        }
        if ways.len() >= targets.len() + WAYS_SPARE {
            ways.retain(|known, _| targets.iter().any(|target| target.path == *known));
        }
        let bad = |error: InvalidPath| AskError::BadPath { reason: error.to_string() };
        let way = self.mesh.recipient::<M>(path).map_err(bad)?;
        ways.insert(path.to_owned(), way.clone());
        Ok(way)
    }

    fn verdict(&self, reply: &M::Reply) -> Verdict {
        self.judge.map_or(Verdict::Success, |judge| judge(reply))
    }
}

impl<M: WireMessage> Deliver<M> for Way<M> {
    fn path(&self) -> String {
        self.0.targets.to_string()
    }

    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>> {
        let (to, pass) = match self.0.choose() {
            Ok(chosen) => chosen,
            Err(error) => return Err(TryTellError::Refused { message, error }),
        };
        let told = Deliver::try_tell(&to, message, meta);
        match &told {
            Ok(()) => pass.accepted(),
            Err(TryTellError::Refused { error, .. }) => pass.failed(error),
            // Whether there is room soon is for `tell` to find out.
            Err(_) => drop(pass),
        }
        told
    }

    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let guarded = Arc::clone(&self.0);
        Box::pin(async move {
            let (to, pass) = guarded.choose()?;
            let told = Deliver::tell(&to, message, meta).await;
            match &told {
                Ok(()) => pass.accepted(),
                Err(error) => pass.failed(error),
            }
            told
        })
    }

    fn ask(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        let guarded = Arc::clone(&self.0);
        Box::pin(async move {
            let (to, pass) = guarded.choose()?;
            let answer = Deliver::ask(&to, message, meta).await;
            match &answer {
                Ok(reply) => pass.replied(guarded.verdict(reply)),
                Err(error) => pass.failed(error),
            }
            answer
        })
    }
}

impl<M: Message> fmt::Debug for Guard<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("targets", &self.targets).finish_non_exhaustive()
    }
}
