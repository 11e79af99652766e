//! A secret that is worth one certificate.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::identity::{Authority, IdentityError, Role, from_hex, sha256, to_hex};

const PREFIX: &str = "mesh1-";
const SECRET_BYTES: usize = 32;
const SUM_BYTES: usize = 4;
/// Role, expiry, hash of the authority's key, secret, check sum.
const BYTES: usize = 1 + 8 + 32 + SECRET_BYTES + SUM_BYTES;
const ID_LABEL: &[u8] = b"mesh-enroll/1 token id";
const KEY_LABEL: &[u8] = b"mesh-enroll/1 token key";

/// What lets one machine, or one client, have one certificate.
///
/// Its text is `mesh1-` and 103 characters of base64url: whom the token makes, until when it counts, the SHA-256 of the
/// authority's public key, a secret, and a check sum against slips of the hand. **Whoever reads it can use it.** The
/// secret is wiped from memory when the token is dropped, and `Debug` does not show it.
pub struct JoinToken {
    role: Role,
    expires_s: u64,
    authority: [u8; 32],
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl JoinToken {
    /// Makes a token for a certificate of this authority. It counts once a ledger knows it.
    ///
    /// # Errors
    /// [`IdentityError::Signing`] when the machine gives no random numbers.
    pub fn create(authority: &Authority, role: Role, ttl: Duration) -> Result<Self, IdentityError> {
        let failed = |_| IdentityError::Signing { reason: "the machine gives no random numbers".to_owned() };
        let secret: [u8; SECRET_BYTES] =
            ring::rand::generate(&ring::rand::SystemRandom::new()).map_err(failed)?.expose();
        let expires_s = seconds(SystemTime::now() + ttl);
        Ok(Self { role, expires_s, authority: authority.key_hash(), secret: Zeroizing::new(secret) })
    }

    /// Whom it makes.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Until when it counts, to the second. What the ledger says of it is what holds.
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.expires_s)
    }

    /// The SHA-256 of the public key of the authority that it is for.
    pub fn authority(&self) -> &[u8; 32] {
        &self.authority
    }

    /// Its name in ledgers and logs, from which the secret can't be found.
    pub fn id(&self) -> TokenId {
        let digest = sha256(&self.labelled(ID_LABEL));
        TokenId(*digest.first_chunk().expect("a SHA-256 digest has 32 bytes"))
    }

    /// What the issuing side keeps to check proofs with.
    pub fn key(&self) -> TokenKey {
        TokenKey(Zeroizing::new(sha256(&self.labelled(KEY_LABEL))))
    }

    /// The token as people hand it on. A secret, wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
        bytes.push(match self.role {
            Role::Node => 0,
            Role::Client => 1,
        });
        bytes.extend_from_slice(&self.expires_s.to_be_bytes());
        bytes.extend_from_slice(&self.authority);
        bytes.extend_from_slice(self.secret.as_slice());
        let sum = sha256(&bytes);
        bytes.extend_from_slice(&sum[..SUM_BYTES]);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + BYTES * 4 / 3 + 3));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }

    fn labelled(&self, label: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([label, self.secret.as_slice()].concat())
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidToken::Prefix)?;
        let wanted = (BYTES * 4).div_ceil(3);
        if digits.len() != wanted {
            return Err(InvalidToken::Length { is: text.len(), wanted: wanted + PREFIX.len() });
        }
        let mut bytes = Zeroizing::new([0; BYTES]);
        let decoded = URL_SAFE_NO_PAD.decode_slice(digits, bytes.as_mut_slice());
        if decoded != Ok(BYTES) {
            return Err(InvalidToken::Digits);
        }
        let (content, sum) = bytes.split_at(BYTES - SUM_BYTES);
        if sha256(content)[..SUM_BYTES] != *sum {
            return Err(InvalidToken::Sum);
        }
        let role = match content[0] {
            0 => Role::Node,
            1 => Role::Client,
            _ => return Err(InvalidToken::Role),
        };
        let part = |from: usize, to: usize| &content[from..to];
        Ok(Self {
            role,
            expires_s: u64::from_be_bytes(part(1, 9).try_into().expect("eight bytes were cut out")),
            authority: part(9, 41).try_into().expect("32 bytes were cut out"),
            secret: Zeroizing::new(part(41, 73).try_into().expect("32 bytes were cut out")),
        })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("id", &self.id())
            .field("role", &self.role)
            .field("expires_s", &self.expires_s)
            .finish_non_exhaustive()
    }
}

/// A text that is no token. It was mistyped, cut, or is something else; nothing of it is repeated here, since it may be
/// most of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It is something else.
    #[error("a join token begins with mesh1-")]
    Prefix,
    /// Something is missing, or too much.
    #[error("a join token has {wanted} characters, this one {is}: was it cut?")]
    Length {
        /// How many it has.
        is: usize,
        /// How many it should have.
        wanted: usize,
    },
    /// A character that stands in no token.
    #[error("a join token is made of letters, digits, - and _")]
    Digits,
    /// One character at least is wrong.
    #[error("the join token's check sum is wrong: was it mistyped?")]
    Sum,
    /// It is of a later version.
    #[error("the join token is for something that this version does not know")]
    Role,
}

/// A token's name in ledgers and logs. Its text is 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub(crate) [u8; 16]);

impl TokenId {
    /// Reads what `Display` wrote.
    pub fn from_hex(digits: &str) -> Option<Self> {
        from_hex(digits).map(Self)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// What proofs of a token are checked with. A secret as the token is: who has it can enrol. `Debug` hides it.
#[derive(Clone)]
pub struct TokenKey(Zeroizing<[u8; 32]>);

impl TokenKey {
    /// Reads what [`to_hex`](Self::to_hex) wrote.
    pub fn from_hex(digits: &str) -> Option<Self> {
        from_hex(digits).map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The key as text, for a ledger that only its owner can read.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(to_hex(self.0.as_slice()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        let authority = Authority::create("farm").unwrap();
        JoinToken::create(&authority, Role::Client, Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_token_survives_its_text() {
        let token = token();
        let again: JoinToken = format!(" {}\n", *token.to_text()).parse().unwrap();
        assert_eq!((again.id(), again.role(), again.expires()), (token.id(), token.role(), token.expires()));
        assert_eq!(again.authority(), token.authority());
        assert_eq!(again.key().to_hex(), token.key().to_hex());
    }

    #[test]
    fn a_slip_of_the_hand_is_told() {
        let text = token().to_text().to_string();
        let parse = |text: &str| text.parse::<JoinToken>().unwrap_err();
        assert_eq!(parse("hello"), InvalidToken::Prefix);
        assert!(matches!(parse(&text[..50]), InvalidToken::Length { is: 50, .. }));
        assert_eq!(parse(&format!("{}!", &text[..text.len() - 1])), InvalidToken::Digits);
        let other = if text.as_bytes()[30] == b'A' { "B" } else { "A" };
        assert_eq!(parse(&format!("{}{other}{}", &text[..30], &text[31..])), InvalidToken::Sum);
    }

    #[test]
    fn debug_output_and_errors_never_show_a_secret() {
        let token = token();
        let text = token.to_text();
        let shown = format!("{token:?} {:?} {}", token.key(), token.id());
        let secret = to_hex(token.secret.as_slice());
        for part in [&text[40..60], &secret[..16], &token.key().to_hex()[..16]] {
            assert!(!shown.contains(part), "{shown}");
        }
        let error = text[..80].parse::<JoinToken>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&text[40..60]));
    }
}
