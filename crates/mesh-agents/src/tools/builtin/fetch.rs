//! Fetching what is at a URL, and nothing of what only this machine can reach.
//!
//! ```text
//!  url ─► resolve ─► every address public? ─► connect to those addresses alone ─┬─► body, up to a limit
//!   ▲                     no: refused                                           │
//!   └────────────────────────────── redirect: all of it again ◄─────────────────┘
//! ```

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mesh::Retry;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::is_public;
use crate::tools::{Annotations, Tool, ToolContext, ToolError, ToolSpec};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `http_fetch`: fetches a public URL by GET.
pub struct Fetch {
    limits: FetchLimits,
    hosts: Vec<String>,
    resolver: Arc<dyn Resolve>,
}

/// How much one fetch may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// Of the body that are read; 256 KiB by default.
    pub bytes_max: usize,
    /// How many redirects are followed; 5 by default.
    pub redirects_max: u32,
    /// For all of it; 20 s by default.
    pub timeout: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { bytes_max: 256 << 10, redirects_max: 5, timeout: Duration::from_secs(20) }
    }
}

/// Finds the addresses of a host.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of the host, with this port.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// What to fetch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchArgs {
    /// An http or https URL.
    url: String,
}

/// What was fetched.
#[derive(Debug, Serialize)]
pub struct Fetched {
    status: u16,
    /// Where it came from, after all redirects.
    url: String,
    content_type: String,
    text: String,
    /// Whether there was more.
    is_cut: bool,
}

impl Fetch {
    /// A tool that reaches public addresses, by the system's resolver.
    #[must_use]
    pub fn new(limits: FetchLimits) -> Self {
        Self { limits, hosts: Vec::new(), resolver: Arc::new(SystemResolver) }
    }

    /// Reaches these too, wherever they are: each is `HOST:PORT`, as it stands in the URL. A redirect to one of them counts.
    #[must_use]
    pub fn allow(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Asks this resolver.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    async fn fetch(&self, url: &str) -> Result<Fetched, ToolError> {
        let mut url = checked(url)?;
        for _ in 0..=self.limits.redirects_max {
            let addresses = self.addresses(&url).await?;
            let response = get(&url, &addresses).await?;
            // The client connects to nothing else; this is to find out if it ever does.
            if response.remote_addr().is_some_and(|peer| !addresses.contains(&peer)) {
                return Err(refused(&url, "the connection went elsewhere"));
            }
            let Some(next) = redirect(&url, &response)? else {
                return self.read(url, response).await;
            };
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(refused(&next, "a redirect must not give up TLS"));
            }
            url = next;
        }
        Err(refused(&url, "there were too many redirects"))
    }

    /// Where the URL's host is now. All of its addresses have to be public: one that is not is a trap.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, ToolError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.resolver.resolve(host, port).await.map_err(|error| {
                ToolError::refused("FETCH_ERROR", format!("{host} has no address: {error}"))
                    .retry(Retry::Backoff)
            })?,
        };
        if addresses.is_empty() {
            return Err(ToolError::refused("FETCH_ERROR", format!("{host} has no address")));
        }
        let is_allowed = self.hosts.contains(&format!("{host}:{port}"));
        if !is_allowed && addresses.iter().any(|address| !is_public(address.ip())) {
            return Err(refused(url, "it is not at a public address"));
        }
        Ok(addresses)
    }

    async fn read(&self, url: Url, mut response: Response) -> Result<Fetched, ToolError> {
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut is_cut = false;
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&url, &error))? {
            let room = self.limits.bytes_max - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_cut = true;
                break;
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Fetched { status, url: url.into(), content_type, text, is_cut })
    }
}

fn checked(url: &str) -> Result<Url, ToolError> {
    let bad = |why: &str| Err(ToolError::refused("BAD_URL", format!("the URL cannot be fetched: {why}")));
    let url = match Url::parse(url) {
        Ok(url) => url,
        Err(error) => return bad(&error.to_string()),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return bad("it is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("there is a user in it");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return bad("there is no host in it");
    }
    Ok(url)
}

/// A client for one request, which knows no other way than these addresses.
async fn get(url: &Url, addresses: &[SocketAddr]) -> Result<Response, ToolError> {
    let host = url.host_str().unwrap_or_default();
    let is_https = url.scheme() == "https";
    let tls = mesh_models::client_tls(is_https).map_err(|error| ToolError::failed(error.to_string()))?;
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .resolve_to_addrs(host, addresses)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("mesh/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed(url, &error))?;
    client.get(url.clone()).send().await.map_err(|error| failed(url, &error))
}

fn redirect(url: &Url, response: &Response) -> Result<Option<Url>, ToolError> {
    if !response.status().is_redirection() {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let location = location.to_str().ok().and_then(|location| url.join(location).ok());
    let Some(next) = location else { return Err(refused(url, "it redirects to what is no URL")) };
    checked(next.as_str()).map(Some)
}

fn refused(url: &Url, why: &str) -> ToolError {
    // Its path and query may be somebody's secret.
    ToolError::refused("FETCH_REFUSED", format!("{}: {why}", url.host_str().unwrap_or("the URL")))
}

/// The innermost cause: the outer ones repeat the address, query included.
fn failed(url: &Url, error: &reqwest::Error) -> ToolError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let host = url.host_str().unwrap_or("the URL");
    ToolError { code: "FETCH_ERROR".to_owned(), ..ToolError::failed(format!("{host}: {cause}")) }
        .retry(Retry::Backoff)
}

impl Tool for Fetch {
    type Args = FetchArgs;
    type Output = Fetched;

    fn describe(&self) -> ToolSpec {
        let annotations = Annotations { read_only: true, open_world: true, ..Annotations::default() };
        let spec = ToolSpec::new("http_fetch", "Fetches what is at a public http or https URL, as text.");
        spec.annotations(annotations).timeout(self.limits.timeout)
    }

    async fn call(&self, FetchArgs { url }: FetchArgs, cx: ToolContext) -> Result<Fetched, ToolError> {
        tokio::select! {
            fetched = self.fetch(&url) => fetched,
            () = cx.cancelled() => Err(ToolError::failed("it was withdrawn")),
        }
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch")
            .field("limits", &self.limits)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
