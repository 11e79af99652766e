//! Tools that can be shown to a model.

use futures::future::BoxFuture;

use super::error::ToolError;
use super::ledger::Callable;
use super::message::ToolDescription;
use super::set::ToolSet;
use super::toolbox::ToolBox;

/// Whatever can make calls, and say what the tools are: those of this process ([`ToolSet`]), or those of the mesh
/// ([`ToolBox`]).
pub trait Offered: Callable {
    /// What a tool is.
    fn describe<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<ToolDescription, ToolError>>;
}

impl Offered for ToolSet {
    fn describe<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<ToolDescription, ToolError>> {
        let found = self.get(tool).map(|tool| tool.description()).ok_or_else(|| ToolError::unknown(tool));
        Box::pin(std::future::ready(found))
    }
}

impl Offered for ToolBox {
    fn describe<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<ToolDescription, ToolError>> {
        Box::pin(self.describe(tool))
    }
}
