//! What one client may do on this node, by its own certificate.

use super::Trust;
use crate::{parking::Owner, shared::Shared};
use mesh_actor::AskError;
use mesh_net::{Credential, Endpoint};
use mesh_proto::Verb;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Refusals of one client that are told one by one: 10 in 1 s. The next one says how many were not.
const TOLD_MAX: u32 = 10;
const TOLD_PERIOD: Duration = Duration::from_secs(1);

/// A client that this node has a verified certificate of.
pub(crate) struct Access {
    credential: Credential,
    /// `client/NAME`: no node can be called so.
    label: Arc<str>,
    is_denied: AtomicBool,
    told: Mutex<Told>,
}

struct Told {
    since: Instant,
    count: u32,
    untold: u64,
}

impl Access {
    fn new(credential: Credential) -> Self {
        let label = format!("{}/{}", credential.peer.role.as_str(), credential.peer.name).into();
        let told = Told { since: Instant::now(), count: 0, untold: 0 };
        Self { credential, label, is_denied: AtomicBool::new(false), told: Mutex::new(told) }
    }

    /// Who it is, as handlers and logs see it.
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Whose streams its streams are.
    pub(crate) fn owner(&self) -> Owner {
        Owner { role: self.credential.peer.role, id: self.credential.peer.id }
    }

    /// Whether it may do that to an actor.
    pub(crate) fn allows(&self, verb: Verb, path: &str) -> bool {
        self.credential.grants.allows(verb, path)
    }

    /// Why nothing it asks for is done, although its grants may allow it.
    pub(crate) fn is_over(&self) -> Option<&'static str> {
        if self.is_denied.load(Ordering::Acquire) {
            return Some("it is on this node's deny list");
        }
        (self.credential.not_after < SystemTime::now()).then_some("its certificate has expired")
    }

    /// Whether it may open a channel to the actor at `path`: it may do something there.
    ///
    /// # Errors
    /// [`AskError::Denied`], which was noted.
    pub(crate) fn may_open(&self, path: &str, via: Option<&str>, trust: &Trust) -> Result<(), AskError> {
        let why = match self.is_over() {
            Some(why) => why,
            None if self.credential.grants.reaches(path) => return Ok(()),
            None => "nothing is granted to it there",
        };
        Err(self.refused(path, why, via, trust))
    }

    /// The error of what it may not do; counted and noted.
    pub(crate) fn refused(&self, path: &str, why: &str, via: Option<&str>, trust: &Trust) -> AskError {
        let denials = trust.denied();
        if let Some(untold) = self.told.lock().next() {
            tracing::warn!(
                target: "audit", who = %self.credential.peer, serial = self.credential.serial, actor = path,
                reason = why, via, denials, untold, "client is denied"
            );
        }
        AskError::Denied { path: path.to_owned(), reason: format!("{}: {why}", self.label) }
    }
}

impl Told {
    /// How many refusals were not told before this one; `None` if this one is not told either.
    fn next(&mut self) -> Option<u64> {
        let now = Instant::now();
        if now.duration_since(self.since) >= TOLD_PERIOD {
            (self.since, self.count) = (now, 0);
        }
        if self.count >= TOLD_MAX {
            self.untold += 1;
            return None;
        }
        self.count += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

/// The clients that have channels here, by certificate.
#[derive(Default)]
pub(super) struct Guests {
    known: Mutex<HashMap<Box<[u8]>, Weak<Access>>>,
    /// The last that came, so that who comes again is the same one, also if it was refused.
    recent: Mutex<VecDeque<Arc<Access>>>,
}

/// Clients that are remembered although nothing of theirs is open: 64.
const RECENT_MAX: usize = 64;

impl Guests {
    fn of(&self, certificate: &[u8]) -> Option<Arc<Access>> {
        self.known.lock().get(certificate).and_then(Weak::upgrade)
    }

    fn admit(&self, credential: &Credential) -> Arc<Access> {
        let mut known = self.known.lock();
        if let Some(access) = known.get(credential.certificate()).and_then(Weak::upgrade) {
            return access;
        }
        known.retain(|_, access| access.strong_count() > 0);
        let access = Arc::new(Access::new(credential.clone()));
        known.insert(credential.certificate().into(), Arc::downgrade(&access));
        drop(known);
        let mut recent = self.recent.lock();
        recent.push_back(Arc::clone(&access));
        let oldest = if recent.len() > RECENT_MAX { recent.pop_front() } else { None };
        drop(recent);
        drop(oldest);
        access
    }

    /// The deny list is another one now.
    pub(super) fn look_again(&self, endpoint: &Endpoint) {
        for access in self.known.lock().values().filter_map(Weak::upgrade) {
            access.is_denied.store(endpoint.denies(&access.credential).is_some(), Ordering::Release);
        }
    }
}

impl Shared {
    /// The access of a client whose connection ends here.
    pub(crate) fn access(&self, credential: &Credential) -> Arc<Access> {
        self.trust.guests.admit(credential)
    }

    /// The access of a client that another node speaks for: what counts is its certificate, which is verified here.
    ///
    /// # Errors
    /// [`AskError::Denied`], which was noted.
    pub(crate) fn access_by(
        &self,
        certificate: &[u8],
        path: &str,
        via: &str,
    ) -> Result<Arc<Access>, AskError> {
        // One that has channels here was verified before; its time and the deny list are looked at always.
        if let Some(access) = self.trust.guests.of(certificate) {
            return Ok(access);
        }
        let verified = match self.membership() {
            Some(membership) => membership.endpoint.verify_client(certificate),
            None => Err("this is no node".to_owned()),
        };
        let credential = verified.map_err(|reason| {
            let denials = self.trust.denied();
            tracing::warn!(target: "audit", actor = path, via, reason, denials, "a client's certificate is not believed");
            AskError::Denied { path: path.to_owned(), reason: format!("the client's certificate: {reason}") }
        })?;
        Ok(self.access(&credential))
    }
}
