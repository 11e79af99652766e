//! The protocol in use: how a request is written and an event is read.

use serde::de::DeserializeOwned;

use super::sse::SseEvent;
use super::{anthropic, openai, refusal};
use crate::{ChatRequest, ModelError, ModelEvent};

/// How requests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Anthropic,
    OpenAi {
        /// OpenAI's own newer models refuse `max_tokens`; the servers that imitate it may not know the new name.
        has_completion_limit: bool,
    },
}

impl Dialect {
    /// The body of the request, a JSON document.
    pub(super) fn body(self, request: &ChatRequest, model: &str) -> Result<Vec<u8>, ModelError> {
        let body = match self {
            Self::Anthropic => serde_json::to_vec(&anthropic::Body::new(request, model)),
            Self::OpenAi { has_completion_limit } => {
                serde_json::to_vec(&openai::Body::new(request, model, has_completion_limit))
            }
        };
        body.map_err(|error| ModelError::Misconfigured { key: "request", reason: error.to_string() })
    }

    /// A reader of the answer of the model that was `asked` for.
    pub(super) fn decoder(self, asked: &str) -> Decoder {
        let format = match self {
            Self::Anthropic => Format::Anthropic(anthropic::Decoder::default()),
            Self::OpenAi { .. } => Format::OpenAi(openai::Decoder::default()),
        };
        Decoder { format, asked: asked.to_owned(), has_started: false }
    }
}

/// How events are read; it has the state of one answer.
#[derive(Debug)]
pub(super) struct Decoder {
    format: Format,
    asked: String,
    has_started: bool,
}

#[derive(Debug)]
enum Format {
    Anthropic(anthropic::Decoder),
    OpenAi(openai::Decoder),
}

impl Decoder {
    /// Passes on what `event` means, which may be nothing. The first is always [`ModelEvent::Started`].
    pub(super) fn read(
        &mut self,
        event: &SseEvent,
        mut on_event: impl FnMut(ModelEvent),
    ) -> Result<(), ModelError> {
        if event.name == "error" {
            return Err(reported(&event.data));
        }
        let Self { format, asked, has_started } = self;
        let on_event = |event| {
            let is_start = matches!(event, ModelEvent::Started { .. });
            let is_first = !std::mem::replace(has_started, true);
            // llama.cpp forgets the beginning of a message whose first token is half a character.
            if is_first && !is_start {
                on_event(ModelEvent::Started { model: std::mem::take(asked) });
            }
            if is_first || !is_start {
                on_event(event);
            }
        };
        match format {
            Format::Anthropic(decoder) => decoder.read(&event.data, on_event),
            Format::OpenAi(decoder) => decoder.read(&event.data, on_event),
        }
    }
}

/// A failure that the server reports inside the stream.
pub(super) fn reported(data: &str) -> ModelError {
    let explanation = refusal::explanation(data.as_bytes());
    ModelError::Reported { kind: explanation.kind, message: explanation.message }
}

pub(super) fn parse<T: DeserializeOwned>(data: &str) -> Result<T, ModelError> {
    serde_json::from_str(data)
        .map_err(|error| ModelError::BadReply { reason: format!("an event is not as expected: {error}") })
}

/// Most servers leave an empty piece out, some don't.
pub(super) fn piece(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
