//! Texts as vectors, so that what means alike is near.

use std::fmt;

use crate::{BoxFuture, ModelError};

/// Turns texts into vectors. All of one model have the same length; those of two models cannot be compared.
pub trait Embedder: fmt::Debug + Send + Sync + 'static {
    /// The model's name, under which its vectors are kept.
    fn model(&self) -> &str;

    /// A vector for each text, in their order.
    ///
    /// # Errors
    /// Those of [`ModelError`]. [`ModelError::BadReply`] also for a vector that is empty, all zeros, or not of numbers:
    /// nothing is near it, so it would be lost.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request.
    fn embed(&self, texts: Vec<String>) -> BoxFuture<Result<Vec<Vec<f32>>, ModelError>>;
}
