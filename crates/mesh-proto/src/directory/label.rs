//! The rules of what is published.

use super::Publication;
use crate::check_name;

/// Most capabilities of one actor: 16.
pub const CAPABILITIES_MAX: usize = 16;

const CAPABILITY_BYTES_MAX: usize = 64;

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
