//! The tools of MCP servers, as tools of the mesh.
//!
//! ```text
//!  McpServer ── connects, lists, offers ──┬── ToolActor tools/NAME__A ─┐
//!     │  ▲                                └── ToolActor tools/NAME__B ─┤  each call, once there is a connection
//!     │  └ died, cut, tools changed                                    ▼
//!     └───────────────────────── a Connection ◄──────────────────── Line
//! ```
//!
//! What a server says is untrusted, like all that a tool says: it is text, bounded, and approves nothing. What it says of its own
//! tools ([`ServerSpec::trusts_hints`]) makes nothing easier unless its operator vouches for it.

mod answer;
mod child;
mod connection;
mod line;
mod message;
mod name;
mod offer;
mod progress;
mod server;
mod spec;
mod tool;
mod work;

pub use message::{DescribeMcpServer, McpServerState, OfferedTool};
pub use name::tool_name;
pub use progress::{PROGRESS_TOPIC, ToolProgress};
pub use server::{Dress, McpServer};
pub use spec::{InvalidServerSpec, Secret, ServerSpec, Transport};
