//! A tool as an actor.

use std::sync::Arc;

use mesh::{
    Actor, ActorRef, ActorSpec, Answer, Context, ExitReason, Handler, Kinds, Later, Mesh, PublishError,
    Restart, Retry, WireActor,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;

use super::call::{Call, CallId, Ended, Ending};
use super::error::ToolError;
use super::hooked::{ARGS_BYTES_MAX, HookedTool};
use super::json::action_hash;
use super::message::{
    CallTool, DescribeTool, ProbeTool, Probed, ReportTool, ToolAnswer, ToolDescription, ToolReport,
};
use super::remembered::{Remembered, Seen};
use super::tool::Probe;

/// Calls that wait for a slot, beside those that have one. Who comes then is told to come again.
const WAITING_MAX: usize = 64;

/// A tool as an actor: `NODE/tools/NAME`, with the capability `tool:NAME`. It takes [`CallTool`], also while calls run, up
/// to 64 more than run at once; [`DescribeTool`], [`ProbeTool`] and [`ReportTool`].
///
/// Stopped or killed, it ends its calls where they are, and their callers are told `STOPPED`; drained, it lets them finish.
#[derive(Debug)]
pub struct ToolActor {
    tool: Arc<HookedTool>,
    calls: JoinSet<()>,
    remembered: Arc<Mutex<Remembered>>,
}

type Said = Result<ToolAnswer, ToolError>;

impl ToolActor {
    /// The name under which a tool is published on its node.
    #[must_use]
    pub fn name(tool: &str) -> String {
        format!("tools/{tool}")
    }

    /// What a tool of this name can do.
    #[must_use]
    pub fn capability(tool: &str) -> String {
        format!("tool:{tool}")
    }

    /// Spawns a tool on this node and publishes it.
    ///
    /// # Errors
    /// [`PublishError`] when the name is taken; nothing is left running.
    pub fn publish(mesh: &Mesh, tool: Arc<HookedTool>) -> Result<ActorRef<Self>, PublishError> {
        let name = Self::name(&tool.spec().name);
        let capability = Self::capability(&tool.spec().name);
        // Arguments may be large; a few such may wait.
        let spec = ActorSpec::new(&name).mailbox(64).mailbox_bytes(4 * ARGS_BYTES_MAX);
        let spec = spec.capability(capability).on_every_node().restart(Restart::Transient);
        let remembered = Arc::<Mutex<Remembered>>::default();
        let actor = mesh.spawn(spec, move || Self {
            tool: Arc::clone(&tool),
            calls: JoinSet::new(),
            remembered: Arc::clone(&remembered),
        });
        match mesh.publish(&name, &actor) {
            Ok(()) => Ok(actor),
            Err(error) => {
                actor.stop();
                Err(error)
            }
        }
    }

    /// Notes a call that is to be made; answers one that is known, or has no room.
    fn admit(&mut self, call: &CallTool) -> Result<(CallId, Value), Said> {
        while self.calls.try_join_next().is_some() {}
        if self.calls.len() >= self.tool.spec().concurrency + WAITING_MAX {
            let message = format!("{} calls run or wait, as many as may", self.calls.len());
            return Err(Err(ToolError::refused("TOO_BUSY", message).retry(Retry::Backoff)));
        }
        let (id, args) = read(call).map_err(Err)?;
        match self.remembered.lock().begin(id, action_hash(&call.tool, &args)) {
            Seen::Never => Ok((id, args)),
            Seen::Answered(before) => Err(before),
            Seen::Running => {
                let error = ToolError::unsure("CALL_RUNNING", "this very call runs already");
                Err(Err(error.retry(Retry::Backoff)))
            }
            Seen::Another => {
                Err(Err(ToolError::refused("BAD_CALL", "the id of the call is that of another action")))
            }
        }
    }

    fn begin(&mut self, id: CallId, tool: String, args: Value, by: String, answer: Answer<Said>) {
        let noted = Noted { id, remembered: Arc::clone(&self.remembered) };
        let call = Call::new(tool, args).id(id).by(by).deadline(answer.deadline());
        let call = call.cancel_on(answer.cancel().clone());
        let tool = Arc::clone(&self.tool);
        self.calls.spawn(async move {
            let said = said(id, &tool.call(call).await);
            noted.remembered.lock().end(id, said.clone());
            answer.send(said);
        });
    }
}

/// A call that is remembered as running, until it ends in whatever way.
struct Noted {
    id: CallId,
    remembered: Arc<Mutex<Remembered>>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.remembered.lock().forget(self.id);
    }
}

