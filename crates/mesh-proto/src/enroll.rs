//! What a machine that joins says to a node that holds the authority's key, and what it hears.
//!
//! One frame each way, on one stream of a connection of its own protocol (`mesh-enroll/1`), whose TLS has shown the
//! joiner that it speaks with the right mesh. The token's secret is never sent: the proof shows that its holder made
//! this request on this very connection.

use bincode::{Decode, Encode};

/// Longest frame of an enrolment: 16 KiB.
pub const ENROLL_BYTES_MAX: usize = 16 * 1024;

/// Asks for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EnrollRequest {
    /// Which token: a hash of its secret.
    pub token: [u8; 16],
    /// The certificate signing request, DER (RFC 2986). Its common name is the wanted name.
    pub csr: Vec<u8>,
    /// HMAC-SHA-256 under a key of the token, over the connection's exported key and the CSR.
    pub proof: [u8; 32],
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EnrollReply {
    /// The certificate, DER. The token is used up.
    Issued {
        /// Signed by the authority that the connection's TLS has shown.
        certificate: Vec<u8>,
    },
    /// No certificate.
    Refused {
        /// Why, for programs: `TOKEN_UNKNOWN`, `TOKEN_USED`, `TOKEN_EXPIRED`, `NAME_TAKEN`, `NO_AUTHORITY`, …
        code: String,
        /// Why, for people.
        message: String,
        /// Nodes that may answer otherwise, HOST:PORT.
        elsewhere: Vec<String>,
    },
}
