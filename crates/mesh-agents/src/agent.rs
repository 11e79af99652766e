//! An actor that answers with a model.
//!
//! ```text
//!  Work ──► Agent ──► model            one call at a time
//!            │          │
//!   Said… ◄──┴── text ──┘              as the model writes, as fast as the reader reads
//!   Answer or Refusal                  always, by the deadline of the ask
//! ```
//!
//! An agent never calls twice: its [`Refusal`] tells the asker whether to. When nobody waits for the answer any more, the
//! model's stream is closed at once.

mod args;
mod call;
mod form;
mod message;
mod prompt;

use std::sync::Arc;
use std::time::Duration;

use mesh::{
    Actor, ActorSpec, Context, Items, Kinds, Restart, SpawnContext, Spawnable, StartError, StreamHandler,
    WireActor,
};

pub use args::AgentArgs;
pub use message::{Answer, Refusal, Said, Work};
pub(crate) use prompt::system;

use crate::idle::IdleStop;
use crate::models::{HOW_TO_GET_ONE, Models};

/// An agent for a single piece of work ends when nobody has asked it for this long: whoever spawned it is gone.
const UNASKED_MAX: Duration = Duration::from_secs(60);

/// A model with a role and instructions, as an actor of the kind `agent`. It takes [`Work`].
#[derive(Debug)]
pub struct Agent {
    args: AgentArgs,
    models: Arc<Models>,
    idle: Option<IdleStop>,
}

impl Agent {
    /// The kind under which nodes register it.
    pub const KIND: &'static str = "agent";
}

impl Spawnable for Agent {
    type Args = AgentArgs;

    async fn open(args: &AgentArgs, cx: &SpawnContext) -> Result<Self, StartError> {
        args.check().map_err(StartError::new)?;
        Ok(Self { args: args.clone(), models: models(cx)?, idle: None })
    }

    fn check(_: &AgentArgs, cx: &SpawnContext) -> Result<(), StartError> {
        models(cx).map(drop)
    }

    fn spec(name: &str) -> ActorSpec {
        // Work is large and slow: a long queue of it would only be late.
        ActorSpec::new(name).mailbox(64).restart(Restart::Transient)
    }
}

/// A node that was started without a model has nothing for agents to think with.
fn models(cx: &SpawnContext) -> Result<Arc<Models>, StartError> {
    cx.extension::<Models>().ok_or_else(|| {
        StartError::new(format!("node {} has no model; {HOW_TO_GET_ONE}", cx.mesh.node_name()))
    })
}

impl Actor for Agent {
    async fn started(&mut self, cx: &mut Context<Self>) -> Result<(), StartError> {
        self.idle = self.args.once.then(|| IdleStop::after(UNASKED_MAX, cx.me().clone()));
        Ok(())
    }
}

impl WireActor for Agent {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.stream::<Work>()
    }
}

impl StreamHandler<Work> for Agent {
    async fn stream(
        &mut self,
        work: Work,
        items: Items<Said>,
        cx: &mut Context<Self>,
    ) -> Result<Answer, Refusal> {
        self.idle = None;
        if self.args.once {
            cx.stop();
        }
        let (cancelled, deadline) = (cx.cancelled(), cx.deadline());
        let answer = call::answer(&self.models, &self.args, &work, &items, deadline);
        tokio::select! {
            biased;
            () = cancelled => Err(Refusal::cancelled()),
            answer = answer => answer,
        }
    }
}
