//! What a server says when it refuses.

use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

use super::limits::Limits;
use crate::{ModelError, Secret, TimeoutPhase};

/// An explanation is a sentence or two; more is a web page.
const BODY_BYTES_MAX: usize = 64 << 10;
const MESSAGE_CHARS_MAX: usize = 500;

/// Keeps the key out of what people and logs get to see: servers like to quote it.
#[derive(Clone, Default)]
pub(super) struct Redaction(Option<Secret>);

impl Redaction {
    pub(super) fn of(key: Option<Secret>) -> Self {
        Self(key)
    }

    /// The beginning of `text` without the key.
    pub(super) fn clean(&self, text: &str) -> String {
        let text = text.trim();
        let cleaned = match &self.0 {
            Some(key) => text.replace(key.expose(), "[key]"),
            None => text.to_owned(),
        };
        cleaned.chars().take(MESSAGE_CHARS_MAX).collect()
    }
}

/// The error that an unsuccessful response stands for.
pub(super) async fn read(mut response: Response, limits: &Limits, redaction: &Redaction) -> ModelError {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let mut message = if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        format!("it redirects to {to}; redirects are not followed, put the right address into base_url")
    } else {
        explanation(&body(&mut response, limits).await).message
    };
    if message.is_empty() {
        status.canonical_reason().unwrap_or("no explanation").clone_into(&mut message);
    }
    ModelError::Status { status: status.as_u16(), message: redaction.clean(&message), retry_after }
}

/// As much of the body as comes in time: a refusal is one, with or without its explanation.
async fn body(response: &mut Response, limits: &Limits) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Ok(Some(piece))) = limits.within(TimeoutPhase::Idle, response.chunk()).await {
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == BODY_BYTES_MAX {
            break;
        }
    }
    body
}

/// A server's own words for a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) kind: String,
    pub(super) message: String,
}

/// Finds the words in any of the forms in use: `{"error": {"type", "message"}}` (Anthropic, OpenAI, llama.cpp),
/// `{"error": "…"}` (Ollama), `{"object": "error", "type", "message"}` (vLLM), `{"detail": …}`, or plain text.
pub(super) fn explanation(body: &[u8]) -> Explanation {
    let text = || String::from_utf8_lossy(body).into_owned();
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return Explanation { kind: "error".to_owned(), message: text() };
    };
    let error = document.get("error").unwrap_or(&document);
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = error
        .as_str()
        .map(str::to_owned)
        .or_else(|| word(error, "message"))
        .or_else(|| word(error, "detail"))
        .unwrap_or_else(text);
    Explanation { kind: word(error, "type").unwrap_or_else(|| "error".to_owned()), message }
}

/// RFC 9110 §10.2.3, and the milliseconds that OpenAI sends beside it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = header("retry-after-ms").and_then(|text| text.parse::<u64>().ok());
    if let Some(millis) = millis {
        return Some(Duration::from_millis(millis));
    }
    let text = header(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn pause(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        retry_after(&headers)
    }

    #[test]
    fn every_form_of_a_refusal_is_understood() {
        let cases = [
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
                "overloaded_error",
                "busy",
            ),
            (r#"{"error":{"code":500,"message":"busy","type":"server_error"}}"#, "server_error", "busy"),
            (r#"{"error":"busy"}"#, "error", "busy"),
            (r#"{"object":"error","message":"busy","type":"BadRequestError"}"#, "BadRequestError", "busy"),
            (r#"{"detail":"busy"}"#, "error", "busy"),
            (r#"{"a":1}"#, "error", r#"{"a":1}"#),
            ("busy", "error", "busy"),
        ];
        for (body, kind, message) in cases {
            let expected = Explanation { kind: kind.to_owned(), message: message.to_owned() };
            assert_eq!(explanation(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_pause_is_read_in_seconds_milliseconds_or_as_a_date() {
        assert_eq!(pause("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(pause("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(pause("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
        let read = pause("retry-after", &later).unwrap();
        assert!(read > Duration::from_secs(3000) && read <= Duration::from_secs(3600), "{read:?}");
        for nonsense in ["", "soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(pause("retry-after", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_key_and_the_rest_of_a_long_text_are_left_out() {
        let redaction = Redaction::of(Some(Secret::new("sk-1")));
        assert_eq!(redaction.clean(" no key sk-1 here "), "no key [key] here");
        assert_eq!(redaction.clean(&"é".repeat(900)).chars().count(), MESSAGE_CHARS_MAX);
    }
}
