//! All that is served, behind its door.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::openapi::{Info, OpenApi};
use axum::body::to_bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::api::Api;
use super::door::Door;
use super::refusal::Refusal;
use super::{approvals, live, memory, messages, nodes, page, runs, tools};
use crate::ctl::Document;

/// A message to an actor may be this large as JSON.
const BODY_BYTES_MAX: usize = 4 << 20;
/// What a refusal says is short.
const SAID_MAX: usize = 4096;

/// Everything, by its path.
pub(super) fn app(api: Api, door: Arc<Door>) -> Router {
    let mut document = OpenApi { info: info(), ..OpenApi::default() };
    let v1 = ApiRouter::new()
        .merge(nodes::routes())
        .merge(messages::routes())
        .merge(runs::routes())
        .merge(approvals::routes())
        .merge(tools::routes())
        .merge(memory::routes());
    let v1 = ApiRouter::new().nest("/api/v1", v1).finish_api(&mut document);
    name_rests(&mut document);
    let document = Arc::new(serde_json::to_string(&document).expect("a document of texts is JSON"));
    let described = get(async move || ([(CONTENT_TYPE, "application/json")], document.as_str().to_owned()));
    let closed = Router::new()
        .merge(v1)
        .route("/api/v1/live", get(live::live))
        .route("/api/v1/openapi.json", described)
        .layer(from_fn_with_state(Arc::clone(&door), with_token));
    let open = Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready));
    let open = page::FILES.iter().fold(open, |open, (path, of, text)| open.route(path, page::file(of, text)));
    let nothing = async || Refusal::not_here("there is nothing here: see /api/v1/openapi.json");
    let all = closed.merge(open).fallback(nothing);
    all.layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(door, for_us))
        .layer(from_fn(with_headers))
        .with_state(api)
}

fn info() -> Info {
    Info {
        title: "mesh-node".to_owned(),
        summary: Some("The HTTP interface of a node of an actor mesh".to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Info::default()
    }
}

/// A parameter that takes the rest of a path is `{*name}` to the router and `{name}` to OpenAPI.
fn name_rests(document: &mut OpenApi) {
    if let Some(paths) = &mut document.paths {
        let named = std::mem::take(&mut paths.paths).into_iter();
        paths.paths = named.map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    }
}

/// Whether the node answers.
async fn ready(State(api): State<Api>) -> Response {
    match api.members().await {
        Ok(_) => "ready\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the node does not answer\n").into_response(),
    }
}

async fn for_us(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.is_for_us(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(closed) => {
            tracing::warn!(target: "audit", path = request.uri().path(), reason = %closed, "HTTP request is refused");
            Refusal::from(closed).into_response()
        }
    }
}

async fn with_token(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.has_token(request.headers()) {
        Ok(()) => in_our_words(next.run(request).await).await,
        Err(closed) => {
            tracing::warn!(target: "audit", path = request.uri().path(), reason = %closed, "HTTP request is refused");
            Refusal::from(closed).into_response()
        }
    }
}

/// What axum refuses by itself, a body that is no JSON or a method that is not served, says so as a bare text.
async fn in_our_words(response: Response) -> Response {
    let status = response.status();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|of| of == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, SAID_MAX).await.unwrap_or_default();
    let code = match status {
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::PAYLOAD_TOO_LARGE => "TOO_LARGE",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "NOT_JSON",
        _ => "BAD_REQUEST",
    };
    let document = Document::own(code, String::from_utf8_lossy(&said));
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    (status, parts.headers, Json(document)).into_response()
}

async fn with_headers(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (CONTENT_SECURITY_POLICY, page::POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
