//! A limiter that lives on shares of a limit of the whole mesh.

use std::fmt;
use std::time::Duration;

use mesh::{InvalidPath, Mesh, Recipient};
use mesh_resilience::{Admission, ConfigError, Demand, Lease, LimitConfig, Limiter, keep_leased};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::message::{AskLease, GiveBack, TellPenalty};

/// How long the grantor may take to answer: shorter than what a limiter waits for it.
const ANSWER: Duration = Duration::from_millis(1_500);

/// A limiter that lives on shares of a limit of the whole mesh, which a [`LimitGrantor`](super::LimitGrantor) grants.
///
/// It allows nothing until the first share has come, which takes one trip where there is room, and up to two thirds of a
/// term where others use all of it. Dropped, it keeps its share from others until that runs out; [`close`](Self::close) gives it
/// back.
///
/// ```no_run
/// # use std::time::Duration;
/// use mesh_agents::limits::{Before, LimitGrantor, MeshLimiter};
/// use mesh_resilience::{Cost, Deadline, LeaseConfig, LimitConfig, Priority, Rate};
///
/// # async fn call(mesh: mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
/// let limit = LimitConfig {
///     requests: Some(Rate::new(600, Duration::from_secs(60), 10)),
///     ..LimitConfig::default()
/// };
/// // On one node:
/// LimitGrantor::publish(&mesh, "anthropic/team-a", &limit, LeaseConfig::default(), Before::Nobody)?;
/// // On each that calls:
/// let limiter = MeshLimiter::open(&mesh, "alpha/limits/anthropic/team-a", limit)?;
/// let deadline = Deadline::after(Duration::from_secs(30));
/// let turn = limiter.limiter().reserve(Cost::tokens(900, 2_000), Priority::NORMAL, deadline).await?;
/// // … the call, which says what it used …
/// turn.settle(Cost::tokens(903, 411));
/// # Ok(()) }
/// ```
pub struct MeshLimiter {
    limiter: Limiter,
    grantor: Grantor,
    /// Ends when this is dropped.
    keeps: JoinSet<()>,
}

/// Why there is no limiter. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLimitError {
    /// The limit cannot be used: the operator's mistake.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The grantor's path is none: the caller's mistake.
    #[error(transparent)]
    Path(#[from] InvalidPath),
}

/// The way to the grantor, with whom it grants to.
#[derive(Clone)]
struct Grantor {
    limiter: Limiter,
    life: String,
    leases: Recipient<AskLease>,
    goodbyes: Recipient<GiveBack>,
    penalties: Recipient<TellPenalty>,
}

impl MeshLimiter {
    /// A limiter whose shares the actor at `path` grants: `NODE/limits/KEY`. `limit` is the whole limit, and the same on all
    /// nodes; its queue is this node's own.
    ///
    /// # Errors
    /// [`OpenLimitError`].
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn open(mesh: &Mesh, path: &str, limit: LimitConfig) -> Result<Self, OpenLimitError> {
        let limiter = Limiter::leased(limit)?;
        let grantor = Grantor {
            limiter: limiter.clone(),
            life: uuid::Uuid::new_v4().simple().to_string(),
            leases: mesh.recipient(path)?,
            goodbyes: mesh.recipient(path)?,
            penalties: mesh.recipient(path)?,
        };
        let mut keeps = JoinSet::new();
        keeps.spawn({
            let grantor = grantor.clone();
            async move { match keep_leased(&grantor.limiter, &grantor.life, &grantor).await {} }
        });
        Ok(Self { limiter, grantor, keeps })
    }

    /// The limiter itself: reserve, call, settle. What the provider's headers say is left is for
    /// [`lower_to`](Limiter::lower_to), on this node alone.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The provider answered 429, and wants to be left alone for `retry_after`: this node does so at once, and the others from
    /// their next share on, at the latest a third of a term later.
    ///
    /// # Cancel safety
    /// Dropped, it may have told the others nothing; this node obeys.
    pub async fn penalize(&self, retry_after: Duration) {
        self.limiter.penalize(retry_after);
        let tell = TellPenalty { retry_after_ms: crate::millis(retry_after) };
        if let Err(error) = self.grantor.penalties.tell(tell).timeout(ANSWER).await {
            // Each of the others finds out for itself.
            tracing::warn!(%error, "the others were not told that the provider wants to be left alone");
        }
    }

    /// Gives the share back, so that others have it at once. What was reserved is not waited for.
    ///
    /// # Cancel safety
    /// Dropped, it may not have given the share back, which others then have when its term is over.
    pub async fn close(mut self) {
        self.keeps.shutdown().await;
        let Self { limiter, grantor, .. } = self;
        let last = AskLease::new(&grantor.life, limiter.demand());
        // Nothing of it may be used from here on.
        let nothing = Lease {
            number: last.lease,
            share: Default::default(),
            spent: Default::default(),
            term: Duration::ZERO,
        };
        limiter.set_share(&nothing, Instant::now());
        if let Err(error) = grantor.goodbyes.tell(GiveBack { last }).timeout(ANSWER).await {
            tracing::debug!(%error, "the share was not given back, and runs out");
        }
    }
}

impl Admission for Grantor {
    type Error = String;

    async fn lease(&self, holder: &str, demand: Demand) -> Result<Lease, String> {
        let asked = self.leases.ask(AskLease::new(holder, demand)).timeout(ANSWER).await;
        let row = asked.map_err(|error| error.to_string())?.map_err(|failure| failure.message)?;
        if row.penalty_ms > 0 {
            self.limiter.penalize(Duration::from_millis(row.penalty_ms));
        }
        Ok(row.lease())
    }
}

impl fmt::Debug for MeshLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let life = &self.grantor.life;
        f.debug_struct("MeshLimiter")
            .field("limiter", &self.limiter)
            .field("life", life)
            .finish_non_exhaustive()
    }
}
