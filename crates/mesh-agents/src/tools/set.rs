//! The tools of one process.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use mesh::{Mesh, PublishError};
use mesh_store::CallPolicy;
use serde_json::Value;

use super::actor::ToolActor;
use super::call::{Call, CallId, Ended, Ending};
use super::error::ToolError;
use super::hooked::HookedTool;
use super::ledger::Callable;
use super::record::{Log, Record};
use super::stats::Stats;
use super::tool::Probe;

/// Tools by their names, to be called in this process or published on its node. Calls of tools that are not there are
/// recorded too.
#[derive(Debug)]
pub struct ToolSet {
    tools: BTreeMap<String, Arc<HookedTool>>,
    unknown: Log,
}

impl Default for ToolSet {
    fn default() -> Self {
        Self { tools: BTreeMap::new(), unknown: Log::new("") }
    }
}

impl ToolSet {
    /// With this tool; it takes the place of one of the same name.
    #[must_use]
    pub fn with(mut self, tool: HookedTool) -> Self {
        self.tools.insert(tool.spec().name.clone(), Arc::new(tool));
        self
    }

    /// The tool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<HookedTool>> {
        self.tools.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<HookedTool>> {
        self.tools.values()
    }

    /// Makes a call.
    ///
    /// # Cancel safety
    /// As of [`HookedTool::call`].
    pub async fn call(&self, call: Call) -> Ended {
        if let Some(tool) = self.tools.get(&call.tool) {
            return tool.call(call).await;
        }
        let recording = self.unknown.begin(&call);
        let result = Err(ToolError::unknown(&call.tool));
        let ended = Ended { result, ending: Ending::Refused, elapsed: std::time::Duration::ZERO };
        recording.end(&call, &ended, 0);
        ended
    }

    /// How the calls of each tool went.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, Stats> {
        self.tools.iter().map(|(name, tool)| (name.clone(), tool.stats())).collect()
    }

    /// The latest calls of tools that are not there: at most 256.
    #[must_use]
    pub fn unknown(&self) -> Vec<Record> {
        self.unknown.records()
    }

    /// Spawns and publishes all of them on a node.
    ///
    /// # Errors
    /// [`PublishError`] at the first name that is taken; those before it are there.
    pub fn publish(&self, mesh: &Mesh) -> Result<(), PublishError> {
        self.tools.values().try_for_each(|tool| ToolActor::publish(mesh, Arc::clone(tool)).map(drop))
    }
}

impl Callable for ToolSet {
    fn policy<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<CallPolicy, ToolError>> {
        let policy = self.tools.get(tool).map(|tool| tool.spec().policy);
        Box::pin(std::future::ready(policy.ok_or_else(|| ToolError::unknown(tool))))
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move { self.call(call).await.result })
    }

    fn probe<'a>(&'a self, tool: &'a str, call: CallId) -> BoxFuture<'a, Result<Probe<Value>, ToolError>> {
        Box::pin(async move {
            let tool = self.tools.get(tool).ok_or_else(|| ToolError::unknown(tool))?;
            tool.probe(call).await
        })
    }
}
