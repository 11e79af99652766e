//! A stored run as it goes on in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::drive::Drive;
use super::super::item::Around;
use super::super::placement::Placement;
use super::brief::Brief;
use super::record::Known;
use crate::durable::{RunContext, StepError};
use crate::workflow::{Plan, Run};

/// A run, with what it has brought so far.
pub(super) struct Live {
    pub(super) plan: Arc<Plan>,
    pub(super) drive: Drive,
    around: Arc<Around>,
}

impl Live {
    pub(super) fn may_have_run(&self) -> bool {
        self.around.asked.load(Ordering::Relaxed) > 0
    }
}

/// Reads a run from the store.
pub(super) async fn open(cx: &RunContext, placement: Placement) -> Result<Live, StepError> {
    let Some(mesh) = cx.mesh().cloned() else {
        return Err(StepError::new("NO_MESH", "a workflow needs a mesh to find its agents").fatal());
    };
    let brief = Brief::read(cx.task()).map_err(|reason| StepError::new("BAD_TASK", reason).fatal())?;
    let given = brief.given(cx.store()).await?;
    let plan = given.plan;
    let known = Known::read(cx, &plan).await?;
    // Agents of an earlier life of the run may still be there.
    let run = format!("runs/{}/{}", cx.run(), cx.lease().epoch);
    let asked = AtomicUsize::new(0);
    let around = Arc::new(Around { mesh, placement, plan: Arc::clone(&plan), run, asked });
    let drive = Drive::new(Arc::clone(&around), Run::new(Arc::clone(&plan), given.task)).known(known);
    Ok(Live { plan, drive, around })
}
