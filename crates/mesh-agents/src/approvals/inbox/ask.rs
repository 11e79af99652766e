//! An agent asks.

use std::sync::Arc;
use std::time::Duration;

use mesh::{Context, Handler};
use mesh_store::{Approval, ApprovalId, ApprovalState, Name, NewApproval, StoreError};
use tokio::sync::watch;

use super::{Ask, Asked, Inbox, WAITING_MAX, Waiting};
use crate::approvals::decision::{GateError, Settled};
use crate::approvals::level::Level;
use crate::approvals::policy::Judgement;
use crate::approvals::request::{Brief, Request, payload};
use crate::millis;

impl Handler<Ask> for Inbox {
    async fn handle(&mut self, Ask(request): Ask, _: &mut Context<Self>) -> Result<Asked, GateError> {
        if let Some(reason) = request.problem() {
            return Err(GateError::BadRequest { reason });
        }
        let judged = self.judged(&request);
        let id = self.id_of(&request);
        let is_known = self.waiting.contains_key(&id);
        if judged.level.waits() && !is_known && self.waiting.len() >= WAITING_MAX {
            return Err(GateError::TooMany { waiting: self.waiting.len() });
        }
        let new = self.new_approval(&request, &judged)?;
        let at_ms = new.at_ms;
        let asked = self.store.request_approval_once(id, new, !judged.level.waits()).await;
        let approval = asked.map_err(|error| match error {
            StoreError::Conflict { .. } => GateError::OtherAction,
            other => other.into(),
        })?;
        let of = Settled { events: self.store.approval_events(id).await?, approval };
        let is_new = of.approval.requested_ms == at_ms && !is_known;
        if of.approval.state != ApprovalState::Pending {
            if is_new && of.approval.state == ApprovalState::Approved {
                self.passed(&of);
            }
            return Ok(Asked::Settled(Arc::new(of)));
        }
        if is_new {
            self.announced(&of);
        }
        Ok(self.wait_for(&of.approval, *request))
    }
}

impl Inbox {
    /// What holds for the request: the policies, and what its asker wants beyond them.
    fn judged(&self, request: &Request) -> Judgement {
        let judged = self.policies.judge(&request.action);
        let level = request.level.map_or(judged.level, |level| level.max(judged.level));
        let is_bounded = judged.timeout != self.policies.timeout;
        let timeout = match request.timeout {
            Some(wanted) if is_bounded => wanted.min(judged.timeout),
            Some(wanted) => wanted,
            None => judged.timeout,
        };
        let timeout = request.at_most.map_or(timeout, |most| timeout.min(most));
        Judgement { level, timeout, needed: judged.needed.max(request.needed), approvers: judged.approvers }
    }

    /// The request of one key is one, in its run or of its agent.
    fn id_of(&self, request: &Request) -> ApprovalId {
        let Some(key) = &request.key else {
            return ApprovalId::of("once", &uuid::Uuid::new_v4().to_string());
        };
        match &request.run {
            Some(run) => ApprovalId::of(&format!("run {run}"), key),
            None => ApprovalId::of(&format!("agent {}@{}", request.by, self.node()), key),
        }
    }

    fn new_approval(&self, request: &Request, judged: &Judgement) -> Result<NewApproval, GateError> {
        let bad = |reason: String| GateError::BadRequest { reason };
        let name = |text: &str| text.parse::<Name>().map_err(|error| bad(error.to_string()));
        let brief = Brief {
            description: request.description.clone(),
            doing: request.doing.clone(),
            approvers: judged.approvers.clone(),
            form: request.form,
        };
        let at_ms = self.clock.now_ms();
        let waits = i64::try_from(judged.timeout.as_millis()).unwrap_or(i64::MAX);
        Ok(NewApproval {
            run: request.run.clone(),
            by: name(&format!("{}@{}", request.by, self.node()))?,
            action: name(&request.action)?,
            level: name(judged.level.as_str())?,
            payload: payload(&request.action, &request.args.to_string()).map_err(bad)?,
            needed: judged.needed,
            note: serde_json::to_string(&brief).expect("texts are JSON"),
            at_ms,
            expires_ms: at_ms.saturating_add(waits),
        })
    }

    fn wait_for(&mut self, approval: &Approval, request: Request) -> Asked {
        let waiting = self.waiting.entry(approval.id).or_insert_with(|| Waiting {
            expires_ms: approval.expires_ms,
            told: watch::Sender::new(None),
            check: None,
        });
        waiting.check = request.check.or(waiting.check.take());
        let news = waiting.told.subscribe();
        let left = approval.expires_ms.saturating_sub(self.clock.now_ms());
        Asked::Waits { expires_in_ms: u64::try_from(left).unwrap_or(0), news }
    }

    fn announced(&self, of: &Settled) {
        let Settled { approval, events } = of;
        let agent = events.first().map_or("", |asked| asked.actor.as_str());
        let waits = Duration::from_millis(approval.expires_ms.abs_diff(approval.requested_ms));
        tracing::info!(
            target: "audit", approval = %approval.id, action = %approval.action, hash = %approval.action_hash(),
            level = %approval.level, agent, needed = approval.needed, waits_ms = millis(waits),
            "approval is asked for"
        );
        self.tell_news(of);
    }

    /// Nobody had to be asked.
    fn passed(&self, of: &Settled) {
        let Settled { approval, events } = of;
        let agent = events.first().map_or("", |asked| asked.actor.as_str());
        if approval.level.as_str() == Level::Notify.as_str() {
            tracing::info!(
                target: "audit", approval = %approval.id, action = %approval.action, hash = %approval.action_hash(),
                level = %approval.level, agent, "action goes on, and people are told"
            );
            self.tell_news(of);
        } else {
            tracing::debug!(
                target: "audit", approval = %approval.id, action = %approval.action, hash = %approval.action_hash(),
                level = %approval.level, agent, "action goes on without approval"
            );
        }
    }
}
