//! Language models behind one streaming trait.
//!
//! ```text
//!  ChatRequest ──► Provider::stream ──► ModelStream ──► Started, Text…, Usage, Finished
//!                        │                                      │
//!                  HttpProvider                          Collected: the whole answer
//!            Anthropic · OpenAI-compatible
//! ```
//!
//! A [`Provider`] turns a [`ChatRequest`] into a [`ModelStream`]. A stream ends in exactly one of two ways: its last
//! item is [`ModelEvent::Finished`], or it is a [`ModelError`]; a reply that was cut short is never taken for a whole
//! one. Every wait on the server has a limit ([`Timeouts`]), and dropping the stream closes the connection, which is
//! how a model server learns to stop.
//!
//! [`HttpProvider`] speaks the Anthropic Messages API and the chat completions API of OpenAI, which llama.cpp, vLLM
//! and Ollama share.
//!
//! ```no_run
//! # async fn example() -> Result<(), mesh_models::ModelError> {
//! use mesh_models::{ChatRequest, HttpProvider, ModelSettings, Provider, Timeouts};
//!
//! let settings = ModelSettings::openai_compatible("http://127.0.0.1:8080/v1", "smollm2");
//! let model = HttpProvider::new(settings, Timeouts::default())?;
//! let answer = model.stream(ChatRequest::user("Why is the sea salty?")).await?.collected().await?;
//! assert!(!answer.text.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows no actors and no store. It reads no files and no environment: keys and addresses come in as
//! [`ModelSettings`]. (The one exception is the operating system's certificate store, for `https`.) It never retries:
//! [`ModelError::retry`] tells the caller whether to.

mod collected;
mod error;
mod event;
mod http;
mod provider;
mod request;
mod rounded;
mod settings;
mod stream;

pub use collected::Collected;
pub use error::{ModelError, TimeoutPhase};
pub use event::{FinishReason, ModelEvent, Usage};
pub use http::HttpProvider;
pub use mesh_resilience::Retry;
pub use provider::{BoxFuture, Provider};
pub use request::{ChatRequest, JsonSchema, Message, Role};
pub use rounded::Rounded;
pub use settings::{ModelSettings, ProviderKind, Secret, Timeouts};
pub use stream::ModelStream;
