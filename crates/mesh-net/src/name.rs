//! Names of clusters, nodes and clients.

/// Longest name in bytes (RFC 1035 §2.3.4: one DNS label).
const NAME_BYTES_MAX: usize = 63;

/// Checks that `name` is one DNS label in lower case: `[a-z0-9-]`, 1 to 63 bytes, no `-` at either end.
///
/// Cluster, node and client names all obey this rule, because they become parts of host names and URIs in
/// certificates, where a dot or a slash would change what the certificate says.
///
/// # Errors
/// [`NameError`] with the offending text.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let well_formed = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if well_formed {
        return Ok(());
    }
    // The text may come from a peer's certificate: quote it, and not without end.
    let name = name.chars().take(NAME_BYTES_MAX).collect::<String>().escape_debug().to_string();
    Err(NameError { name })
}

/// A name that can't stand in a certificate: the caller's (or the certificate issuer's) fault, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" is not a name: use 1 to 63 of a-z, 0-9 and '-', with no '-' at either end")]
#[non_exhaustive]
pub struct NameError {
    /// The refused text, escaped, cut after 63 characters.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_label_is_a_name() {
        for good in ["a", "node-1", "0", &"x".repeat(63)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn whatever_could_change_the_meaning_of_a_certificate_is_no_name() {
        for bad in ["", "-a", "a-", "a.b", "a/b", "A", "é", "a b", "a\0", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
