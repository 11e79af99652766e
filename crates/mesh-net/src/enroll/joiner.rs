//! The side that wants a certificate.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use mesh_proto::{EnrollReply, EnrollRequest};

use super::{JoinToken, proof};
use crate::endpoint::{BindError, ConnectError};
use crate::identity::{Identity, IdentityError, SigningRequest, pem_of_certificate};
use crate::quic::joining::Joining;

/// How long an enrolment may take: 10 s. It is one handshake and one fsync.
const ENROLL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no certificate came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrollError {
    /// The token's time is over, by this machine's clock. Nothing was sent; have another one made.
    #[error("the join token has expired: have another one made")]
    Expired,
    /// The node at that address can't be reached, or it is of another mesh than the token. The token is not used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// This machine gives no socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The node said no; `code` says why, and whether another token is needed.
    #[error("{message}{}", listed(.elsewhere))]
    Refused {
        /// `TOKEN_UNKNOWN`, `TOKEN_USED`, `TOKEN_EXPIRED`, `NAME_TAKEN`, `NO_AUTHORITY`, …
        code: String,
        /// Why, in the node's words.
        message: String,
        /// Nodes that may answer otherwise, HOST:PORT.
        elsewhere: Vec<String>,
    },
    /// The connection broke before the answer was there. **The token may be used up**: look at the issuing node's log.
    #[error("the connection broke before the answer came ({reason}); the token may be used up")]
    Lost {
        /// How it broke.
        reason: String,
    },
    /// The certificate that came is not what was asked for. The token is used up; the issuing node is not sound.
    #[error("the certificate that came can't be used")]
    Certificate(#[from] IdentityError),
}

fn listed(elsewhere: &[String]) -> String {
    if elsewhere.is_empty() { String::new() } else { format!(": try {}", elsewhere.join(", ")) }
}

/// Has a certificate issued for a key that is made here: by the node at `addr`, for this token, as `name`.
///
/// The key never leaves this process before the caller stores it. If the token is for a certain name, that is what the
/// certificate has. `name` obeys [`check_name`](crate::check_name).
///
/// # Errors
/// [`EnrollError`], at the latest after 10 s. It says what has become of the token.
///
/// # Cancel safety
/// Dropped, it may have used the token up.
///
/// # Panics
/// Outside of a tokio runtime with its I/O and time drivers on.
pub async fn enroll(addr: SocketAddr, token: &JoinToken, name: &str) -> Result<Identity, EnrollError> {
    if token.expires() <= SystemTime::now() {
        return Err(EnrollError::Expired);
    }
    let (csr, key) = SigningRequest::create(name)?;
    let joining = tokio::time::timeout(ENROLL_TIMEOUT, Joining::connect(addr, *token.authority()));
    let joining = joining.await.unwrap_or(Err(EnrollError::Connect(ConnectError::TimedOut { addr })))?;
    let proof = proof(&token.key(), &joining.exported, &csr);
    let proof = proof.as_ref().try_into().expect("an HMAC-SHA-256 tag has 32 bytes");
    let request = EnrollRequest { token: token.id().0, csr, proof };
    let answered = tokio::time::timeout(ENROLL_TIMEOUT, joining.ask(&request)).await;
    let lost = |reason: String| EnrollError::Lost { reason };
    match answered.unwrap_or_else(|_elapsed| Err("it took too long".to_owned())).map_err(lost)? {
        EnrollReply::Issued { certificate } => {
            let cert = pem_of_certificate(&certificate);
            let identity = Identity::from_pem(&pem_of_certificate(&joining.authority), &cert, &key)?;
            let is = identity.peer_id();
            if is.role != token.role() || is.cluster != joining.cluster {
                return Err(IdentityError::Certificate { reason: format!("it is for {is}") }.into());
            }
            Ok(identity)
        }
        EnrollReply::Refused { code, message, elsewhere } => {
            Err(EnrollError::Refused { code, message, elsewhere })
        }
    }
}
