//! Where requests go, and in what form.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};

use super::dialect::{Decoder, Dialect};
use super::refusal::Redaction;
use crate::{ChatRequest, JsonSchema, ModelError, ModelSettings, ProviderKind, Secret};

/// The API's version, fixed since 2023; later additions come as headers of their own.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A model server's address, key and protocol, checked.
pub(super) struct Target {
    dialect: Dialect,
    url: Url,
    shown: String,
    headers: HeaderMap,
    redaction: Redaction,
    model: String,
}

impl Target {
    pub(super) fn new(settings: ModelSettings) -> Result<Self, ModelError> {
        let ModelSettings { kind, base_url, api_key, model } = settings;
        if model.is_empty() {
            return Err(wrong("model", "a model needs a name"));
        }
        let url = endpoint(kind, &base_url)?;
        let dialect = match kind {
            ProviderKind::Anthropic => Dialect::Anthropic,
            ProviderKind::OpenAiCompatible => {
                Dialect::OpenAi { has_completion_limit: url.host_str() == Some("api.openai.com") }
            }
        };
        let mut shown = url.clone();
        shown.set_query(None);
        Ok(Self {
            dialect,
            shown: shown.into(),
            headers: headers(kind, api_key.as_ref())?,
            redaction: Redaction::of(api_key),
            model,
            url,
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address without its query, which may hold a key.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// A reader of the answer to `request`.
    pub(super) fn decoder(&self, request: &ChatRequest) -> Decoder {
        self.dialect.decoder(self.model_for(request))
    }

    /// The same server's address for embeddings.
    pub(super) fn for_embeddings(mut self) -> Self {
        let path = self.url.path();
        let path = format!("{}/embeddings", path.strip_suffix("/chat/completions").unwrap_or(path));
        self.url.set_path(&path);
        let mut shown = self.url.clone();
        shown.set_query(None);
        self.shown = shown.into();
        self.headers.remove(ACCEPT);
        self
    }

    /// A request with this body, ready to be sent.
    pub(super) fn post_body(&self, client: &Client, body: Vec<u8>) -> RequestBuilder {
        client.post(self.url.clone()).headers(self.headers.clone()).body(body)
    }

    /// The request, ready to be sent.
    pub(super) fn post(&self, client: &Client, request: &ChatRequest) -> Result<RequestBuilder, ModelError> {
        check(request)?;
        let body = self.dialect.body(request, self.model_for(request))?;
        Ok(self.post_body(client, body))
    }

    fn model_for<'a>(&'a self, request: &'a ChatRequest) -> &'a str {
        request.model.as_deref().unwrap_or(&self.model)
    }
}

fn wrong(key: &'static str, reason: impl Into<String>) -> ModelError {
    ModelError::Misconfigured { key, reason: reason.into() }
}

fn endpoint(kind: ProviderKind, base_url: &str) -> Result<Url, ModelError> {
    let mut url = Url::parse(base_url).map_err(|error| wrong("base_url", error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("base_url", "it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "base_url",
            "a user or password in the address would show up in logs; use api_key",
        ));
    }
    let path = url.path().trim_end_matches('/');
    let path = match kind {
        ProviderKind::Anthropic => format!("{}/v1/messages", path.strip_suffix("/v1").unwrap_or(path)),
        ProviderKind::OpenAiCompatible if path.is_empty() => "/v1/chat/completions".to_owned(),
        ProviderKind::OpenAiCompatible => format!("{path}/chat/completions"),
    };
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

fn headers(kind: ProviderKind, api_key: Option<&Secret>) -> Result<HeaderMap, ModelError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if kind == ProviderKind::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static(ANTHROPIC_VERSION));
    }
    let Some(key) = api_key else { return Ok(headers) };
    let secret = |text: &str| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| wrong("api_key", "it has characters that no key has, perhaps a line break"))?;
        value.set_sensitive(true);
        Ok(value)
    };
    if key.expose().is_empty() {
        return Err(wrong("api_key", "it is empty; leave it out where none is needed"));
    }
    match kind {
        ProviderKind::Anthropic => headers.insert("x-api-key", secret(key.expose())?),
        ProviderKind::OpenAiCompatible => {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", key.expose()))?)
        }
    };
    Ok(headers)
}

