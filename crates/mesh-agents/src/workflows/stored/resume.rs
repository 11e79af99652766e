//! Taking up a run that is in the store.

use mesh::{Context, Handler, Mesh, Retry};
use mesh_store::{RunId, StoreError};

use super::super::create::{Workflows, refused};
use super::super::message::{Refused, ResumeWorkflow, Resumed};
use super::super::name;
use super::{Brief, DurableWorkflows, FollowActor};
use crate::durable::{RunError, Runs};

impl Handler<ResumeWorkflow> for Workflows {
    async fn handle(&mut self, resume: ResumeWorkflow, _: &mut Context<Self>) -> Result<Resumed, Refused> {
        let Some((of, runs)) = self.stored.as_ref().and_then(|of| Some((of, of.runs()?))) else {
            let message = format!("node {} keeps no runs of workflows", self.mesh.node_name());
            return Err(refused("NO_SUCH_RUN", message));
        };
        let unknown = |reason: &dyn std::fmt::Display| {
            let (node, run) = (self.mesh.node_name(), &resume.run);
            refused(
                "NO_SUCH_RUN",
                format!("the store of node {node} has no run {run:.100} of a workflow: {reason}"),
            )
        };
        let run: RunId = resume.run.parse().map_err(|error| unknown(&error))?;
        let found = match runs.store().run(&run).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => {
                return Err(unknown(&"a run in a node's own store goes on at that node alone"));
            }
            Err(error) => return Err(unread(&error.into())),
        };
        if found.kind.as_str() != DurableWorkflows::KIND {
            return Err(unknown(&format!("it is one of {}; see `meshctl runs`", found.kind)));
        }
        let document = runs.document(&run).await.map_err(|error| unread(&error))?;
        let brief = Brief::read(&document.context.task).map_err(|reason| unknown(&reason))?;
        if let Some(hash) = resume.file_hash.filter(|hash| *hash != brief.file) {
            let message = format!(
                "{} has changed since run {run} was started by it: it had the hash {}, and has {hash}",
                brief.workflow, brief.file
            );
            return Err(refused("FILE_CHANGED", message));
        }
        let given = brief.given(runs.store()).await;
        let plan = given.map_err(|error| refused("BAD_WORKFLOW", error.message()))?.plan;
        let path = follow(&self.mesh, of, runs, &run)?;
        let stages = plan.stages.iter().map(|stage| stage.name.clone()).collect();
        Ok(Resumed { path, file: brief.workflow, file_hash: brief.file, stages })
    }
}

/// Spawns the actor through which a run is read, and gives its path.
pub(in crate::workflows) fn follow(
    mesh: &Mesh,
    of: &DurableWorkflows,
    runs: &Runs,
    run: &RunId,
) -> Result<String, Refused> {
    let name = name::reader(run.as_str());
    let spec = mesh::ActorSpec::new(&name).mailbox(4).restart(mesh::Restart::Temporary);
    let actor = mesh.spawn(spec, {
        let (mesh, of, runs, run) = (mesh.clone(), of.clone(), runs.clone(), run.clone());
        move || FollowActor::new(mesh.clone(), of.clone(), runs.clone(), run.clone())
    });
    if let Err(error) = mesh.publish(&name, &actor) {
        actor.stop();
        return Err(refused("NOT_PUBLISHED", error.to_string()));
    }
    Ok(format!("{}/{name}", mesh.node_name()))
}

fn unread(error: &RunError) -> Refused {
    let transient = matches!(error, RunError::Store(error) if error.is_transient());
    let retry = if transient { Retry::Backoff } else { Retry::Never };
    Refused { retry, ..refused(error.code(), error.to_string()) }
}
