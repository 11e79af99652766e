//! Models behind HTTP: one POST, answered by a stream of server-sent events.
//!
//! ```text
//!  ChatRequest ─► dialect (body) ─► POST ─► status? ─► bytes ─► sse ─► dialect (events) ─► ModelStream
//!                                            │          └──── limits: first byte, idle, whole, deadline
//!                                            └─► refusal
//! ```
//!
//! HTTP and event parsing are ours, on reqwest. genai 0.7.2 was tried first: a `\r\n` split between two reads makes it
//! drop a piece of the answer without an error, and a model's name that ends in `-max` or `-low` is rewritten.
//!
//! This module does not retry, and follows no redirect: the key would go with it.

mod anthropic;
mod connection;
mod dialect;
mod embeddings;
mod limits;
mod openai;
mod refusal;
mod reply;
mod schema;
mod sse;
mod target;
mod tls;

use std::fmt;
use std::sync::Arc;

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;

pub use self::tls::client_tls;

pub use self::embeddings::HttpEmbedder;
use self::limits::Limits;
use self::target::Target;
use crate::{
    BoxFuture, ChatRequest, ModelError, ModelSettings, ModelStream, Provider, TimeoutPhase, Timeouts,
};

/// A model server that is called over HTTP: Anthropic's, or any that speaks OpenAI's chat completions.
///
/// A clone shares the connections of the original. HTTP/1.1, one connection for each answer under way: dropping a
/// stream closes its connection, and no answer waits behind another. Proxies of the environment are not used.
#[derive(Clone)]
pub struct HttpProvider {
    call: Arc<Call>,
}

/// What every call needs, shared by the calls under way.
struct Call {
    client: reqwest::Client,
    target: Target,
    timeouts: Timeouts,
}

impl HttpProvider {
    /// Checks the settings and prepares the connections; nothing is sent yet.
    ///
    /// For `https` this reads the operating system's certificate store, which takes some milliseconds.
    ///
    /// # Errors
    /// [`ModelError::Misconfigured`], naming the setting.
    pub fn new(settings: ModelSettings, timeouts: Timeouts) -> Result<Self, ModelError> {
        limits::check(&timeouts)?;
        let target = Target::new(settings)?;
        let client = connection::client(target.is_https(), timeouts.connect)?;
        Ok(Self { call: Arc::new(Call { client, target, timeouts }) })
    }

    /// The address that requests go to, without its query.
    #[must_use]
    pub fn url(&self) -> &str {
        self.call.target.shown()
    }

    /// The model that a request gets when it names none.
    #[must_use]
    pub fn model(&self) -> &str {
        self.call.target.model()
    }
}

impl Provider for HttpProvider {
    fn stream(&self, request: ChatRequest) -> BoxFuture<Result<ModelStream, ModelError>> {
        let call = Arc::clone(&self.call);
        Box::pin(call.begin(request))
    }
}

impl fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvider").field("url", &self.url()).field("model", &self.model()).finish()
    }
}

impl Call {
    async fn begin(self: Arc<Self>, request: ChatRequest) -> Result<ModelStream, ModelError> {
        let limits = Limits::new(self.timeouts, request.deadline);
        let post = self.target.post(&self.client, &request)?;
        tracing::debug!(url = self.target.shown(), messages = request.messages.len(), "model is called");
        let response = limits
            .within(TimeoutPhase::FirstByte, post.send())
            .await?
            .map_err(|error| connection::failure(&error, self.target.shown(), &self.timeouts))?;
        if !response.status().is_success() {
            return Err(refusal::read(response, &limits, self.target.redaction()).await);
        }
        check_is_event_stream(&response)?;
        let decoder = self.target.decoder(&request);
        Ok(reply::stream(response, limits, decoder, self.target.redaction()))
    }
}

fn check_is_event_stream(response: &Response) -> Result<(), ModelError> {
    // A server that names no type is given the benefit of the doubt: its bytes will tell.
    let Some(kind) = response.headers().get(CONTENT_TYPE) else { return Ok(()) };
    let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
    if kind.starts_with("text/event-stream") {
        return Ok(());
    }
    Err(ModelError::BadReply { reason: format!("it is {kind:.60}, not an event stream") })
}