fn check(request: &ChatRequest) -> Result<(), ModelError> {
    if request.messages.is_empty() {
        return Err(wrong("messages", "a request needs at least one message"));
    }
    if request.model.as_deref() == Some("") {
        return Err(wrong("model", "a model needs a name"));
    }
    if request.max_tokens == Some(0) {
        return Err(wrong("max_tokens", "an answer needs at least one token"));
    }
    if request.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return Err(wrong("temperature", "it is a number from 0 to 2"));
    }
    request.response_schema.as_ref().map_or(Ok(()), check_schema)
}

fn check_schema(schema: &JsonSchema) -> Result<(), ModelError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(1..=64).contains(&schema.name.len()) || !schema.name.bytes().all(is_allowed) {
        return Err(wrong("response_schema", "its name is 1 to 64 of a-z A-Z 0-9 _ -"));
    }
    if !schema.schema.is_object() {
        return Err(wrong("response_schema", "a JSON schema is an object"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{HttpProvider, Timeouts};

    #[test]
    fn the_address_is_completed_by_what_the_protocol_needs() {
        use ProviderKind::{Anthropic, OpenAiCompatible};
        let cases = [
            (OpenAiCompatible, "http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/chat/completions"),
            (OpenAiCompatible, "http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1/chat/completions"),
            (OpenAiCompatible, "https://g/openai", "https://g/openai/chat/completions"),
            (OpenAiCompatible, "https://g/v1?api-version=2", "https://g/v1/chat/completions?api-version=2"),
            (Anthropic, "https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
            (Anthropic, "https://g/proxy/v1/", "https://g/proxy/v1/messages"),
        ];
        for (kind, base_url, expected) in cases {
            assert_eq!(endpoint(kind, base_url).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        let local = || ModelSettings::openai_compatible("http://127.0.0.1:1", "m");
        let cases = [
            (local().with_base_url("127.0.0.1:1"), "base_url"),
            (local().with_base_url("ftp://127.0.0.1"), "base_url"),
            (local().with_base_url("http://me:secret@127.0.0.1"), "base_url"),
            (local().with_api_key(Secret::new("")), "api_key"),
            (local().with_api_key(Secret::new("a\nb")), "api_key"),
            (ModelSettings::openai_compatible("http://127.0.0.1:1", ""), "model"),
        ];
        for (settings, expected) in cases {
            let printed = format!("{settings:?}");
            let Err(ModelError::Misconfigured { key, reason }) =
                HttpProvider::new(settings, Timeouts::default())
            else {
                panic!("accepted {printed}");
            };
            assert_eq!(key, expected, "{printed}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn a_request_that_cannot_work_is_refused_by_name() {
        let hi = || ChatRequest::user("hi");
        let form = |name: &str, schema| hi().with_response_schema(JsonSchema::new(name, schema));
        let cases = [
            (ChatRequest::conversation([]), "messages"),
            (hi().with_model(""), "model"),
            (hi().with_max_tokens(0), "max_tokens"),
            (hi().with_temperature(f32::NAN), "temperature"),
            (hi().with_temperature(2.5), "temperature"),
            (form("", json!({})), "response_schema"),
            (form("two words", json!({})), "response_schema"),
            (form("list", json!([])), "response_schema"),
        ];
        for (request, expected) in cases {
            let error = check(&request).unwrap_err();
            assert!(matches!(error, ModelError::Misconfigured { key, .. } if key == expected), "{request:?}");
        }
        check(&form("list-1", json!({"type": "object"}))).unwrap();
    }

    #[test]
    fn a_query_with_a_key_is_not_shown() {
        let settings = ModelSettings::openai_compatible("http://127.0.0.1:1/v1?key=abc", "m");
        let provider = HttpProvider::new(settings, Timeouts::default()).unwrap();
        assert_eq!(provider.url(), "http://127.0.0.1:1/v1/chat/completions");
        assert!(!format!("{provider:?}").contains("abc"));
    }
}
