//! A person answers.

use mesh::{Context, Handler, Sender};
use mesh_store::{
    Answer, Answered, Approval, ApprovalEvent, ApprovalState, ContentHash, Name, StoreError, Verdict,
};

use super::Inbox;
use super::list::{brief, missing, parse};
use crate::approvals::decision::{Settled, approvers};
use crate::approvals::message::{AnswerApproval, AnswerTaken, Refusal, Word};
use crate::approvals::request::{ARGS_BYTES_MAX, Brief, EditNote, Form, args_of, payload};
use crate::approvals::review;

/// What somebody adds to an answer.
const NOTE_BYTES_MAX: usize = 16 << 10;

impl Handler<AnswerApproval> for Inbox {
    async fn handle(
        &mut self,
        answer: AnswerApproval,
        cx: &mut Context<Self>,
    ) -> Result<AnswerTaken, Refusal> {
        let by = self.person(cx.sender(), &answer.id)?;
        let id = parse(&answer.id)?;
        if answer.note.len() > NOTE_BYTES_MAX {
            return Err(Refusal::new("BAD_ANSWER", format!("a note has at most {NOTE_BYTES_MAX} bytes")));
        }
        let approval = self.store.approval(id).await.map_err(missing)?;
        let events = self.store.approval_events(id).await?;
        let brief = brief(&events);
        if let Err(refusal) = may_answer(&by, &brief) {
            tracing::warn!(target: "audit", approval = %id, by = %by, "answer to an approval is denied");
            return Err(refusal);
        }
        let hash: ContentHash = answer
            .hash
            .parse()
            .map_err(|error: mesh_store::InvalidHash| Refusal::new("BAD_ANSWER", error.to_string()))?;
        check_fits(&approval, hash, self.clock.now_ms())?;
        let (verdict, note) = self.verdict(&approval, &brief, answer)?;
        if verdict == Verdict::Approve && approvers(&approval, &events).contains(&by.to_string()) {
            return Err(Refusal::new("ANSWERED", format!("{by} has approved it already")));
        }
        let given = Answer { by, action_hash: hash, verdict, note, at_ms: self.clock.now_ms() };
        let answered = self.store.answer_approval(id, given).await.map_err(|error| match error {
            // Somebody was faster.
            StoreError::Conflict { reason, .. } => Refusal::new("NOT_PENDING", reason),
            other => other.into(),
        })?;
        let (approval, missing) = match answered {
            Answered::Decided(approval) => (approval, 0),
            Answered::Counted(approval, missing) => (approval, missing),
        };
        let of = Settled { events: self.store.approval_events(id).await?, approval };
        let taken = AnswerTaken {
            state: of.approval.state.to_string(),
            missing,
            hash: of.approval.action_hash().to_string(),
        };
        self.note(of);
        Ok(taken)
    }
}

impl Inbox {
    /// Who it is that answers: a client, by its certificate. What other actors say, on this node or on any other, is what
    /// models and tools make them say, and no answer.
    fn person(&self, sender: Option<&Sender>, id: &str) -> Result<Name, Refusal> {
        let from = sender.and_then(|sender| sender.node.as_deref());
        if let Some(name) = from.filter(|from| from.starts_with("client/")) {
            return name
                .parse()
                .map_err(|error: mesh_store::InvalidName| Refusal::new("DENIED", error.to_string()));
        }
        let from = from.unwrap_or("this node");
        tracing::warn!(target: "audit", approval = id, from, "an actor tried to answer an approval");
        Err(Refusal::new("DENIED", format!("an actor of {from} cannot answer: only people can, as clients")))
    }

    /// The answer as the store takes it, with what is kept of it.
    fn verdict(
        &self,
        approval: &Approval,
        brief: &Brief,
        answer: AnswerApproval,
    ) -> Result<(Verdict, String), Refusal> {
        let args = match (answer.verdict, answer.args) {
            (Word::Approve, None) => return Ok((Verdict::Approve, answer.note)),
            (Word::Reject, None) => return Ok((Verdict::Reject, answer.note)),
            (Word::Edit, Some(args)) => args,
            (Word::Edit, None) => return Err(Refusal::new("BAD_ANSWER", "an edit says the new arguments")),
            (Word::Approve | Word::Reject, Some(_)) => {
                return Err(Refusal::new("BAD_ANSWER", "only an edit has arguments"));
            }
        };
        let bad = |reason: String| Refusal::new("BAD_EDIT", reason);
        if args.len() > ARGS_BYTES_MAX {
            return Err(bad(format!("the arguments have more than {ARGS_BYTES_MAX} bytes")));
        }
        let value = serde_json::from_str(&args).map_err(|error| bad(format!("they are no JSON: {error}")))?;
        let before = args_of(&approval.payload).unwrap_or("null");
        if brief.form == Form::Review {
            review::check_edit(before, &value).map_err(bad)?;
        }
        // Who waits for it knows what its arguments may be. Where nobody does now, it is looked at before it is used.
        if let Some(check) = self.waiting.get(&approval.id).and_then(|waiting| waiting.check.clone()) {
            check(&value).map_err(bad)?;
        }
        let note = EditNote { said: answer.note, before: before.to_owned() };
        let note = serde_json::to_string(&note).expect("texts are JSON");
        Ok((Verdict::ApproveEdited(payload(approval.action.as_str(), &args).map_err(bad)?), note))
    }

    /// Keeps a record of an answer that counted.
    fn note(&mut self, of: Settled) {
        if of.approval.state != ApprovalState::Pending {
            return self.settle(of);
        }
        let last: Option<&ApprovalEvent> = of.events.last();
        let (by, what) = last.map_or(("", ""), |last| (last.actor.as_str(), last.what.as_str()));
        tracing::info!(
            target: "audit", approval = %of.approval.id, action = %of.approval.action,
            hash = %of.approval.action_hash(), by, what, "approval needs more answers"
        );
    }
}

fn may_answer(by: &Name, brief: &Brief) -> Result<(), Refusal> {
    let Some(approvers) = &brief.approvers else { return Ok(()) };
    let name = by.as_str().trim_start_matches("client/");
    if approvers.iter().any(|approver| approver == name) {
        return Ok(());
    }
    let message = format!("{by} is none of those who may answer this: {}", approvers.join(", "));
    Err(Refusal::new("DENIED", message))
}

/// The store looks once more, when it counts.
fn check_fits(approval: &Approval, hash: ContentHash, now_ms: i64) -> Result<(), Refusal> {
    if approval.state != ApprovalState::Pending {
        return Err(Refusal::new("NOT_PENDING", format!("it is {} already", approval.state)));
    }
    if now_ms >= approval.expires_ms {
        return Err(Refusal::new("NOT_PENDING", "its time is over, which is a no"));
    }
    if hash != approval.action_hash() {
        return Err(Refusal::new("OTHER_ACTION", "the action is not the one that was seen; look again"));
    }
    Ok(())
}
