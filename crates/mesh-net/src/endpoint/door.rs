//! Who may come in, and who has to go, beside what TLS decides.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};

use super::{ConnectError, Endpoint, Kind};
use crate::close::CloseCode;
use crate::connection::{Connection, WeakConnection};
use crate::enroll::Registrar;
use crate::identity::{Credential, DenyList, Identity, IdentityError, Role};
use crate::told::Told;

/// The deny list of an endpoint, and the connections that it applies to.
#[derive(Default)]
pub(super) struct Door {
    denied: RwLock<Arc<DenyList>>,
    inside: Mutex<Vec<WeakConnection>>,
    told: Told,
}

impl Door {
    /// Lets a connection in, unless its peer is denied.
    pub(super) fn admit(&self, connection: Connection) -> Result<Connection, ConnectError> {
        {
            let mut inside = self.inside.lock();
            inside.retain(|known| known.upgrade().is_some_and(|known| known.close_reason().is_none()));
            inside.push(connection.downgrade());
        }
        // After it was noted: a list that comes meanwhile finds it there, or is found here.
        let denied = Arc::clone(&self.denied.read());
        match self.turn_away(&denied, &connection) {
            Some(reason) => Err(ConnectError::Certificate { addr: connection.remote_addr(), reason }),
            None => Ok(connection),
        }
    }

    fn deny(&self, list: DenyList) {
        let list = Arc::new(list);
        *self.denied.write() = Arc::clone(&list);
        let inside: Vec<_> = self.inside.lock().iter().filter_map(WeakConnection::upgrade).collect();
        for connection in inside {
            self.turn_away(&list, &connection);
        }
    }

    /// Closes the connection of a denied peer, and says why.
    fn turn_away(&self, list: &DenyList, connection: &Connection) -> Option<String> {
        let reason = reason(list, connection.credential())?;
        if connection.close_reason().is_none() {
            // Who is denied goes on dialling.
            if let Some(untold) = self.told.next() {
                let (peer, addr) = (connection.peer(), connection.remote_addr());
                tracing::warn!(target: "audit", %peer, %addr, reason, untold, "connection is denied");
            }
            connection.close(CloseCode::Denied, &reason);
        }
        Some(reason)
    }

    fn reason(&self, credential: &Credential) -> Option<String> {
        reason(&self.denied.read(), credential)
    }
}

fn reason(list: &DenyList, credential: &Credential) -> Option<String> {
    list.denies(credential).map(|denied| format!("{} is on the deny list, as {denied}", credential.peer))
}

impl Endpoint {
    /// From now on, peers on this list are not let in, and their open connections are closed at once with
    /// [`CloseCode::Denied`].
    pub fn deny(&self, list: DenyList) {
        self.door.deny(list);
    }

    /// Whether a peer is denied here, and why.
    pub fn denies(&self, credential: &Credential) -> Option<String> {
        self.door.reason(credential)
    }

    /// From now on, handshakes show this identity: the same key with a new certificate. Open connections stay as they
    /// are.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when it can't be used for TLS.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), IdentityError> {
        match &self.kind {
            Kind::Quic(endpoint) => {
                endpoint.show(identity).map_err(|error| IdentityError::Key { reason: error.to_string() })
            }
            Kind::Memory(_) => Ok(()),
        }
    }

    /// From now on, machines without a certificate can ask this endpoint for one. Before, they are told that this node
    /// issues none. Enrolments are served while somebody calls [`accept`](Self::accept), eight at once.
    pub fn set_registrar(&self, registrar: Arc<dyn Registrar>) {
        match &self.kind {
            Kind::Quic(endpoint) => endpoint.set_registrar(registrar),
            // In memory identities are believed: nobody needs a certificate.
            Kind::Memory(_) => {}
        }
    }

    /// Reads the certificate (DER) of a client that another node speaks for, and believes it only if our own authority
    /// has signed it, it counts now, and it is not denied here.
    ///
    /// # Errors
    /// Why it is not believed, for people.
    pub fn verify_client(&self, certificate: &[u8]) -> Result<Credential, String> {
        let credential = match &self.kind {
            Kind::Quic(endpoint) => endpoint.verify_client(certificate)?,
            Kind::Memory(_) => Credential::of_memory(certificate)
                .filter(|credential| credential.not_after > SystemTime::now())
                .ok_or("it is no certificate of this network")?,
        };
        if credential.peer.role != Role::Client {
            return Err(format!("{} is no client", credential.peer));
        }
        match self.denies(&credential) {
            Some(reason) => Err(reason),
            None => Ok(credential),
        }
    }
}
