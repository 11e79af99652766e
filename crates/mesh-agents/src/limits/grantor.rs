//! The actor that splits a limit among nodes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh::{
    Actor, ActorRef, ActorSpec, Class, Context, Failure, Handler, Json, Kinds, Mesh, PublishError, Retry,
    WireActor,
};
use mesh_resilience::{ConfigError, LeaseConfig, LeaseError, LeaseTable, LimitConfig, Money, Share};
use tokio::time::Instant;

use super::message::{AskLease, GiveBack, LeaseRow, TellPenalty};

/// The longest time for which a provider's word is taken that it wants to be left alone.
const PENALTY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The actor that grants shares of one limit: it takes [`AskLease`], [`GiveBack`] and [`TellPenalty`].
///
/// It knows holders by the node that asks, which is the certificate's, and by the life that this names. What is granted is in
/// its memory alone: after a crash it grants nothing for a term, since shares of before may hold, and money that was spent
/// until then is forgotten but for what holders report.
#[derive(Debug)]
pub struct LimitGrantor {
    table: LeaseTable,
    penalty_until: Option<Instant>,
}

/// Whether shares of the limit may be out that a new grantor does not know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// None: nobody has called the provider lately. It grants at once.
    Nobody,
    /// Maybe: another grantor was lost. It grants nothing for a term.
    Somebody,
}

/// Why a limit has no grantor. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishLimitError {
    /// The limit or the lease cannot be used: the operator's mistake.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The name is none, or is taken.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl LimitGrantor {
    /// Spawns it on this node and publishes it as `limits/KEY`. One in the mesh for each limit: a key is a name that may be
    /// shown, such as `anthropic/team-a`.
    ///
    /// # Errors
    /// [`PublishLimitError`]; nothing is left running.
    pub fn publish(
        mesh: &Mesh,
        key: &str,
        limit: &LimitConfig,
        leases: LeaseConfig,
        before: Before,
    ) -> Result<ActorRef<Self>, PublishLimitError> {
        limit.validate()?;
        leases.validate()?;
        let (whole, name) = (Share::whole(limit), format!("limits/{key}"));
        let is_first = AtomicBool::new(before == Before::Nobody);
        let spec = ActorSpec::new(&name).class(Class::Trusted);
        let actor = mesh.spawn(spec, move || {
            let table = if is_first.swap(false, Ordering::Relaxed) {
                LeaseTable::new(whole, leases)
            } else {
                LeaseTable::after_loss(whole, leases, Money::ZERO, Instant::now())
            };
            Self { table: table.expect("the settings were checked before"), penalty_until: None }
        });
        match mesh.publish(&name, &actor) {
            Ok(()) => Ok(actor),
            Err(error) => {
                actor.stop();
                Err(error.into())
            }
        }
    }

    fn penalty(&self, now: Instant) -> Duration {
        self.penalty_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

/// One life of a limiter, whose node its connection tells and not itself.
fn holder(cx: &Context<LimitGrantor>, life: &str) -> String {
    let node = cx.sender().and_then(|sender| sender.node.as_deref());
    format!("{}/{life}", node.unwrap_or("here"))
}

impl Actor for LimitGrantor {}

impl WireActor for LimitGrantor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<AskLease>().message::<GiveBack>().message::<TellPenalty>()
    }
}

impl Handler<AskLease> for LimitGrantor {
    async fn handle(&mut self, ask: AskLease, cx: &mut Context<Self>) -> Result<LeaseRow, Failure> {
        let now = Instant::now();
        let granted = self.table.ask(&holder(cx, &ask.life), ask.demand(), now);
        let penalty = self.penalty(now);
        granted.map(|lease| LeaseRow::new(lease, penalty)).map_err(|error| refused(&error, cx.me().path()))
    }
}

impl Handler<GiveBack> for LimitGrantor {
    async fn handle(&mut self, GiveBack { last }: GiveBack, cx: &mut Context<Self>) {
        self.table.release(&holder(cx, &last.life), Some(last.demand()));
    }
}

impl Handler<TellPenalty> for LimitGrantor {
    async fn handle(&mut self, tell: TellPenalty, _: &mut Context<Self>) {
        let until = Instant::now() + Duration::from_millis(tell.retry_after_ms).min(PENALTY_MAX);
        // Of two demands the longer holds.
        self.penalty_until = self.penalty_until.max(Some(until));
    }
}

fn refused(error: &LeaseError, path: &str) -> Failure {
    let (code, retry) = match error {
        LeaseError::Quiet { retry_after } => ("LIMIT_QUIET", Retry::AfterMs(crate::millis(*retry_after))),
        _ => ("LIMIT_FULL", Retry::Backoff),
    };
    Failure {
        code: code.to_owned(),
        message: error.to_string(),
        details: Json::of(&()),
        retry,
        may_have_run: false,
        origin: path.to_owned(),
    }
}
