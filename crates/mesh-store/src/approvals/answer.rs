//! Answering: of several who answer at once, each is counted once, and one of them decides.

use bytes::Bytes;

use super::event::{all, record};
use super::{Approval, ApprovalState, LOCK, check_payload, find, update};
use crate::tx::{Operation, Tx};
use crate::{ApprovalId, ContentHash, Name, Store, StoreError};

/// What somebody says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Do it.
    Approve,
    /// Do this instead. Approvals of what it was before no longer count, and this is the first of the new.
    ApproveEdited(Bytes),
    /// Do not. One such answer decides.
    Reject,
}

/// An answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who gives it.
    pub by: Name,
    /// The hash of the action that they saw.
    pub action_hash: ContentHash,
    /// What they say.
    pub verdict: Verdict,
    /// What they add, at most 1 MiB.
    pub note: String,
    /// Now, in milliseconds since 1970.
    pub at_ms: i64,
}

/// What an answer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It decided the request. Of all answers to a request this is said to one.
    Decided(Approval),
    /// It was counted; this many more must approve.
    Counted(Approval, u32),
}

impl Store {
    /// Answers a request.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], with nothing changed, if the request is decided, its time is over, the action is not
    /// the one that was seen, or the same person approved it before; [`StoreError::NotFound`];
    /// [`StoreError::TooLarge`].
    pub async fn answer_approval(&self, id: ApprovalId, answer: Answer) -> Result<Answered, StoreError> {
        crate::journal::check_size("note", answer.note.len(), crate::ENTRY_BYTES_MAX)?;
        if let Verdict::ApproveEdited(payload) = &answer.verdict {
            check_payload(payload)?;
        }
        self.change(Give { id, answer }).await
    }
}

struct Give {
    id: ApprovalId,
    answer: Answer,
}

impl Operation for Give {
    type Output = Answered;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Answered, StoreError> {
        let Answer { by, verdict, note, at_ms, .. } = &self.answer;
        let mut approval = find(tx, LOCK, self.id).await?;
        self.check(&approval)?;
        let what = match verdict {
            Verdict::Approve => "approved",
            Verdict::ApproveEdited(payload) => {
                approval.payload = payload.clone();
                "edited"
            }
            Verdict::Reject => {
                approval.state = ApprovalState::Rejected;
                "rejected"
            }
        };
        let before = self.approvers(tx, &approval).await?;
        if *verdict == Verdict::Approve && before.contains(by) {
            return Err(StoreError::conflict("approval", &self.id, format!("{by} approved it already")));
        }
        record(tx, &mut approval, by, (what, note), *at_ms).await?;
        let given =
            u32::try_from(before.iter().filter(|other| *other != by).count()).unwrap_or(u32::MAX - 1) + 1;
        if approval.state == ApprovalState::Pending && given >= approval.needed {
            approval.state = ApprovalState::Approved;
        }
        update(tx, &approval).await?;
        Ok(match approval.state {
            ApprovalState::Pending => {
                let missing = approval.needed - given;
                Answered::Counted(approval, missing)
            }
            ApprovalState::Approved | ApprovalState::Rejected | ApprovalState::Expired => {
                Answered::Decided(approval)
            }
        })
    }
}

impl Give {
    fn check(&self, approval: &Approval) -> Result<(), StoreError> {
        let refuse = |reason: String| Err(StoreError::conflict("approval", &self.id, reason));
        if approval.state != ApprovalState::Pending {
            return refuse(format!("it is {} already", approval.state));
        }
        if self.answer.at_ms >= approval.expires_ms {
            return refuse("its time is over".to_owned());
        }
        if self.answer.action_hash != approval.action_hash() {
            return refuse("the action is not the one that was seen".to_owned());
        }
        Ok(())
    }

    /// Who approved the action as it is now.
    async fn approvers<T: Tx>(&self, tx: &mut T, approval: &Approval) -> Result<Vec<Name>, StoreError> {
        let hash = approval.action_hash();
        let mut approvers = Vec::new();
        for event in all(tx, approval).await? {
            if event.action_hash != hash {
                // What was said before it became another action was about that.
                approvers.clear();
            } else if ["approved", "edited"].contains(&event.what.as_str())
                && !approvers.contains(&event.actor)
            {
                approvers.push(event.actor);
            }
        }
        Ok(approvers)
    }
}
