//! Notices that a peer's process is gone before its silence does.

use super::Session;
use mesh_net::CloseCode;
use mesh_proto::frame::{Control, Features};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// How long a peer whose port seems closed has to answer a ping: four round trips, within these.
const PATIENCE_MIN: Duration = Duration::from_millis(60);
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// How often the answer is looked for.
const LOOK: Duration = Duration::from_millis(5);

impl Session {
    /// Watches the peer's port until the session ends, and closes the connection when nobody is there.
    ///
    /// A refusal may be forged, so it only makes us ask the peer itself; what it sends is authenticated. Without
    /// refusals, and for a peer that knows no pings, the idle timeout decides.
    pub(super) async fn watch_for_loss(self: Arc<Self>) {
        let pause = self.shared.loss_probe;
        if !self.peer.knows(Features::PINGS) {
            return;
        }
        let Some(mut probe) = self.connection.probe().await else { return };
        loop {
            if probe.is_refused(pause).await && !self.answers().await {
                tracing::info!(peer = %self.peer.name, "nobody listens at the peer's port, and no ping is answered");
                return self.close(CloseCode::Unanswered, "no ping is answered");
            }
        }
    }

    /// Whether the peer gives a sign of life.
    ///
    /// The port is not asked a second time: a kernel answers just once a second, and the peer's own retransmissions use
    /// that up.
    async fn answers(&self) -> bool {
        let before = self.connection.heard();
        self.control(&Control::Ping);
        let end = Instant::now() + (self.connection.rtt() * 4).clamp(PATIENCE_MIN, PATIENCE_MAX);
        while Instant::now() < end {
            sleep(LOOK).await;
            if self.connection.heard() != before {
                return true;
            }
        }
        false
    }
}
