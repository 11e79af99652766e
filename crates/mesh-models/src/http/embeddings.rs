//! Embeddings: one POST to `/v1/embeddings`, answered by one JSON document.

use std::fmt;
use std::sync::Arc;

use reqwest::Response;
use reqwest::header::{ACCEPT, HeaderValue};
use serde::{Deserialize, Serialize};

use super::limits::{self, Limits};
use super::target::Target;
use super::{connection, refusal};
use crate::{BoxFuture, Embedder, ModelError, ModelSettings, ProviderKind, TimeoutPhase, Timeouts};

/// The most texts in one call.
const TEXTS_MAX: usize = 256;
/// 256 vectors of 4,096 numbers of 20 digits.
const REPLY_BYTES_MAX: usize = 24 << 20;

/// Embeddings of any server that speaks OpenAI's `/v1/embeddings`: OpenAI, llama.cpp, vLLM, Ollama.
#[derive(Clone)]
pub struct HttpEmbedder {
    call: Arc<Call>,
}

struct Call {
    client: reqwest::Client,
    target: Target,
    timeouts: Timeouts,
}

impl HttpEmbedder {
    /// Checks the settings and prepares the connections; nothing is sent yet.
    ///
    /// # Errors
    /// [`ModelError::Misconfigured`], naming the setting; also for Anthropic, which has no embeddings.
    pub fn new(settings: ModelSettings, timeouts: Timeouts) -> Result<Self, ModelError> {
        limits::check(&timeouts)?;
        if settings.kind != ProviderKind::OpenAiCompatible {
            let reason = "only servers that speak OpenAI's protocol have embeddings".to_owned();
            return Err(ModelError::Misconfigured { key: "kind", reason });
        }
        let target = Target::new(settings)?.for_embeddings();
        let client = connection::client(target.is_https(), timeouts.connect)?;
        Ok(Self { call: Arc::new(Call { client, target, timeouts }) })
    }
}

impl Embedder for HttpEmbedder {
    fn model(&self) -> &str {
        self.call.target.model()
    }

    fn embed(&self, texts: Vec<String>) -> BoxFuture<Result<Vec<Vec<f32>>, ModelError>> {
        let call = Arc::clone(&self.call);
        Box::pin(async move { call.embed(&texts).await })
    }
}

impl fmt::Debug for HttpEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.call.target;
        f.debug_struct("HttpEmbedder").field("url", &target.shown()).field("model", &target.model()).finish()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Reply {
    data: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    index: usize,
    embedding: Vec<f32>,
}

impl Call {
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        if texts.is_empty() || texts.len() > TEXTS_MAX || texts.iter().any(String::is_empty) {
            let reason = format!("it is 1 to {TEXTS_MAX} texts, none of them empty");
            return Err(ModelError::Misconfigured { key: "input", reason });
        }
        let limits = Limits::new(self.timeouts, None);
        let body = Body { model: self.target.model(), input: texts, encoding_format: "float" };
        let body = serde_json::to_vec(&body)
            .map_err(|error| ModelError::Misconfigured { key: "input", reason: error.to_string() })?;
        let post = self.target.post_body(&self.client, body);
        let post = post.header(ACCEPT, HeaderValue::from_static("application/json"));
        let response = limits
            .within(TimeoutPhase::FirstByte, post.send())
            .await?
            .map_err(|error| connection::failure(&error, self.target.shown(), &self.timeouts))?;
        if !response.status().is_success() {
            return Err(refusal::read(response, &limits, self.target.redaction()).await);
        }
        let bytes = read(response, &limits).await?;
        let reply: Reply = serde_json::from_slice(&bytes)
            .map_err(|error| bad(format!("it holds no embeddings: {error}")))?;
        in_order(reply.data, texts.len())
    }
}

async fn read(mut response: Response, limits: &Limits) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    loop {
        let piece = limits.within(TimeoutPhase::Idle, response.chunk()).await?;
        let piece =
            piece.map_err(|error| ModelError::Truncated { reason: connection::root_cause(&error) })?;
        let Some(piece) = piece else { return Ok(bytes) };
        if bytes.len() + piece.len() > REPLY_BYTES_MAX {
            return Err(bad("it is longer than 24 MiB"));
        }
        bytes.extend_from_slice(&piece);
    }
}

/// One for each text, all of one length, each with a direction.
fn in_order(mut data: Vec<Vector>, count: usize) -> Result<Vec<Vec<f32>>, ModelError> {
    data.sort_by_key(|vector| vector.index);
    if data.iter().map(|vector| vector.index).ne(0..count) {
        return Err(bad(format!("it has not one embedding for each of {count} texts")));
    }
    let dimensions = data.first().map_or(0, |vector| vector.embedding.len());
    for Vector { embedding, .. } in &data {
        let has_direction = embedding.iter().any(|number| *number != 0.0);
        if embedding.len() != dimensions || !has_direction || !embedding.iter().all(|n| n.is_finite()) {
            return Err(bad("an embedding is empty, all zeros, not of numbers, or of another length"));
        }
    }
    Ok(data.into_iter().map(|vector| vector.embedding).collect())
}

fn bad(reason: impl Into<String>) -> ModelError {
    ModelError::BadReply { reason: reason.into() }
}
