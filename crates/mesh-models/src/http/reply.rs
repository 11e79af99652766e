//! The answer as it arrives.

use std::collections::VecDeque;

use futures::stream;
use reqwest::Response;

use super::connection::root_cause;
use super::dialect::Decoder;
use super::limits::Limits;
use super::refusal::Redaction;
use super::sse::SseParser;
use crate::{ModelError, ModelEvent, ModelStream, TimeoutPhase};

/// The events of `response`, read one piece at a time and only when asked for.
pub(super) fn stream(
    response: Response,
    limits: Limits,
    decoder: Decoder,
    redaction: &Redaction,
) -> ModelStream {
    let reply = Reply {
        response,
        limits,
        parser: SseParser::default(),
        decoder,
        redaction: redaction.clone(),
        ready: VecDeque::new(),
        has_begun: false,
    };
    ModelStream::new(stream::unfold(reply, |mut reply| async {
        let event = reply.next().await;
        Some((event, reply))
    }))
}

struct Reply {
    response: Response,
    limits: Limits,
    parser: SseParser,
    decoder: Decoder,
    redaction: Redaction,
    /// Events of the last piece; the piece bounds their number.
    ready: VecDeque<Result<ModelEvent, ModelError>>,
    has_begun: bool,
}

impl Reply {
    async fn next(&mut self) -> Result<ModelEvent, ModelError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.log_end(&event);
                return event;
            }
            let phase = if self.has_begun { TimeoutPhase::Idle } else { TimeoutPhase::FirstByte };
            let piece = self.limits.within(phase, self.response.chunk()).await?;
            match piece {
                Ok(Some(piece)) => self.read(&piece),
                Ok(None) => return Err(cut("the connection ended before the last event")),
                Err(error) => return Err(cut(&root_cause(&error))),
            }
        }
    }

    fn read(&mut self, piece: &[u8]) {
        self.has_begun = true;
        let Self { parser, decoder, redaction, ready, .. } = self;
        let read = parser.push(piece, |event| {
            if let Err(error) = decoder.read(&event, |event| ready.push_back(Ok(event))) {
                ready.push_back(Err(redacted(error, redaction)));
            }
        });
        if let Err(error) = read {
            ready.push_back(Err(error));
        }
    }

    fn log_end(&self, event: &Result<ModelEvent, ModelError>) {
        let elapsed_ms = u64::try_from(self.limits.elapsed().as_millis()).unwrap_or(u64::MAX);
        match event {
            Ok(ModelEvent::Finished { reason }) => {
                tracing::debug!(elapsed_ms, %reason, "model has answered");
            }
            Err(error) => tracing::debug!(elapsed_ms, code = error.code(), "model failed while answering"),
            Ok(_) => {}
        }
    }
}

fn cut(reason: &str) -> ModelError {
    ModelError::Truncated { reason: reason.to_owned() }
}

fn redacted(error: ModelError, redaction: &Redaction) -> ModelError {
    match error {
        ModelError::Reported { kind, message } => {
            ModelError::Reported { kind, message: redaction.clean(&message) }
        }
        other => other,
    }
}
