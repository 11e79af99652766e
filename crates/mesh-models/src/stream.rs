//! The stream of a model's answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{self, BoxStream, Stream, StreamExt};

use crate::{Collected, ModelError, ModelEvent};

/// The events of one answer, as they come.
///
/// It ends after [`ModelEvent::Finished`] or after an error, whichever comes first, and never in any other way: a
/// source that stops early yields [`ModelError::Truncated`]. Nothing is read ahead, so a slow reader slows the server.
///
/// Dropping it ends the request: the provider closes the connection and the server stops writing.
pub struct ModelStream {
    source: BoxStream<'static, Result<ModelEvent, ModelError>>,
    is_over: bool,
}

impl ModelStream {
    /// A stream of whatever `source` yields.
    pub fn new(source: impl Stream<Item = Result<ModelEvent, ModelError>> + Send + 'static) -> Self {
        Self { source: source.boxed(), is_over: false }
    }

    /// A stream of ready events, for recorded models.
    #[must_use]
    pub fn of<I>(events: I) -> Self
    where
        I: IntoIterator<Item = Result<ModelEvent, ModelError>>,
        I::IntoIter: Send + 'static,
    {
        Self::new(stream::iter(events))
    }

    /// Reads the stream to its end and returns the whole answer.
    ///
    /// # Errors
    /// The error with which the stream ended, or [`ModelError::BadReply`] for an answer of more than 4 MiB.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request; what had come is lost.
    pub async fn collected(mut self) -> Result<Collected, ModelError> {
        let mut collected = Collected::default();
        while let Some(event) = self.next().await {
            collected.push(event?)?;
        }
        Ok(collected)
    }
}

impl Stream for ModelStream {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let event = std::task::ready!(self.source.poll_next_unpin(cx)).unwrap_or_else(|| {
            Err(ModelError::Truncated { reason: "the stream stopped without saying why".to_owned() })
        });
        self.is_over = matches!(event, Ok(ModelEvent::Finished { .. }) | Err(_));
        if self.is_over {
            // The connection is of no more use; a reader may keep the stream around for long.
            self.source = stream::empty().boxed();
        }
        Poll::Ready(Some(event))
    }
}

impl fmt::Debug for ModelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelStream").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FinishReason;

    fn text(text: &str) -> Result<ModelEvent, ModelError> {
        Ok(ModelEvent::Text(text.to_owned()))
    }

    #[tokio::test]
    async fn a_source_that_stops_early_ends_in_an_error() {
        let events: Vec<_> = ModelStream::of([text("half")]).collect().await;
        assert!(matches!(events[..], [Ok(_), Err(ModelError::Truncated { .. })]), "{events:?}");
    }

    #[tokio::test]
    async fn nothing_follows_the_end() {
        let end = Ok(ModelEvent::Finished { reason: FinishReason::Stop });
        let events: Vec<_> = ModelStream::of([text("all"), end.clone(), text("more")]).collect().await;
        assert_eq!(events, [text("all"), end]);
    }
}
