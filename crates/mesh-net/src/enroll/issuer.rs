//! The side that has the authority's key.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use mesh_proto::{EnrollReply, EnrollRequest, GrantSet};

use super::token::{TokenId, TokenKey};
use super::{Exported, is_proof};
use crate::identity::{Authority, IdentityError, Role, SigningRequest};
use crate::name::check_name;
use crate::told::Told;

/// What a ledger knows of a token that was not used yet.
#[derive(Debug, Clone)]
pub struct TokenOffer {
    /// What proofs are checked with.
    pub key: TokenKey,
    /// Whom it makes.
    pub role: Role,
    /// The name of the certificate; `None` lets the joiner choose one that nobody has.
    pub name: Option<String>,
    /// What a client may do.
    pub grants: GrantSet,
    /// Until when it counts.
    pub expires: SystemTime,
}

/// Where tokens are known, and where it is remembered that they were used.
///
/// Its functions may block; they are called on threads that may.
pub trait TokenLedger: Send + Sync + 'static {
    /// What is known of a token.
    ///
    /// # Errors
    /// [`LedgerError::Unknown`] or [`LedgerError::Used`], or that the ledger can't be read.
    fn find(&self, token: TokenId) -> Result<TokenOffer, LedgerError>;

    /// Uses a token up for the certificate of `name`: **durable before it returns**, and for one caller only, however
    /// many processes try at once.
    ///
    /// # Errors
    /// [`LedgerError::Used`] when another was faster; [`LedgerError::NameTaken`] when the joiner chose a name that
    /// another certificate has, which leaves the token as it was; or that the ledger can't be written: then no
    /// certificate is issued.
    fn burn(&self, token: TokenId, offer: &TokenOffer, name: &str) -> Result<(), LedgerError>;
}

/// Why a ledger gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The token was never made here, or is forgotten since it expired. The joiner's mistake.
    #[error("the token is not known here")]
    Unknown,
    /// The token has made a certificate, or somebody is about to get one. Somebody else may have it: look who.
    #[error("the token was used before: a token is worth one certificate")]
    Used,
    /// The joiner chose a name that another certificate has. The token is as it was: choose another.
    #[error("there is a {name} already: choose another name, or have a token made for this one")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The ledger can't be read or written. Nothing was issued; the machine's fault.
    #[error("the ledger of tokens can't be used: {reason}")]
    Storage {
        /// What the system said.
        reason: String,
    },
}

impl LedgerError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "TOKEN_UNKNOWN",
            Self::Used => "TOKEN_USED",
            Self::NameTaken { .. } => "NAME_TAKEN",
            Self::Storage { .. } => "LEDGER",
        }
    }
}

/// What answers enrolments at an endpoint.
pub trait Registrar: Send + Sync + 'static {
    /// Answers a request that came over a connection with this exported key. It may block.
    fn answer(&self, request: &EnrollRequest, exported: &[u8; 32]) -> EnrollReply;
}

/// Issues certificates for tokens of a ledger.
pub struct Issuer {
    authority: Arc<Authority>,
    ledger: Arc<dyn TokenLedger>,
    refusals: Told,
}

impl Issuer {
    /// Issues by this authority what this ledger allows.
    pub fn new(authority: Arc<Authority>, ledger: Arc<dyn TokenLedger>) -> Self {
        Self { authority, ledger, refusals: Told::default() }
    }

    /// Signs a new certificate (DER) for a node of the mesh, by the one that its connection has proved: the same name,
    /// the same key, more time.
    ///
    /// # Errors
    /// [`IdentityError`] when it is none of this authority's cluster, or the machine can't sign.
    pub fn renew(&self, certificate: &[u8]) -> Result<Vec<u8>, IdentityError> {
        self.authority.renew(certificate)
    }

    fn issue(&self, request: &EnrollRequest, exported: &Exported) -> Result<Vec<u8>, Refusal> {
        let token = TokenId(request.token);
        let offer = self.ledger.find(token)?;
        // First of all: who does not hold the token learns nothing about it.
        if !is_proof(&offer.key, exported, &request.csr, &request.proof) {
            return Err(Refusal::new("BAD_PROOF", "the request was not made by the token's holder"));
        }
        if offer.expires <= SystemTime::now() {
            return Err(Refusal::new("TOKEN_EXPIRED", "the token has expired: have another one made"));
        }
        let signing = SigningRequest::from_der(&request.csr)
            .map_err(|error| Refusal::new("BAD_REQUEST", &error.to_string()))?;
        let name = offer.name.as_deref().unwrap_or(&signing.name);
        check_name(name).map_err(|error| Refusal::new("BAD_NAME", &error.to_string()))?;
        self.ledger.burn(token, &offer, name)?;
        let certificate = self.authority.sign_request(&signing, offer.role, name, &offer.grants);
        let certificate = certificate.map_err(|error| Refusal::new("ISSUE", &error.to_string()))?;
        tracing::info!(target: "audit", %token, role = offer.role.as_str(), name, grants = %offer.grants, "certificate is issued");
        Ok(certificate)
    }
}

impl Registrar for Issuer {
    fn answer(&self, request: &EnrollRequest, exported: &[u8; 32]) -> EnrollReply {
        match self.issue(request, exported) {
            Ok(certificate) => EnrollReply::Issued { certificate },
            Err(Refusal { code, message }) => {
                let token = TokenId(request.token);
                // Anybody who reaches the port can be refused, as often as it likes.
                if let Some(untold) = self.refusals.next() {
                    tracing::warn!(target: "audit", %token, code, reason = message, untold, "enrolment is refused");
                }
                EnrollReply::Refused { code: code.to_owned(), message, elsewhere: Vec::new() }
            }
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("authority", &self.authority).finish_non_exhaustive()
    }
}

struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(code: &'static str, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self::new(error.code(), &error.to_string())
    }
}
