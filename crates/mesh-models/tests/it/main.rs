//! Models over real HTTP on loopback: the server is a socket that writes what the test says.

#![expect(clippy::unwrap_used, reason = "a fixture that breaks fails its test")]

mod anthropic;
mod cancel;
mod embeddings;
mod failures;
mod limits;
mod openai;
mod server;
mod tools;
