//! Approvals as agents and people meet them: nodes with a store, and clients with certificates.

mod answers;
mod desk;
mod entitled;
mod reviews;
mod waiting;
