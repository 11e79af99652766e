//! The rules of what is published.

use super::Publication;
use crate::check_name;
use std::cmp::Reverse;

/// Most capabilities of one actor: 16, the epoch of a placed one included.
pub const CAPABILITIES_MAX: usize = 16;

/// What stands before the epoch in the capability of a placed actor. Users' capabilities never begin so.
const EPOCH: &str = "mesh:epoch:";

const CAPABILITY_BYTES_MAX: usize = 64;

/// The capability that says under which epoch an actor was placed: peers that know nothing of epochs pass it on.
#[must_use]
pub fn epoch_capability(epoch: u64) -> String {
    format!("{EPOCH}{epoch}")
}

impl Publication {
    /// The epoch under which its actor was placed; 0 for an actor that nobody has placed.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        let said = self.capabilities.iter().find_map(|capability| capability.strip_prefix(EPOCH));
        said.and_then(|epoch| epoch.parse().ok()).unwrap_or_default()
    }

    /// In which order the owners of one name come: the highest epoch first; without one, the oldest.
    pub(super) fn rank(&self) -> (Reverse<u64>, u64) {
        let epoch = self.epoch();
        (Reverse(epoch), if epoch > 0 { 0 } else { self.entry.since_ms })
    }
}

/// Checks a capability: 1 to 64 bytes of `a-z A-Z 0-9 . _ - / :`, such as `tool:fetch` or `lang:rust`.
///
/// # Errors
/// The rule that it breaks.
pub fn check_capability(capability: &str) -> Result<(), &'static str> {
    if capability.is_empty() || capability.len() > CAPABILITY_BYTES_MAX {
        return Err("a capability has 1 to 64 bytes");
    }
    if !capability.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte)) {
        return Err("a capability is made of a-z A-Z 0-9 . _ - / and :");
    }
    Ok(())
}

/// Whether a publication keeps the rules of this version.
pub(super) fn is_sound(publication: &Publication) -> bool {
    check_name(&publication.entry.name).is_ok()
        && publication.capabilities.len() <= CAPABILITIES_MAX
        && publication.capabilities.iter().all(|capability| check_capability(capability).is_ok())
}
