//! Which kinds a node's settings want, and which its binary has; and the actors of those kinds.

use std::collections::BTreeSet;

use mesh::Mesh;

use super::Node;
use crate::config::{NodeSettings, Problem};
use crate::error::NodeError;

/// The agents of this node whose kind its binary does not have.
pub(super) fn unknown_kinds(
    settings: &NodeSettings,
    kinds: &BTreeSet<&str>,
    file: Option<&str>,
) -> Vec<Problem> {
    let known: Vec<&str> = kinds.iter().copied().collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let place = |index| match file {
        Some(file) => format!("{file}: agents[{index}].kind"),
        None => format!("agents[{index}].kind"),
    };
    let agents = settings.agents.iter().enumerate();
    agents
        // One file may serve nodes of several binaries.
        .filter(|(_, agent)| agent.is_for(&settings.labels) && !kinds.contains(agent.kind.as_str()))
        .map(|(index, agent)| {
            Problem::new(place(index), format!("this node has no kind {:?}; there are: {known}", agent.kind))
        })
        .collect()
}

impl Node {
    /// Spawns the actors that the settings name.
    pub(super) async fn spawn_agents(&self, mesh: &Mesh) -> Result<(), NodeError> {
        for agent in self.settings.agents.iter().filter(|agent| agent.is_for(&self.settings.labels)) {
            let spawned =
                mesh.spawn_kind(&mesh.node_name(), &agent.kind, &agent.name, &agent.args.to_string()).await;
            spawned
                .map_err(|error| NodeError::Actor { name: agent.name.clone(), reason: error.to_string() })?;
        }
        Ok(())
    }
}
