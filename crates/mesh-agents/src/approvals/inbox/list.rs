//! People look at what waits.

use mesh::{Context, Handler};
use mesh_store::{Approval, ApprovalEvent, ApprovalId, ApprovalState};

use super::Inbox;
use crate::approvals::decision::{approvers, said};
use crate::approvals::message::{
    ApprovalDetail, ApprovalRow, Approvals, EventRow, ListApprovals, Refusal, ShowApproval,
};
use crate::approvals::request::{Brief, EditNote, args_of};

/// Characters of the arguments in a list.
const SHOWN_MAX: usize = 200;

impl Handler<ListApprovals> for Inbox {
    async fn handle(
        &mut self,
        ListApprovals { all }: ListApprovals,
        _: &mut Context<Self>,
    ) -> Result<Approvals, Refusal> {
        // What has run out does not wait any more, swept or not.
        self.sweep().await?;
        let mut found = if all { self.store.latest_approvals(1000).await? } else { self.pending().await? };
        if !all {
            found.sort_by_key(|approval| (approval.requested_ms, approval.id));
            found.truncate(1000);
        }
        let mut rows = Vec::with_capacity(found.len());
        for approval in found {
            let events = self.store.approval_events(approval.id).await?;
            rows.push(self.row(&approval, &events));
        }
        Ok(Approvals { approvals: rows })
    }
}

impl Handler<ShowApproval> for Inbox {
    async fn handle(
        &mut self,
        ShowApproval { id }: ShowApproval,
        _: &mut Context<Self>,
    ) -> Result<ApprovalDetail, Refusal> {
        self.sweep().await?;
        let id = parse(&id)?;
        let approval = self.store.approval(id).await.map_err(missing)?;
        let events = self.store.approval_events(id).await?;
        let brief = brief(&events);
        let edits = events.iter().filter(|event| event.what.as_str() == "edited");
        let original = edits.map(|edit| serde_json::from_str::<EditNote>(&edit.note)).next();
        Ok(ApprovalDetail {
            row: self.row(&approval, &events),
            description: brief.description,
            doing: brief.doing,
            args: args_of(&approval.payload).unwrap_or("null").to_owned(),
            original_args: original.and_then(Result::ok).map(|edit| edit.before),
            approvers: brief.approvers,
            approved_by: approvers(&approval, &events),
            events: events.iter().map(event_row).collect(),
        })
    }
}

impl Inbox {
    fn row(&self, approval: &Approval, events: &[ApprovalEvent]) -> ApprovalRow {
        let until = match approval.state {
            ApprovalState::Pending => self.clock.now_ms(),
            _ => events.last().map_or(approval.requested_ms, |last| last.at_ms),
        };
        let is_pending = approval.state == ApprovalState::Pending;
        let expires_in = if is_pending { approval.expires_ms.saturating_sub(until) } else { 0 };
        let args = args_of(&approval.payload).unwrap_or("null");
        ApprovalRow {
            id: approval.id.to_string(),
            node: self.node(),
            agent: events.first().map_or_else(String::new, |asked| asked.actor.to_string()),
            run: approval.run.as_ref().map(ToString::to_string),
            action: approval.action.to_string(),
            args: args.chars().take(SHOWN_MAX).collect(),
            hash: approval.action_hash().to_string(),
            level: approval.level.to_string(),
            state: approval.state.to_string(),
            needed: approval.needed,
            requested_ms: approval.requested_ms,
            waits_ms: u64::try_from(until.saturating_sub(approval.requested_ms)).unwrap_or(0),
            expires_in_ms: u64::try_from(expires_in).unwrap_or(0),
        }
    }
}

fn event_row(event: &ApprovalEvent) -> EventRow {
    let note = match event.what.as_str() {
        "requested" => String::new(),
        _ => said(event),
    };
    EventRow {
        at_ms: event.at_ms,
        by: event.actor.to_string(),
        what: event.what.to_string(),
        hash: event.action_hash.to_string(),
        note,
    }
}

/// What was said when it was asked for.
pub(super) fn brief(events: &[ApprovalEvent]) -> Brief {
    let first = events.first().and_then(|asked| serde_json::from_str(&asked.note).ok());
    first.unwrap_or_default()
}

pub(super) fn parse(id: &str) -> Result<ApprovalId, Refusal> {
    id.parse().map_err(|_| Refusal::new("NO_SUCH_APPROVAL", format!("{id:?} is no id of an approval")))
}

pub(super) fn missing(error: mesh_store::StoreError) -> Refusal {
    match error {
        mesh_store::StoreError::NotFound { id, .. } => {
            Refusal::new("NO_SUCH_APPROVAL", format!("this node knows no approval {id}"))
        }
        other => other.into(),
    }
}
