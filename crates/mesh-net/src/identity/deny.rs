//! Whom the operator no longer lets in, although the certificate is sound.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::{Credential, Role};
use crate::name::check_name;

/// One identity that is denied.
///
/// Its text is `node/NAME`, `client/NAME`, `serial:HEX` or `sha256:HEX` (the certificate's fingerprint). A name denies
/// every certificate with it, those of tomorrow too; serial and fingerprint deny one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Denied {
    /// Every certificate of this role and name.
    Name(Role, String),
    /// The certificate with this serial number, in lower-case hexadecimal digits.
    Serial(String),
    /// The certificate with this SHA-256.
    Fingerprint([u8; 32]),
}

impl Denied {
    fn matches(&self, credential: &Credential) -> bool {
        match self {
            Self::Name(role, name) => credential.peer.role == *role && credential.peer.name == *name,
            Self::Serial(serial) => credential.serial == *serial,
            Self::Fingerprint(fingerprint) => credential.fingerprint == *fingerprint,
        }
    }
}

impl FromStr for Denied {
    type Err = InvalidDenied;

    fn from_str(text: &str) -> Result<Self, InvalidDenied> {
        let invalid = || InvalidDenied { text: text.chars().take(80).collect() };
        if let Some((role, name)) = text.split_once('/') {
            let role = [Role::Node, Role::Client].into_iter().find(|known| known.as_str() == role);
            check_name(name).map_err(|_| invalid())?;
            return Ok(Self::Name(role.ok_or_else(invalid)?, name.to_owned()));
        }
        let (kind, digits) = text.split_once(':').ok_or_else(invalid)?;
        let digits = digits.replace(':', "").to_ascii_lowercase();
        if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        match kind {
            "serial" => Ok(Self::Serial(digits)),
            "sha256" => from_hex(&digits).map(Self::Fingerprint).ok_or_else(invalid),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(role, name) => write!(f, "{}/{name}", role.as_str()),
            Self::Serial(serial) => write!(f, "serial:{serial}"),
            Self::Fingerprint(fingerprint) => write!(f, "sha256:{}", to_hex(fingerprint)),
        }
    }
}

/// A text that denies nobody; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither node/NAME, client/NAME, serial:HEX nor sha256:HEX")]
#[non_exhaustive]
pub struct InvalidDenied {
    /// What was given, at most its first 80 characters.
    pub text: String,
}

/// Everybody who is denied. Empty, it denies nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList(Vec<Denied>);

impl DenyList {
    /// Denies these.
    pub fn new(denied: impl IntoIterator<Item = Denied>) -> Self {
        Self(denied.into_iter().collect())
    }

    /// The entry that denies this peer, if one does.
    pub fn denies(&self, credential: &Credential) -> Option<&Denied> {
        self.0.iter().find(|denied| denied.matches(credential))
    }

    /// Its entries.
    pub fn iter(&self) -> impl Iterator<Item = &Denied> {
        self.0.iter()
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

pub(crate) fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != N * 2 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[place * 2..place * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;

    #[test]
    fn an_entry_survives_its_text() {
        let fingerprint = format!("sha256:{}", "ab".repeat(32));
        for text in ["node/beta", "client/alice", "serial:0a1b", &fingerprint] {
            assert_eq!(text.parse::<Denied>().unwrap().to_string(), text);
        }
        for text in
            ["", "beta", "peer/beta", "node/", "node/..", "serial:", "serial:xyz", "sha256:ab", "md5:ab"]
        {
            assert!(text.parse::<Denied>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_denies_whom_it_names_and_nobody_else() {
        let authority = Authority::create("farm").unwrap();
        let beta = authority.issue_node("beta").unwrap();
        let other = authority.issue_node("gamma").unwrap();
        let (beta, other) = (beta.credential(), other.credential());
        for text in [
            "node/beta".to_owned(),
            format!("serial:{}", beta.serial),
            format!("sha256:{}", to_hex(&beta.fingerprint)),
        ] {
            let list = DenyList::new([text.parse().unwrap()]);
            assert!(list.denies(beta).is_some(), "{text}");
            assert!(list.denies(other).is_none(), "{text}");
        }
        assert!(DenyList::new(["client/beta".parse().unwrap()]).denies(beta).is_none());
    }
}
