//! Telling a client how far its call is.

use std::convert::Infallible;
use std::future::pending;

use mesh::Mesh;
use mesh_agents::tools::Call;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};

use crate::client::{PROGRESS_TOPIC, ToolProgress};

/// Tells a client that wants to know; others nothing.
pub(super) struct Teller {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
}

impl Teller {
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        Self { to: context.meta.get_progress_token().map(|token| (context.peer.clone(), token)) }
    }

    pub(super) async fn tell(&self, progress: f64, total: Option<f64>, message: String) {
        let Some((peer, token)) = &self.to else { return };
        let mut said = ProgressNotificationParam::new(token.clone(), progress).with_message(message);
        if let Some(total) = total {
            said = said.with_total(total);
        }
        // The answer is what counts; a client that is gone gets neither.
        let _ = peer.notify_progress(said).await;
    }

    /// Passes on what the node that makes the call tells of it, for as long as it is polled. Who may not follow the topic hears
    /// nothing.
    pub(super) async fn follow(&self, mesh: &Mesh, call: &Call) -> Infallible {
        use mesh::WireMessage;
        if self.to.is_none() {
            return pending().await;
        }
        let Ok(mut following) = mesh.follow(PROGRESS_TOPIC, Some(ToolProgress::KIND)).await else {
            return pending().await;
        };
        let call = call.id.to_string();
        while let Some(published) = following.next().await {
            let Ok(published) = published else { break };
            match serde_json::from_str::<ToolProgress>(&published.body) {
                Ok(said) if said.call == call => self.tell(said.progress, said.total, said.message).await,
                Ok(_) | Err(_) => {}
            }
        }
        pending().await
    }
}
