//! What agents ask through.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mesh::{ActorRef, AskError};
use mesh_store::ApprovalState;
use serde_json::Value;
use tokio::time::timeout;

use super::decision::{Decision, GateError, NotDone, Permit, Settled};
use super::inbox::{Ask, Asked, Inbox};
use super::request::{Check, Request};

/// How long the inbox may take to write a request down.
const ASK_MAX: Duration = Duration::from_secs(30);
/// How much later than its time a request may be known to have run out.
const LATE_MAX: Duration = Duration::from_secs(30);
/// How often a request is asked for again whose inbox crashed.
const ATTEMPTS: u32 = 5;

/// The way of a node's agents to the people who decide. Cheap to clone.
///
/// ```no_run
/// # async fn example(gate: mesh_agents::approvals::Gate) -> Result<(), Box<dyn std::error::Error>> {
/// use mesh_agents::approvals::{Decision, Request};
/// use serde_json::json;
///
/// let request = Request::new("ops", "delete_files", json!({"glob": "logs/*.gz"}))
///     .description("the disk is 97 % full")
///     .key("cleanup-1"); // asked again after a restart, it is the same request
/// match gate.ask(request).await? {
///     Decision::Approved(permit) => println!("{} with {}", permit.action, permit.args), // what was approved, edited or not
///     Decision::Denied(denial) => println!("{denial}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gate {
    inbox: Arc<OnceLock<ActorRef<Inbox>>>,
}

impl Gate {
    /// A gate to nowhere yet: until it [leads](Self::lead_to) to an inbox, whoever asks is told `NO_APPROVALS`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has this gate, and all its clones, lead to an inbox of this process. The first one stays.
    pub fn lead_to(&self, inbox: &ActorRef<Inbox>) {
        self.inbox.get_or_init(|| inbox.clone());
    }

    /// Asks for a permit, and waits until people have decided or the request's time is over, which is a no. Where the
    /// policies ask nobody, it is decided at once.
    ///
    /// An approval is of exactly the action and the arguments in the permit, which an edit may have changed: do those, or
    /// nothing.
    ///
    /// # Errors
    /// [`GateError`], and then the action must not be done either.
    ///
    /// # Cancel safety
    /// Dropped, it waits no more, and the request stays: who asks again under its key goes on with it.
    pub async fn ask(&self, request: Request) -> Result<Decision, GateError> {
        let check = request.check.clone();
        // A key that was made up would be another one the next time.
        let request = match &request.key {
            Some(_) => request,
            None => request.key(format!("once {}", uuid::Uuid::new_v4())),
        };
        let settled = self.settled(request).await?;
        checked(settled.decision()?, check.as_ref())
    }

    /// Does something once people have approved it: `act` is given the permit, and does what that says.
    ///
    /// # Errors
    /// [`NotDone::Failed`] is the action's own error; with the others it was not begun.
    ///
    /// # Cancel safety
    /// As [`ask`](Self::ask) until `act` begins, and then as `act`.
    pub async fn run<T, E, F>(&self, request: Request, act: impl FnOnce(Permit) -> F) -> Result<T, NotDone<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        match self.ask(request).await {
            Ok(Decision::Approved(permit)) => act(permit).await.map_err(NotDone::Failed),
            Ok(Decision::Denied(denial)) => Err(NotDone::Denied(denial)),
            Err(error) => Err(NotDone::Undecided(error)),
        }
    }

    async fn settled(&self, request: Request) -> Result<Arc<Settled>, GateError> {
        for _ in 0..ATTEMPTS {
            let (expires_in_ms, mut news) = match self.asked(request.clone()).await? {
                Asked::Settled(settled) => return Ok(settled),
                Asked::Waits { expires_in_ms, news } => (expires_in_ms, news),
            };
            let patience = Duration::from_millis(expires_in_ms).saturating_add(LATE_MAX);
            match timeout(patience, news.wait_for(Option::is_some)).await {
                Ok(Ok(settled)) => {
                    let settled = settled.clone().expect("it was waited for");
                    debug_assert_ne!(settled.approval.state, ApprovalState::Pending);
                    return Ok(settled);
                }
                // The inbox has crashed, and knows nobody who waits: it is asked again.
                Ok(Err(_gone)) => {}
                Err(_late) => return Err(unavailable("it did not say that the time is over")),
            }
        }
        Err(unavailable("it crashes again and again"))
    }

    async fn asked(&self, request: Request) -> Result<Asked, GateError> {
        let Some(inbox) = self.inbox.get() else {
            return Err(unavailable("this node keeps none"));
        };
        let asked = inbox.ask(Ask(Box::new(request))).timeout(ASK_MAX).await;
        asked.unwrap_or_else(|error: AskError| Err(unavailable(&error.to_string())))
    }
}

fn unavailable(reason: &str) -> GateError {
    GateError::Unavailable { reason: reason.to_owned() }
}

/// Arguments that somebody edited while nobody waited were not looked at yet.
fn checked(decision: Decision, check: Option<&Check>) -> Result<Decision, GateError> {
    if let (Decision::Approved(permit), Some(check)) = (&decision, check)
        && permit.is_edited
    {
        look(check, permit.action.as_str(), &permit.args)?;
    }
    Ok(decision)
}

fn look(check: &Check, action: &str, args: &Value) -> Result<(), GateError> {
    check(args).map_err(|reason| GateError::BadEdit { action: action.to_owned(), reason })
}
