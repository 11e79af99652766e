//! Streamable HTTP, for clients of this machine that have the token.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh::Cancel;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::MeshServer;

/// Where the endpoint is.
pub const PATH: &str = "/mcp";

/// Connections at once; more wait.
const CONNECTIONS_MAX: usize = 64;

/// Sessions at once. One that is silent for five minutes ends.
const SESSIONS_MAX: usize = 64;

/// The largest request.
const BODY_BYTES_MAX: usize = 4 << 20;

/// For a client to say what it wants: the head of a request, and then its body.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// After a connection that could not be taken, as when there are no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Reply = Response<BoxBody<Bytes, Infallible>>;

/// An endpoint of MCP over HTTP, at `/mcp`. Each request has to bring the token (`Authorization: Bearer …`), to come to a name of
/// this machine (`Host`), and from no web page (`Origin`).
pub struct HttpDoor {
    service: StreamableHttpService<MeshServer, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
    token: blake3::Hash,
}

impl HttpDoor {
    /// An endpoint for whoever has this token.
    #[must_use]
    pub fn new(server: MeshServer, token: &str) -> Self {
        let sessions = Arc::<LocalSessionManager>::default();
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(BODY_BYTES_MAX)
            .enforce_origin_validation();
        let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::clone(&sessions), config);
        Self { service, sessions, token: blake3::hash(token.as_bytes()) }
    }

    /// Takes connections until `stop` is set, and then ends all of them.
    ///
    /// # Cancel safety
    /// Dropped, it ends all connections where they are.
    pub async fn serve(self, listener: TcpListener, stop: Cancel) {
        let door = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= CONNECTIONS_MAX {
                tokio::select! {
                    _ = connections.join_next() => continue,
                    () = stop.cancelled() => break,
                }
            }
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, from)) => drop(connections.spawn(Arc::clone(&door).connection(stream, from))),
                Err(error) => {
                    tracing::warn!(%error, "connection to the MCP endpoint cannot be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        door.service.config.cancellation_token.cancel();
        connections.abort_all();
        while connections.join_next().await.is_some() {}
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let answers = service_fn(|request| {
            let door = Arc::clone(&self);
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_MAX)
            .serve_connection(TokioIo::new(stream), answers)
            .await;
        if let Err(error) = served {
            tracing::debug!(%from, %error, "connection to the MCP endpoint has ended");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        if request.uri().path() != PATH {
            return plain(StatusCode::NOT_FOUND, "there is only /mcp");
        }
        if !self.is_entitled(&request) {
            tracing::warn!(target: "audit", "a request to the MCP endpoint without its token was refused");
            let mut reply = plain(StatusCode::UNAUTHORIZED, "the token of this endpoint is wanted");
            reply.headers_mut().insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
            return reply;
        }
        let begins = request.headers().get("mcp-session-id").is_none();
        if begins && self.sessions.sessions.read().await.len() >= SESSIONS_MAX {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "there are as many sessions as may be");
        }
        let (head, body) = request.into_parts();
        let body = match timeout(REQUEST_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_too_long_or_cut)) => {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
            }
            Err(_elapsed) => {
                return plain(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end");
            }
        };
        self.service.handle(Request::from_parts(head, Full::new(body))).await
    }

    fn is_entitled(&self, request: &Request<Incoming>) -> bool {
        let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.split_once(' '));
        let token =
            given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        // Hashes are compared, in constant time: how long that takes tells nothing about the token.
        token.is_some_and(|token| blake3::hash(token.as_bytes()) == self.token)
    }
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_LENGTH, text.len().into());
    reply
}

impl std::fmt::Debug for HttpDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpDoor").finish_non_exhaustive()
    }
}
