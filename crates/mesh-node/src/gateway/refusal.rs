//! An error as HTTP has it: the document that meshctl prints, and the status that goes with its code.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as ApiResponse, StatusCode as ApiStatus};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mesh::{Failure, Retry};
use mesh_agents::tools::ToolError;

use super::door::Closed;
use crate::ctl::{CtlError, Document};

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    document: Box<Document>,
}

pub(super) type Answer<T> = Result<Json<T>, Refusal>;

impl Refusal {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, document: Box::new(Document::own("BAD_REQUEST", message)) }
    }

    pub(super) fn busy(message: impl Into<String>) -> Self {
        let document = Document { retry: Retry::Backoff, ..Document::own("BUSY", message) };
        Self { status: StatusCode::SERVICE_UNAVAILABLE, document: Box::new(document) }
    }

    pub(super) fn not_here(message: impl Into<String>) -> Self {
        Document::own("NOT_FOUND", message).into()
    }

    /// As one line of JSON, for where the status was sent long ago.
    pub(super) fn line(&self) -> String {
        serde_json::to_string(&self.document).expect("texts, a flag and JSON are JSON")
    }

    pub(super) fn into_document(self) -> Document {
        *self.document
    }
}

/// The status of a code: whose fault it is, and whether it may go better later.
fn status_of(code: &str) -> StatusCode {
    match code {
        "DENIED" => StatusCode::FORBIDDEN,
        "TIMEOUT" => StatusCode::GATEWAY_TIMEOUT,
        "MAILBOX_FULL" | "CIRCUIT_OPEN" | "BUSY" | "UNAVAILABLE" | "STORE_BUSY" | "STORE_FULL" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "UNREACHABLE" | "BAD_REPLY" => StatusCode::BAD_GATEWAY,
        "NOT_PENDING" | "OTHER_ACTION" | "ANSWERED" | "AT_WORK" | "ILLEGAL_TRANSITION" | "NAME_TAKEN"
        | "STORE_CONFLICT" | "STORE_FENCED" | "STORE_HELD" => StatusCode::CONFLICT,
        "TOO_LARGE" | "STORE_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        "NOT_FOUND" | "NO_CHECKPOINT" | "UNKNOWN_TOOL" | "STORE_NOT_FOUND" => StatusCode::NOT_FOUND,
        "USAGE" | "UNKNOWN_KIND" | "ANSWERS_WITH_STREAM" => StatusCode::BAD_REQUEST,
        code if code.starts_with("NO_SUCH_") => StatusCode::NOT_FOUND,
        code if code.starts_with("BAD_") => StatusCode::BAD_REQUEST,
        code if code.starts_with("STORE_") || code == "CRASHED" => StatusCode::INTERNAL_SERVER_ERROR,
        // The actor has understood, and says no.
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl From<Document> for Refusal {
    fn from(document: Document) -> Self {
        Self { status: status_of(&document.code), document: Box::new(document) }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Document::from(failure).into()
    }
}

impl From<CtlError> for Refusal {
    fn from(error: CtlError) -> Self {
        error.into_document().into()
    }
}

impl From<ToolError> for Refusal {
    fn from(error: ToolError) -> Self {
        Document::from(error).into()
    }
}

impl From<Closed> for Refusal {
    fn from(closed: Closed) -> Self {
        Document::own("DENIED", closed.to_string()).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.document)).into_response()
    }
}

impl OperationOutput for Refusal {
    type Inner = Document;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<ApiResponse> {
        Json::<Document>::operation_response(context, operation)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<ApiStatus>, ApiResponse)> {
        Self::operation_response(context, operation).map(|response| (None, response)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whose_fault_it_is() {
        for (code, status) in [
            ("NO_SUCH_ACTOR", 404),
            ("BAD_MESSAGE", 400),
            ("DENIED", 403),
            ("MAILBOX_FULL", 503),
            ("UNREACHABLE", 502),
            ("TIMEOUT", 504),
            ("OTHER_ACTION", 409),
            ("NOT_IN_STOCK", 422),
        ] {
            assert_eq!(status_of(code).as_u16(), status, "{code}");
        }
    }
}
