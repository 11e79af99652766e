//! What a running node does for the trust in it: it follows the deny list, and keeps its certificate fresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_net::Identity;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::chain;
use crate::state::{FileDenials, NodeState, Signer, Stamp, StateFolder, is_due, stamp};

/// How often the files are looked at: a peer that is denied is cut off within two of these.
const LOOK: Duration = Duration::from_millis(500);
/// The pause between two attempts to renew a certificate that is due: a tenth of the time that is left, within these.
const RENEW_PAUSE_MIN: Duration = Duration::from_secs(1);
const RENEW_PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Follows the files of a node's state folder.
pub(crate) struct Guard<'a> {
    node: &'a mesh::Node,
    state: &'a NodeState,
    identity: Identity,
    certificate: PathBuf,
    seen: [Stamp; 2],
}

impl<'a> Guard<'a> {
    pub(crate) fn new(node: &'a mesh::Node, state: &'a NodeState) -> Self {
        let certificate = state.certificate_path();
        let seen = [None, stamp(&certificate)];
        Self { node, state, identity: state.identity().clone(), certificate, seen }
    }

    /// Looks for as long as it is not dropped.
    pub(crate) async fn watch(mut self) {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_renewal = Instant::now();
        loop {
            tick.tick().await;
            self.follow_denied().await;
            self.follow_certificate();
            if next_renewal <= Instant::now() && is_due(self.identity.credential()) {
                self.renew().await;
                let left = self.identity.credential().not_after.duration_since(SystemTime::now());
                let pause = left.unwrap_or_default() / 10;
                next_renewal = Instant::now() + pause.clamp(RENEW_PAUSE_MIN, RENEW_PAUSE_MAX);
            }
        }
    }

    /// Somebody may have changed the list by hand, or another node of the folder has.
    async fn follow_denied(&mut self) {
        let now = stamp(self.state.denied().path());
        if now == self.seen[0] {
            return;
        }
        self.seen[0] = now;
        // The last good list holds: a slip of the hand lets nobody in.
        if let Err(error) = self.node.reread_denials().await {
            tracing::error!(error = %chain(&error), "deny list cannot be read, the last one holds");
        }
    }

    /// Somebody may have put another certificate there.
    fn follow_certificate(&mut self) {
        let now = stamp(&self.certificate);
        if now == self.seen[1] {
            return;
        }
        self.seen[1] = now;
        match self.state.reread() {
            Ok(identity) if identity.credential() != self.identity.credential() => self.show(identity),
            Ok(_) => {}
            Err(error) => tracing::error!(error = %chain(&error), "the certificate cannot be read"),
        }
    }

    async fn renew(&mut self) {
        let renewed = match self.state.signer() {
            Signer::Own(authority) => authority
                .renew(self.identity.credential().certificate())
                .and_then(|certificate| self.identity.renewed(&certificate))
                .map_err(|error| chain(&error)),
            Signer::Elsewhere(_) => self.node.renew(&self.identity).await.map_err(|error| chain(&error)),
        };
        let stored = renewed.and_then(|identity| {
            self.state.store_certificate(&identity).map_err(|error| chain(&error)).map(|()| identity)
        });
        match stored {
            Ok(identity) => {
                self.seen[1] = stamp(&self.certificate);
                self.show(identity);
            }
            Err(error) => tracing::warn!(error, "certificate runs out, and cannot be renewed yet"),
        }
    }

    fn show(&mut self, identity: Identity) {
        match self.node.set_identity(&identity) {
            Ok(()) => {
                let serial = &identity.credential().serial;
                tracing::info!(target: "audit", serial, "a new certificate is shown");
                self.identity = identity;
            }
            Err(error) => tracing::error!(error = %chain(&error), "the new certificate cannot be used"),
        }
    }
}

/// Where the nodes of a state folder keep who is denied in the mesh.
pub(crate) fn denials(state: StateFolder) -> Arc<dyn mesh::DenialStore> {
    Arc::new(FileDenials::new(state))
}

/// What lets a node issue certificates, if it has the authority's key.
pub(crate) fn issuer(state: &NodeState, ledger: crate::state::FileLedger) -> Option<Arc<mesh_net::Issuer>> {
    match state.signer() {
        Signer::Own(authority) => {
            Some(Arc::new(mesh_net::Issuer::new(Arc::clone(authority), Arc::new(ledger))))
        }
        Signer::Elsewhere(_) => None,
    }
}
