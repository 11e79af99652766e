//! The one trait between an agent and a model.

use std::fmt;

use crate::{ChatRequest, ModelError, ModelStream};

/// A future on the heap that borrows nothing, so that an actor can keep it beyond one handler.
pub type BoxFuture<T> = futures::future::BoxFuture<'static, T>;

/// Something that answers chat requests with a stream of events.
///
/// Implement it for a recorded model in tests: [`ModelStream::of`] makes a stream of ready events.
///
/// ```
/// use mesh_models::{BoxFuture, ChatRequest, FinishReason, ModelError, ModelEvent, ModelStream, Provider};
///
/// #[derive(Debug)]
/// struct Parrot;
///
/// impl Provider for Parrot {
///     fn stream(&self, request: ChatRequest) -> BoxFuture<Result<ModelStream, ModelError>> {
///         let echo = request.messages.last().map(|message| message.text.clone()).unwrap_or_default();
///         Box::pin(async move {
///             Ok(ModelStream::of([
///                 Ok(ModelEvent::Text(echo)),
///                 Ok(ModelEvent::Finished { reason: FinishReason::Stop }),
///             ]))
///         })
///     }
/// }
/// ```
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Sends `request` and resolves once the server has accepted it.
    ///
    /// # Errors
    /// Those of [`ModelError`] that come before the first event: a server that is unreachable or refuses, a limit
    /// that passes, settings that don't fit. What goes wrong later is an item of the stream.
    ///
    /// # Cancel safety
    /// Dropping the future, or later the stream, ends the request and closes its connection.
    fn stream(&self, request: ChatRequest) -> BoxFuture<Result<ModelStream, ModelError>>;
}
