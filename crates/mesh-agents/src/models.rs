//! What the agents of one node think with.

use std::sync::Arc;

use mesh_models::Provider;

/// How a node of the binary mesh-node gets its model; for errors, since this crate reads no environment.
pub(crate) const HOW_TO_GET_ONE: &str =
    "start one with MESH_MODEL_URL, ANTHROPIC_API_KEY or OPENAI_API_KEY in its environment";

/// The model provider of a node's agents. A node hands it to them as an extension:
///
/// ```no_run
/// use std::sync::Arc;
/// use mesh::{Node, NodeConfig};
/// use mesh_agents::{Agent, Models};
/// use mesh_models::{HttpProvider, ModelError, ModelSettings, Timeouts};
///
/// # fn example() -> Result<(), ModelError> {
/// let settings = ModelSettings::openai_compatible("http://127.0.0.1:8080/v1", "smollm2");
/// let models = Models::new(Arc::new(HttpProvider::new(settings, Timeouts::default())?));
/// let node = Node::builder(NodeConfig::default())
///     .extension(Arc::new(models))
///     .register::<Agent>("agent");
/// # drop(node);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Models {
    provider: Arc<dyn Provider>,
    only: Option<String>,
}

impl Models {
    /// The models of this provider; each agent says which, or takes the provider's default.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, only: None }
    }

    /// Gives every agent the model `name`, whatever it asks for: what `MESH_MODEL` means.
    #[must_use]
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.only = Some(name.into());
        self
    }

    pub(crate) fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// The model that an agent gets which asks for `wanted`; `None` is the provider's default.
    pub(crate) fn choose(&self, wanted: Option<&str>) -> Option<String> {
        self.only.as_deref().or(wanted).map(str::to_owned)
    }
}
