//! One limit for the whole mesh.
//!
//! ```text
//!  LimitGrantor   NODE/limits/KEY: an actor that splits one limit (LeaseTable)
//!      ▲  limit.lease.v1: what I could use, what I spent      │ a share, for a term
//!      │                                                      ▼
//!  MeshLimiter    on each node that calls the provider: reserve ─► the call ─► settle
//! ```
//!
//! Each node asks for a new share when a third of its term is over, and uses nothing once the term has passed without one. So
//! the shares never add up to more than the limit, whoever is cut off or dead: a dead node's share is others' when its term
//! is over, and on either side of a partition each keeps to the share that it has, until that runs out.
//!
//! What one node hears with a 429 holds for all: it is told to the grantor at once, and the others hear of it with their
//! next share.
//!
//! This module calls no provider.

mod grantor;
mod mesh_limiter;
mod message;

pub use grantor::{Before, LimitGrantor, PublishLimitError};
pub use mesh_limiter::{MeshLimiter, OpenLimitError};
pub use message::{AskLease, GiveBack, LeaseRow, ShareRow, TellPenalty};
