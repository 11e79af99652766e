//! Channels of clients: to actors of this node, and one hop further.

use super::Session;
use crate::{
    channel::Channel,
    port::{GuardedPort, Local, Port},
    shared::{Place, no_such_actor},
};
use mesh_actor::AskError;
use mesh_net::Role;
use mesh_proto::frame::{Control, Features};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How long a client's channel stays open behind it: 5 s. What the client has sent is on its way in a lane, which the
/// word that the channel closes would overtake.
const LINGER: Duration = Duration::from_secs(5);

impl Session {
    /// Opens a channel to an actor of this node: for a client by its grants, for a node as it is.
    pub(super) fn open_here(self: &Arc<Self>, channel: u32, path: &str, local: Arc<dyn Local>) {
        if self.peer.role == Role::Node {
            return self.open_inlet(channel, path, &local.as_port());
        }
        let access = self.shared.access(self.credential());
        let full = self.shared.full_path(path);
        if let Err(error) = access.may_open(&full, None, &self.shared.trust) {
            return self.refuse_open(channel, &error);
        }
        let port: Arc<dyn Port> = GuardedPort::new(local, self, access, None, &full);
        self.open_inlet(channel, path, &port);
    }

    /// Says that there is nothing at `path`; but not to a client that may not know.
    pub(super) fn refuse_guest(self: &Arc<Self>, channel: u32, path: &str, error: &AskError) {
        let is_bad = matches!(error, AskError::BadPath { .. });
        let denied = if self.peer.role == Role::Client && !is_bad {
            let full = self.shared.full_path(path);
            self.shared.access(self.credential()).may_open(&full, None, &self.shared.trust)
        } else {
            Ok(())
        };
        self.refuse_open(channel, denied.as_ref().err().unwrap_or(error));
    }

    /// A node opens a channel for a client of its own. Who that is, and what it may do, says the certificate alone.
    pub(super) fn on_open_for(self: &Arc<Self>, channel: u32, path: &str, certificate: &[u8]) {
        if self.peer.role != Role::Node {
            return self.violation("is a client, and speaks for another");
        }
        if !self.is_new_channel(channel) {
            return;
        }
        let local = match self.shared.place(path) {
            Ok(Place::Here(local)) => Ok(local),
            // One hop, never two.
            Ok(Place::There(_)) => Err(no_such_actor(path)),
            Err(error) => Err(error),
        };
        let full = self.shared.full_path(path);
        let via = &self.peer.name;
        let access = self.shared.access_by(certificate, &full, via);
        let access = access.and_then(|access| {
            access.may_open(&full, Some(via), &self.shared.trust)?;
            Ok(access)
        });
        match access.and_then(|access| Ok((access, local?))) {
            Ok((access, local)) => {
                let port: Arc<dyn Port> = GuardedPort::new(local, self, access, Some(Arc::clone(via)), &full);
                self.open_inlet(channel, path, &port);
            }
            Err(error) => self.refuse_open(channel, &error),
        }
    }

    /// A channel of its own for a client whose messages this node passes on to the peer.
    pub(super) fn channel_for(self: &Arc<Self>, path: &str, client: &Self) -> Result<Arc<Channel>, AskError> {
        if !self.peer.knows(Features::OPENS_FOR_CLIENTS) {
            return Err(self.lacks("grants of clients that come by other nodes: connect to it directly"));
        }
        let mut channels = self.channels.lock();
        channels.last += 1;
        let number = channels.last;
        let channel = Channel::new(Arc::clone(self), number, path);
        // Looked at under the lock that the session's end takes after it has said that it is over.
        if self.is_closed() {
            return Err(self.unreachable(false));
        }
        channels.by_number.insert(number, Arc::clone(&channel));
        drop(channels);
        let client = client.credential().certificate().to_vec();
        self.control(&Control::OpenFor { channel: number, path: path.to_owned(), client });
        Ok(channel)
    }

    /// Gives a client's channel up, once what is on its way there has arrived.
    pub(crate) fn retire_channel(self: &Arc<Self>, number: u32) {
        let session = Arc::clone(self);
        self.spawn(async move {
            sleep(LINGER).await;
            if session.channels.lock().by_number.remove(&number).is_some() {
                session.control(&Control::Close { channel: number });
            }
        });
    }
}
