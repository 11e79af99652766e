//! Calls of tools, before people.
//!
//! ```text
//!  Policed, a hook ── a policy names the tool ──► RequireApproval
//!                                                     │
//!  HookedTool ── ApprovalRequest ──► Gate, as its approver ──► NODE/approvals, under the key of the call
//! ```

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use super::decision::{Decision, GateError};
use super::gate::Gate;
use super::level::Level;
use super::policy::Policies;
use super::request::Request;
use crate::tools::{
    ApprovalOutcome, ApprovalRequest, Approver, Call, Hook, HookFailure, Verdict, action_hash,
};

/// Asks people about calls of tools, one request for each call: who makes the same call again, under its id, goes on with
/// the request that is there, and with what was decided then. The request waits no longer than its caller does.
///
/// The hash that is handed back is that of what people saw, made anew from the permit.
impl Approver for Gate {
    fn decide(&self, request: ApprovalRequest) -> BoxFuture<'_, ApprovalOutcome> {
        Box::pin(async move {
            let asked = match asked(&request) {
                Ok(asked) => asked,
                Err(reason) => return ApprovalOutcome::Unanswered { reason },
            };
            match self.ask(asked).await {
                Ok(decision) => outcome(&request, decision),
                Err(error) => unanswered(&error),
            }
        })
    }
}

/// What people are asked.
fn asked(request: &ApprovalRequest) -> Result<Request, String> {
    let args: Value = serde_json::from_str(&request.args).map_err(|error| error.to_string())?;
    // It does not say who calls: a run that goes on elsewhere makes the same call from another node.
    let asked = Request::new(format!("tools/{}", request.action), &request.action, args)
        .description(&request.reason)
        .key(request.call.to_string())
        .at_least(Level::Confirm);
    let asked = match request.by.as_str() {
        "" => asked,
        by => asked.doing(format!("a call by {by}")),
    };
    let asked = match request.deadline {
        Some(deadline) => asked.at_most(patience(deadline)),
        None => asked,
    };
    let validator = jsonschema::validator_for(&request.schema).map_err(|error| error.to_string())?;
    Ok(asked.check(move |args| match validator.iter_errors(args).next() {
        None => Ok(()),
        Some(error) => Err(format!("{}: {}", error.instance_path(), error.masked())),
    }))
}

/// Somewhat less than until the deadline, so that the caller hears that nobody answered, and not just nothing.
fn patience(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    left - (left / 3).min(Duration::from_secs(1))
}

fn outcome(request: &ApprovalRequest, decision: Decision) -> ApprovalOutcome {
    match decision {
        Decision::Approved(permit) if permit.is_edited => {
            ApprovalOutcome::ApprovedWith { hash: request.hash, args: permit.args.to_string() }
        }
        Decision::Approved(permit) => {
            ApprovalOutcome::Approved { hash: action_hash(&permit.action, &permit.args) }
        }
        Decision::Denied(denial) if denial.is_expired => {
            ApprovalOutcome::Unanswered { reason: denial.to_string() }
        }
        Decision::Denied(denial) => ApprovalOutcome::Denied { reason: denial.to_string() },
    }
}

fn unanswered(error: &GateError) -> ApprovalOutcome {
    ApprovalOutcome::Unanswered { reason: format!("{}: {error}", error.code()) }
}

/// A hook that wants an approval for every tool that a policy names. A tool that none names passes: what it may do is
/// decided by whoever offers it.
#[derive(Debug, Clone)]
pub struct Policed {
    named: Policies,
    gate: Gate,
}

impl Policed {
    /// With these policies; `gate` is for what people are only told of ([`Level::Notify`]).
    #[must_use]
    pub fn new(policies: Policies, gate: Gate) -> Self {
        Self { named: Policies { default: Level::None, ..policies }, gate }
    }
}

impl Hook for Policed {
    fn name(&self) -> &str {
        "policies"
    }

    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Verdict, HookFailure>> {
        Box::pin(async move {
            match self.named.judge(&call.tool).level {
                Level::None => Ok(Verdict::Proceed),
                Level::Notify => self.tell(call).await,
                level @ (Level::Confirm | Level::Review) => {
                    Ok(Verdict::RequireApproval { reason: format!("a policy says {level}") })
                }
            }
        })
    }
}

impl Policed {
    /// Nobody is asked, and it is on record.
    async fn tell(&self, call: &Call) -> Result<Verdict, HookFailure> {
        let by = format!("tools/{}", call.tool);
        let request = Request::new(by, &call.tool, call.args.clone()).key(call.id.to_string());
        match self.gate.ask(request).await {
            Ok(Decision::Approved(_)) => Ok(Verdict::Proceed),
            Ok(Decision::Denied(denial)) => Ok(Verdict::Deny { reason: denial.to_string() }),
            Err(error) => Err(HookFailure::new(error.to_string())),
        }
    }
}
