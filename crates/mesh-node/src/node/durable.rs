//! The durable agents that a node's binary brings.

use std::fs;

use mesh::Mesh;
use mesh_agents::Models;
use mesh_agents::approvals::Gate;
use mesh_agents::assistant::Assistant;
use mesh_agents::durable::{DurableAgent, RunError, RunSettings, Runs, RunsActor};
use mesh_agents::workflows::{DurableWorkflows, Workflows};
use mesh_store::Store;

use super::Node;
use crate::config::{AssistantSettings, NodeSettings};
use crate::error::NodeError;

type Addition = Box<dyn FnOnce(Runs) -> Result<Runs, RunError> + Send>;

/// What is to be added to the node's runs once its store is open.
#[derive(Default)]
pub(super) struct Durable {
    additions: Vec<(&'static str, Addition)>,
}

/// What the assistants of a node think with, and whom they ask.
pub(super) struct Mind<'a> {
    pub(super) models: Option<&'a Models>,
    pub(super) gate: Option<&'a Gate>,
}

impl Durable {
    /// Publishes `NODE/runs` with every kind.
    pub(super) fn publish(
        &mut self,
        mesh: &Mesh,
        store: &Store,
        settings: &NodeSettings,
        mind: &Mind<'_>,
    ) -> Result<(), NodeError> {
        let run_settings = RunSettings { lease: settings.run_lease, ..RunSettings::default() };
        let mut runs = Runs::new(store.clone(), &mesh.node_name()).settings(run_settings);
        for (kind, add) in self.additions.drain(..) {
            runs = add(runs).map_err(|source| NodeError::Durable { kind: kind.to_owned(), source })?;
        }
        for assistant in settings.assistants.iter().filter(|one| one.is_for(&settings.labels)) {
            runs = with_assistant(runs, assistant, mind)?;
        }
        RunsActor::publish(mesh, runs)?;
        Ok(())
    }
}

fn with_assistant(runs: Runs, settings: &AssistantSettings, mind: &Mind<'_>) -> Result<Runs, NodeError> {
    let refused = |reason: String| NodeError::Actor { name: settings.name.clone(), reason };
    let prices = settings.prices.as_ref().map(|path| {
        fs::read_to_string(path).map_err(|error| refused(format!("{}: {error}", path.display())))
    });
    let spec = settings.spec(prices.transpose()?.as_deref()).map_err(refused)?;
    let mut assistant = Assistant::new(spec);
    if let Some(models) = mind.models {
        assistant = assistant.models(models.clone());
    }
    if let Some(gate) = mind.gate {
        assistant = assistant.gate(gate.clone());
    }
    tracing::info!(kind = settings.name, "assistant can be started");
    let added = runs.agent(&settings.name, move || assistant.clone());
    added.map_err(|source| NodeError::Durable { kind: settings.name.clone(), source })
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
