//! The Model Context Protocol with peers that nobody here wrote: its own test server, and its Python SDK.

mod client;
mod offered;
mod peers;
