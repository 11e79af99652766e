//! Connections of machines that have no certificate yet, at the node that they ask.

use std::sync::Arc;
use std::time::Duration;

use mesh_proto::{ENROLL_BYTES_MAX, EnrollReply, EnrollRequest, decode_frame, encode_frame};
use parking_lot::RwLock;
use quinn::{Incoming, VarInt};
use tokio::time::timeout;

use super::joining::MARK;
use crate::enroll::{EXPORT_LABEL, Exported, Registrar};

/// Enrolments that may be in progress at once: 8. More are refused, and try again.
pub(super) const ENROLMENTS_MAX: usize = 8;
/// How long one may take, with the ledger's fsync: 10 s.
const ENROLMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// What answers enrolments, once somebody has said what does.
#[derive(Clone)]
pub(super) struct Enrolling {
    config: Arc<quinn::ServerConfig>,
    registrar: Arc<RwLock<Option<Arc<dyn Registrar>>>>,
}

impl Enrolling {
    pub(super) fn new(config: quinn::ServerConfig) -> Self {
        Self { config: Arc::new(config), registrar: Arc::default() }
    }

    pub(super) fn set(&self, registrar: Arc<dyn Registrar>) {
        *self.registrar.write() = Some(registrar);
    }

    /// Whether a caller wants to enrol: it says so before anything else.
    pub(super) fn is_meant(incoming: &Incoming) -> bool {
        incoming.orig_dst_cid().starts_with(MARK)
    }

    /// Serves one enrolment from its first packet to its end.
    pub(super) async fn serve(self, incoming: Incoming) {
        let addr = incoming.remote_address();
        match timeout(ENROLMENT_TIMEOUT, self.converse(incoming)).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => tracing::info!(%addr, reason, "enrolment broke off"),
            Err(_elapsed) => tracing::info!(%addr, "enrolment took too long"),
        }
    }

    async fn converse(&self, incoming: Incoming) -> Result<(), String> {
        let said = |error: &dyn std::error::Error| error.to_string();
        let connecting = incoming.accept_with(Arc::clone(&self.config)).map_err(|error| said(&error))?;
        let connection = connecting.await.map_err(|error| said(&error))?;
        let mut exported = Exported::default();
        connection
            .export_keying_material(&mut exported, EXPORT_LABEL, b"")
            .map_err(|_| "TLS exports no key".to_owned())?;
        let (mut send, mut receive) = connection.accept_bi().await.map_err(|error| said(&error))?;
        let request = receive.read_to_end(ENROLL_BYTES_MAX).await.map_err(|error| said(&error))?;
        let request: EnrollRequest = decode_frame(&request).map_err(|error| said(&error))?;
        let reply = self.answer(request, exported).await;
        let mut frame = Vec::new();
        encode_frame(&reply, &mut frame);
        send.write_all(&frame).await.map_err(|error| said(&error))?;
        send.finish().map_err(|error| said(&error))?;
        // The joiner closes when it has read; until then the answer may have to be sent again.
        connection.closed().await;
        connection.close(VarInt::from(0u32), b"done");
        Ok(())
    }

    async fn answer(&self, request: EnrollRequest, exported: Exported) -> EnrollReply {
        let registrar = self.registrar.read().clone();
        let refused = |code: &str, message: &str| EnrollReply::Refused {
            code: code.to_owned(),
            message: message.to_owned(),
            elsewhere: Vec::new(),
        };
        let Some(registrar) = registrar else {
            return refused("NO_AUTHORITY", "this node does not hold the authority's key");
        };
        // It waits for the disk.
        let answered = tokio::task::spawn_blocking(move || registrar.answer(&request, &exported));
        answered.await.unwrap_or_else(|_| refused("ISSUE", "the node could not answer"))
    }
}
