//! Approvals as agents and people meet them: nodes with a store, and clients with certificates.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod answers;
mod calls;
mod desk;
mod entitled;
mod reviews;
mod waiting;
