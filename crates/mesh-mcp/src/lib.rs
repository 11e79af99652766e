//! The Model Context Protocol, both ways.
//!
//! ```text
//!  an MCP server ◄── stdio, or HTTP ──► McpServer (NODE/mcp/NAME) ── offers ──► NODE/tools/NAME__TOOL, a ToolActor each
//!                                          keeps the connection, and makes it anew
//!
//!  an MCP client ──► MeshServer, over stdio or HTTP ──► ToolBox and agents of the whole mesh, with a client's grants
//! ```
//!
//! - [`client`]: the tools of MCP servers become tools of the mesh, with everything that stands around those: schema, hooks,
//!   approvals, slots, time, records.
//! - [`server`]: the tools of the mesh, and agents that are named, for any client of MCP.
//!
//! The one crate that names rmcp, which speaks the protocol. It reads no file and no environment: who starts it brings values.
//! It starts the processes of the servers that it was told of, and opens the sockets of the protocol.

pub mod client;
pub mod server;

/// What we call ourselves to the other side.
fn ourselves() -> rmcp::model::Implementation {
    rmcp::model::Implementation::new("mesh", env!("CARGO_PKG_VERSION"))
}

/// The first part of a text, of at most so many bytes, and whether there was more.
fn cut(text: &str, bytes_max: usize) -> (&str, bool) {
    if text.len() <= bytes_max {
        return (text, false);
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    (&text[..end], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("añb", 4), ("añb", false));
        assert_eq!(cut("añb", 2), ("a", true));
        assert_eq!(cut("ñ", 0), ("", true));
    }
}
