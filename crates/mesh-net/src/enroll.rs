//! How a machine gets its first certificate: by a token, once.
//!
//! ```text
//! joiner                                       node that holds the authority's key
//!   JoinToken: hash of the authority's key,
//!   secret, role, expiry
//!   ───── QUIC, ALPN mesh-enroll/1, no client certificate ─────▶
//!   the chain shown must end in a key of that hash
//!   ── EnrollRequest { token id, CSR, HMAC(exported key, CSR) } ─▶   find the token, check the HMAC
//!                                                                   burn it durably: TokenLedger::burn
//!   ◀────────────────── EnrollReply::Issued { certificate } ───    only then sign
//! ```
//!
//! The secret stays with its holder: the proof is bound to this one connection by the key that TLS exports
//! (RFC 8446 §7.5), so nobody in between can use it on another. Whoever comes second with a token is refused, also
//! after a `kill -9` of the issuing process: a token that is burned without a certificate is lost, and another one has
//! to be made.
//!
//! This module opens no files: what must be durable is [`TokenLedger`]'s.

mod issuer;
mod joiner;
mod token;

use ring::hmac;

pub use issuer::{Issuer, LedgerError, Registrar, TokenLedger, TokenOffer};
pub use joiner::{EnrollError, enroll};
pub use token::{InvalidToken, JoinToken, TokenId, TokenKey};

/// The protocol's name in the handshake.
pub(crate) const ALPN: &[u8] = b"mesh-enroll/1";

/// The label of the key that TLS exports for the proof.
pub(crate) const EXPORT_LABEL: &[u8] = b"EXPORTER-mesh-enroll/1";

/// What TLS exports for one connection: both of its ends know it, and nobody else does.
pub(crate) type Exported = [u8; 32];

fn proof(key: &TokenKey, exported: &Exported, csr: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
    context.update(exported);
    context.update(csr);
    context.sign()
}

fn is_proof(key: &TokenKey, exported: &Exported, csr: &[u8], proof: &[u8; 32]) -> bool {
    let message = [exported.as_slice(), csr].concat();
    // Compares in constant time.
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), &message, proof).is_ok()
}
