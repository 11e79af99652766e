//! The durable agents that a node's binary brings.

use mesh::Mesh;
use mesh_agents::durable::{DurableAgent, RunError, RunSettings, Runs, RunsActor};
use mesh_agents::workflows::{DurableWorkflows, Workflows};
use mesh_store::Store;

use super::Node;
use crate::config::NodeSettings;
use crate::error::NodeError;

type Addition = Box<dyn FnOnce(Runs) -> Result<Runs, RunError> + Send>;

/// What is to be added to the node's runs once its store is open.
#[derive(Default)]
pub(super) struct Durable {
    additions: Vec<(&'static str, Addition)>,
}

impl Durable {
    /// Publishes `NODE/runs` with every kind.
    pub(super) fn publish(
        &mut self,
        mesh: &Mesh,
        store: &Store,
        settings: &NodeSettings,
    ) -> Result<(), NodeError> {
        let run_settings = RunSettings { lease: settings.run_lease, ..RunSettings::default() };
        let mut runs = Runs::new(store.clone(), &mesh.node_name()).settings(run_settings);
        for (kind, add) in self.additions.drain(..) {
            runs = add(runs).map_err(|source| NodeError::Durable { kind: kind.to_owned(), source })?;
        }
        RunsActor::publish(mesh, runs)?;
        Ok(())
    }
}

impl Node {
    /// Runs workflow files, and keeps the runs of those that have checkpoints among the node's durable runs.
    pub(crate) fn with_workflows(mut self) -> Self {
        let stored = DurableWorkflows::new();
        let kind = stored.clone();
        let add: Addition = Box::new(move |runs| kind.add_to(runs));
        self.durable.additions.push((DurableWorkflows::KIND, add));
        self.on_start(move |mesh| Workflows::publish_with(mesh, &stored).map(drop))
    }

    /// Lets runs of a durable agent be started on this node as `kind`, and taken up that another node has left:
    /// `meshctl runs start KIND --task TEXT`. `make` makes the agent whenever a run is taken up.
    pub fn durable<A: DurableAgent>(
        mut self,
        kind: &'static str,
        make: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        self.durable.additions.push((kind, Box::new(move |runs| runs.agent(kind, make))));
        self
    }
}
