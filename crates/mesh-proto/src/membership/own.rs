//! What a node is when it starts, and why it cannot.

use super::{MembershipConfigError, Profile, ProfileError, identity::ADDR_BYTES_MAX};
use crate::{Boot, NodeId};
use std::sync::Arc;

/// What a node is, at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The node, by its own certificate.
    pub node: NodeId,
    /// This run of its process: larger than that of any run before, or others will not believe in this one
    /// ([`super::Action::Superseded`]).
    pub boot: Boot,
    /// What others are to dial: `HOST:PORT`, at most 259 bytes.
    pub addr: Arc<str>,
    /// What it says of itself.
    pub profile: Profile,
}

/// Why there is no machine. The caller's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// Settings are out of range.
    #[error("settings of membership are out of range")]
    Config {
        /// Which.
        #[source]
        error: MembershipConfigError,
    },
    /// Others would not take this profile.
    #[error("the profile breaks a rule")]
    Profile {
        /// Which.
        #[source]
        error: ProfileError,
    },
    /// The address is too long for any DNS name.
    #[error("an address of {bytes} bytes is longer than {ADDR_BYTES_MAX}")]
    Addr {
        /// How long it is.
        bytes: usize,
    },
}