fn read(call: &CallTool) -> Result<(CallId, Value), ToolError> {
    let id = match call.call.as_str() {
        "" => CallId::generate(),
        id => id
            .parse()
            .map_err(|error: super::call::InvalidCallId| ToolError::refused("BAD_CALL", error.to_string()))?,
    };
    let args = serde_json::from_str(&call.args)
        .map_err(|error| ToolError::refused("BAD_ARGUMENTS", format!("they are no JSON: {error}")))?;
    Ok((id, args))
}

fn said(id: CallId, ended: &Ended) -> Said {
    let ending = match &ended.ending {
        Ending::Skipped => "skipped",
        Ending::Fallback { .. } => "fallback",
        Ending::Ran | Ending::Failed | Ending::Cancelled | Ending::Refused => "ran",
    };
    let answer = |output: &Value| ToolAnswer {
        output: output.to_string(),
        call: id.to_string(),
        ending: ending.to_owned(),
        elapsed_ms: crate::millis(ended.elapsed),
    };
    ended.result.as_ref().map(answer).map_err(Clone::clone)
}

impl Actor for ToolActor {
    async fn stopped(&mut self, reason: &ExitReason, _: &mut Context<Self>) {
        // A node that leaves bounds this by its own patience.
        if matches!(reason, ExitReason::Drained) {
            while self.calls.join_next().await.is_some() {}
        }
    }
}

impl WireActor for ToolActor {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.later::<CallTool>().message::<DescribeTool>().later::<ProbeTool>().message::<ReportTool>()
    }
}

impl Handler<Later<CallTool>> for ToolActor {
    async fn handle(&mut self, later: Later<CallTool>, cx: &mut Context<Self>) {
        // Who it is comes from the connection; nothing in the message can claim it.
        let by = cx.sender().and_then(|sender| sender.node.as_deref()).unwrap_or("its own node").to_owned();
        let (call, answer) = later.take();
        match self.admit(&call) {
            Ok((id, args)) => self.begin(id, call.tool, args, by, answer),
            Err(said) => answer.send(said),
        }
    }
}

impl Handler<Later<ProbeTool>> for ToolActor {
    async fn handle(&mut self, later: Later<ProbeTool>, _: &mut Context<Self>) {
        let (ProbeTool { call }, answer) = later.take();
        while self.calls.try_join_next().is_some() {}
        let Ok(call) = call.parse() else {
            return answer.send(Err(ToolError::refused("BAD_CALL", super::call::InvalidCallId.to_string())));
        };
        if self.calls.len() >= self.tool.spec().concurrency + WAITING_MAX {
            let error = ToolError::refused("TOO_BUSY", "as many calls run or wait as may");
            return answer.send(Err(error.retry(Retry::Backoff)));
        }
        let tool = Arc::clone(&self.tool);
        self.calls.spawn(async move {
            let unwanted = answer.cancel().clone();
            let probed = tokio::select! {
                probed = tool.probe(call) => probed,
                () = unwanted.cancelled() => Err(ToolError::cancelled(false)),
            };
            answer.send(probed.map(|probed| match probed {
                Probe::Done(output) => Probed::Done { output: output.to_string() },
                Probe::NotDone => Probed::NotDone,
                Probe::Unknown => Probed::Unknown,
            }));
        });
    }
}

impl Handler<DescribeTool> for ToolActor {
    async fn handle(&mut self, _: DescribeTool, _: &mut Context<Self>) -> ToolDescription {
        self.tool.description()
    }
}

impl Handler<ReportTool> for ToolActor {
    async fn handle(&mut self, _: ReportTool, _: &mut Context<Self>) -> ToolReport {
        let stats = self.tool.stats();
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        ToolReport {
            tool: self.tool.spec().name.clone(),
            total: stats.total,
            running: stats.running,
            ok: stats.ok,
            failed: stats.failed,
            cancelled: stats.cancelled,
            fallback: stats.fallback,
            skipped: stats.skipped,
            refused: stats.refused,
            unknown: stats.unknown,
            hook_failures: stats.hook_failures,
            success_rate: stats.success_rate(),
            p50_us: stats.p50.map(micros),
            p90_us: stats.p90.map(micros),
            p99_us: stats.p99.map(micros),
        }
    }
}
