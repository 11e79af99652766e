//! What one says to `NODE/approvals`, and what it says. All of it needs the grant `approve:NODE/approvals`.

use mesh::{Message, Retry, Verb, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for the requests that the node knows: `approvals.list.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListApprovals {
    /// Not only what waits, but the latest thousand of all that was asked, with what became of it.
    #[serde(default)]
    pub all: bool,
}

/// The requests that a node knows: those that wait, or the latest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Approvals {
    /// One row for each: what waits, the longest first; or all, the newest first.
    pub approvals: Vec<ApprovalRow>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRow {
    /// Its id, the same everywhere.
    pub id: String,
    /// The node that keeps it.
    pub node: String,
    /// Who asks, as `ops@beta`.
    pub agent: String,
    /// The run that waits for it, if one does.
    pub run: Option<String>,
    /// What is to be done.
    pub action: String,
    /// With which arguments: JSON, cut after 200 characters.
    pub args: String,
    /// The hash of the action with all of its arguments: what an answer is about.
    pub hash: String,
    /// `none`, `notify`, `confirm` or `review`.
    pub level: String,
    /// `pending`, `approved`, `rejected` or `expired`.
    pub state: String,
    /// How many must approve.
    pub needed: u32,
    /// When it was asked, in milliseconds since 1970.
    pub requested_ms: i64,
    /// For how long it has waited, or waited until it was settled.
    pub waits_ms: u64,
    /// In how long it counts as denied; 0 for what does not wait.
    pub expires_in_ms: u64,
}

impl Message for ListApprovals {
    type Reply = Result<Approvals, Refusal>;
}

impl WireMessage for ListApprovals {
    const KIND: &'static str = "approvals.list.v1";
    const VERB: Option<Verb> = Some(Verb::Approve);
}

/// Asks for all that is known of a request: `approvals.show.v1`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowApproval {
    /// The whole id.
    pub id: String,
}

/// All that is known of a request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDetail {
    /// As it is listed.
    pub row: ApprovalRow,
    /// What it is for.
    pub description: String,
    /// What the agent was doing.
    pub doing: String,
    /// The arguments, JSON: exactly as they will be used.
    pub args: String,
    /// The arguments before they were edited, if they were.
    pub original_args: Option<String>,
    /// Who may answer; none is everybody who has the grant.
    pub approvers: Option<Vec<String>>,
    /// Who approved it as it is now.
    pub approved_by: Vec<String>,
    /// What happened to it, in order.
    pub events: Vec<EventRow>,
}

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRow {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who did it: an agent, `client/NAME`, `policy` or `clock`.
    pub by: String,
    /// `requested`, `approved`, `edited`, `rejected` or `expired`.
    pub what: String,
    /// The hash that it was about; of an edit, the new one.
    pub hash: String,
    /// What was said.
    pub note: String,
}

impl Message for ShowApproval {
    type Reply = Result<ApprovalDetail, Refusal>;
}

impl WireMessage for ShowApproval {
    const KIND: &'static str = "approvals.show.v1";
    const VERB: Option<Verb> = Some(Verb::Approve);
}

/// A person's answer: `approvals.answer.v1`. Who gives it is in the certificate of the client that sends it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerApproval {
    /// The whole id.
    pub id: String,
    /// The hash of the action that was seen. If it is another by now, the answer does not count.
    pub hash: String,
    /// What they say.
    pub verdict: Word,
    /// With `edit`: the arguments that may be used instead, JSON.
    #[serde(default)]
    pub args: Option<String>,
    /// What they add, at most 16 KiB.
    #[serde(default)]
    pub note: String,
}

/// What somebody says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Do it.
    Approve,
    /// Do it with other arguments, and not with those that were asked for.
    Edit,
    /// Do not.
    Reject,
}

/// What an answer did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerTaken {
    /// Where the request stands now.
    pub state: String,
    /// How many more must approve; 0 once it is decided.
    pub missing: u32,
    /// The hash of what was decided on.
    pub hash: String,
}

impl Message for AnswerApproval {
    type Reply = Result<AnswerTaken, Refusal>;

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.args.as_ref().map_or(0, String::len) + self.note.len()
    }
}

impl WireMessage for AnswerApproval {
    const KIND: &'static str = "approvals.answer.v1";
    const VERB: Option<Verb> = Some(Verb::Approve);
}

/// Why the inbox did not do what it was asked. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// `NO_SUCH_APPROVAL`; `DENIED`: this one may not answer; `NOT_PENDING`: it is decided, or its time is over;
    /// `OTHER_ACTION`: the action is not the one that was seen; `ANSWERED`: the same person approved it before;
    /// `BAD_EDIT`: the edited arguments cannot be used; `BAD_ANSWER`; and the codes of the store's errors.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Whether the same may be done later.
    pub retry: Retry,
    /// Whether it may have been done in spite of the error.
    pub may_have_run: bool,
}

impl Refusal {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry: Retry::Never, may_have_run: false }
    }
}

impl From<mesh_store::StoreError> for Refusal {
    fn from(error: mesh_store::StoreError) -> Self {
        let retry = if error.is_transient() { Retry::Backoff } else { Retry::Never };
        let may_have_run = error.may_have_been_written();
        Self { retry, may_have_run, ..Self::new(error.code(), error.to_string()) }
    }
}

/// What is published on the topic [`TOPIC`] when a request is made or settled: `approvals.news.v1`. It says nothing of
/// the arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalNews {
    /// The request.
    pub id: String,
    /// The node that keeps it.
    pub node: String,
    /// Who asks, as `ops@beta`.
    pub agent: String,
    /// What is to be done.
    pub action: String,
    /// `none`, `notify`, `confirm` or `review`.
    pub level: String,
    /// `pending`, `approved`, `rejected` or `expired`.
    pub state: String,
}

/// The topic of [`ApprovalNews`].
pub const TOPIC: &str = "approvals";

impl Message for ApprovalNews {
    type Reply = ();
}

impl WireMessage for ApprovalNews {
    const KIND: &'static str = "approvals.news.v1";
}
