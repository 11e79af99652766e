//! Approvals by people: what an agent may not do on its own.
//!
//! ```text
//!  agent ── Gate::ask ──► NODE/approvals ──► store          written before anybody is asked
//!    ▲                        │   ▲
//!    └── Permit or Denial ◄───┘   └── approve, edit, reject     by clients with the grant approve:NODE/approvals
//! ```
//!
//! - [`Policies`] say which actions people look at, and how closely: patterns over the action's name, of which the
//!   strictest counts.
//! - A request is kept in the node's store until it is decided or its time is over, which is a no. It survives every
//!   process; who asks again under the same [key](Request::key) goes on with it.
//! - An answer is about the hash of exactly one action with its arguments. It comes from a person: a client of the mesh,
//!   known by its certificate. Whatever an agent, a tool or a model says is none.
//! - Of several answers one decides; with a [quorum](Request::quorum) as many different people as are needed.
//! - [`Review`] and [`StagedReview`] are the same for work in items, each with a verdict of its own.
//! - A gate is the [`Approver`](crate::tools::Approver) of tools, and [`Policed`] a hook that wants an approval where a
//!   policy names the tool.
//!
//! This module does not run tools, and it does not know why something is dangerous.

mod calls;
mod clock;
mod decision;
mod gate;
mod inbox;
mod level;
mod message;
mod pattern;
mod policy;
mod request;
pub mod review;

pub use calls::Policed;
pub use decision::{Decision, Denial, GateError, NotDone, NotPermitted, Permit};
pub use gate::Gate;
pub use inbox::Inbox;
pub use level::Level;
pub use message::{
    AnswerApproval, AnswerTaken, ApprovalDetail, ApprovalNews, ApprovalRow, Approvals, EventRow,
    ListApprovals, Refusal, ShowApproval, TOPIC, Word,
};
pub use pattern::{InvalidPattern, Pattern};
pub use policy::{Judgement, Policies, Policy, TIMEOUT};
pub use request::{ARGS_BYTES_MAX, Check, Request, TIMEOUT_MAX, action_hash};
pub use review::{Review, StagedReview};
