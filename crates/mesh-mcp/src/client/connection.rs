//! One connection to a server, from its handshake to its end.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Fuse};
use reqwest::redirect::Policy;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ErrorCode, ProgressNotificationParam, ProtocolVersion, ServerPeerInfo,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext, Peer, RunningService,
    RunningServiceCancellationToken,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::child::ServerProcess;
use super::progress::Progress;
use super::spec::{Secret, ServerSpec, Transport};

/// One message of a server: an answer is cut down to much less, but has to be read for that.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// For a server's host to answer at all.
const DIAL_MAX: Duration = Duration::from_secs(5);

/// For saying goodbye.
const CLOSE_MAX: Duration = Duration::from_secs(3);

/// How the two sides get to know each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Handshake {
    /// `initialize`, as up to 2025-11-25.
    #[default]
    Initialize,
    /// `server/discover`, as from 2026-07-28.
    Discover,
}

/// A connection that was made.
pub(super) struct Connection {
    pub(super) peer: Peer<RoleClient>,
    pub(super) info: Option<Arc<ServerPeerInfo>>,
    pub(super) process: Option<ServerProcess>,
    pub(super) progress: Arc<Progress>,
    /// Set when the server says that its tools have changed.
    pub(super) changed: Arc<Notify>,
    ended: Fuse<BoxFuture<'static, ()>>,
    end: RunningServiceCancellationToken,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct NotConnected {
    pub(super) reason: String,
    /// Whether the other handshake may do better.
    pub(super) was_refused: bool,
}

impl NotConnected {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), was_refused: false }
    }
}

impl Connection {
    /// Connects, and waits until both sides know what the other is.
    pub(super) async fn open(
        spec: &ServerSpec,
        handshake: Handshake,
        progress: Arc<Progress>,
    ) -> Result<Self, NotConnected> {
        let opening = async {
            let changed = Arc::new(Notify::new());
            let ears = Ears { progress: Arc::clone(&progress), changed: Arc::clone(&changed) };
            let (running, process) = match &spec.transport {
                Transport::Command { command, env, folder } => {
                    let started = ServerProcess::start(&spec.name, command, env, folder.as_deref());
                    let (process, stdout, stdin) = started.map_err(|error| {
                        NotConnected::new(format!("{} does not start: {error}", command[0]))
                    })?;
                    let transport =
                        AsyncRwTransport::new_client(stdout, stdin).with_max_line_length(MESSAGE_BYTES_MAX);
                    (ears.serve_with_lifecycle(transport, mode(handshake)).await, Some(process))
                }
                Transport::Http { url, headers } => {
                    let transport = http(url, headers)?;
                    (ears.serve_with_lifecycle(transport, mode(handshake)).await, None)
                }
            };
            let running = running.map_err(|error| refused(&error))?;
            Ok(Self::of(running, process, progress, changed))
        };
        let late = |_elapsed| Err(NotConnected::new(format!("no answer within {:?}", spec.connect_timeout)));
        timeout(spec.connect_timeout, opening).await.unwrap_or_else(late)
    }

    fn of(
        running: RunningService<RoleClient, Ears>,
        process: Option<ServerProcess>,
        progress: Arc<Progress>,
        changed: Arc<Notify>,
    ) -> Self {
        let (peer, end) = (running.peer().clone(), running.cancellation_token());
        let info = peer.peer_info();
        let ended = async move {
            let _ = running.waiting().await;
        };
        Self { peer, info, process, progress, changed, ended: ended.boxed().fuse(), end }
    }

    /// Waits until the other side has ended it; once.
    pub(super) async fn ended(&mut self) {
        (&mut self.ended).await;
    }

    /// Ends it: a process has its stdin closed, and is killed if that is not enough.
    pub(super) async fn close(self) {
        self.end.cancel();
        let mut ended = self.ended;
        if !futures::future::FusedFuture::is_terminated(&ended) {
            // It ends with the process at the latest.
            let _ = timeout(CLOSE_MAX, &mut ended).await;
        }
        if let Some(process) = self.process {
            process.end().await;
        }
    }
}

fn mode(handshake: Handshake) -> ClientLifecycleMode {
    match handshake {
        Handshake::Initialize => ClientLifecycleMode::Initialize,
        Handshake::Discover => {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] }
        }
    }
}

fn refused(error: &ClientInitializeError) -> NotConnected {
    let was_refused = matches!(
        error,
        ClientInitializeError::JsonRpcError(_) | ClientInitializeError::NoCompatibleProtocolVersion { .. }
    );
    let reason = match error {
        ClientInitializeError::JsonRpcError(error) if error.code == ErrorCode::METHOD_NOT_FOUND => {
            "it does not know this handshake".to_owned()
        }
        error => innermost(error),
    };
    NotConnected { reason: crate::cut(&reason, 512).0.to_owned(), was_refused }
}

/// The cause of all: what is around it repeats the URL, and names types.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// HTTP to one server. It follows no redirect: the headers are for the server that was named.
fn http(
    url: &str,
    headers: &std::collections::BTreeMap<String, Secret>,
) -> Result<StreamableHttpClientTransport<reqwest::Client>, NotConnected> {
    let tls = mesh_models::client_tls(url.starts_with("https:"))
        .map_err(|error| NotConnected::new(error.to_string()))?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(DIAL_MAX)
        .user_agent(concat!("mesh/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| NotConnected::new(innermost(&error)))?;
    let headers: HashMap<_, _> = headers
        .iter()
        .filter_map(|(name, value)| {
            let mut value: http::HeaderValue = value.text().parse().ok()?;
            value.set_sensitive(true);
            Some((name.parse().ok()?, value))
        })
        .collect();
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(headers)
        .max_sse_event_size(MESSAGE_BYTES_MAX)
        .max_json_response_size(MESSAGE_BYTES_MAX);
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

/// What a server may say by itself. It is asked nothing that it could decide: no sampling, no roots, and what it would ask people
/// is declined.
struct Ears {
    progress: Arc<Progress>,
    changed: Arc<Notify>,
}

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), crate::ourselves())
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_progress(&self, said: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.tell(&said);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}
