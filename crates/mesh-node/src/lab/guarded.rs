//! An actor that does nothing that people have not approved.

use std::sync::Arc;
use std::time::Duration;

use mesh::{Actor, Context, Handler, Kinds, Message, WireActor, WireMessage};
use mesh_agents::approvals::{Gate, Permit, Request};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

pub(super) const GUARDED: &str = "guarded";

/// Actions that wait at once.
const WAITING_MAX: usize = 200;

/// Something to be done once it is approved: `lab.guard.v1`. What is done is that it is [listed](ListDone).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// What is to be done.
    pub action: String,
    /// With which arguments: JSON.
    pub args: String,
    /// What names the request, so that asking again is no second one.
    pub key: String,
    /// How long it waits, in milliseconds.
    pub wait_ms: u64,
}

impl Message for Guard {
    type Reply = Result<(), String>;
}

impl WireMessage for Guard {
    const KIND: &'static str = "lab.guard.v1";
}

/// Asks what was done: `lab.done.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDone {}

/// What was done since the actor started, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guarded {
    /// What was done, in order.
    pub done: Vec<Done>,
    /// The keys of what was not to be done, with the reason's code.
    pub undone: Vec<Done>,
    /// How many still wait.
    pub waiting: u64,
}

/// An action that was done, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// What names its request.
    pub key: String,
    /// The arguments that it was done with; of one that was not done, the code of the reason.
    pub with: String,
}

impl Message for ListDone {
    type Reply = Guarded;
}

impl WireMessage for ListDone {
    const KIND: &'static str = "lab.done.v1";
}

pub(super) struct GuardedActor {
    gate: Gate,
    waiting: JoinSet<()>,
    /// What was done, and what was not.
    ended: Arc<Mutex<(Vec<Done>, Vec<Done>)>>,
}

impl GuardedActor {
    pub(super) fn new(gate: Gate) -> Self {
        Self { gate, waiting: JoinSet::new(), ended: Arc::default() }
    }

    fn reap(&mut self) {
        while self.waiting.try_join_next().is_some() {}
    }
}

impl Actor for GuardedActor {}

impl Handler<Guard> for GuardedActor {
    async fn handle(&mut self, guard: Guard, _: &mut Context<Self>) -> Result<(), String> {
        self.reap();
        if self.waiting.len() >= WAITING_MAX {
            return Err("too many wait".to_owned());
        }
        let Guard { action, args, key, wait_ms } = guard;
        let args = serde_json::from_str(&args).map_err(|error| error.to_string())?;
        let request = Request::new(GUARDED, action, args)
            .description("a trial")
            .key(&key)
            .timeout(Duration::from_millis(wait_ms));
        let (gate, ended) = (self.gate.clone(), Arc::clone(&self.ended));
        self.waiting.spawn(async move {
            let act = async |permit: Permit| Ok::<_, String>(permit.args.to_string());
            match gate.run(request, act).await {
                Ok(with) => ended.lock().0.push(Done { key, with }),
                Err(error) => ended.lock().1.push(Done { key, with: error.code().to_owned() }),
            }
        });
        Ok(())
    }
}

impl Handler<ListDone> for GuardedActor {
    async fn handle(&mut self, _: ListDone, _: &mut Context<Self>) -> Guarded {
        self.reap();
        let (done, undone) = self.ended.lock().clone();
        Guarded { done, undone, waiting: self.waiting.len() as u64 }
    }
}

impl WireActor for GuardedActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Guard>().message::<ListDone>()
    }
}
