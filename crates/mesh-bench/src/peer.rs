//! What a peer must offer so that a row's workload can be run on it.
//!
//! A local peer spawns actors ([`LocalPeer`]); a remote peer is served by one process and driven from
//! another through a [`Client`]. Everything that differs between peers (runtimes, batching, who owns a stream)
//! lies behind these traits; what is measured lies in [`crate::workload`].

pub(crate) mod ours;
pub(crate) mod ractor;
pub(crate) mod raw_quinn;
pub(crate) mod tokio_mpsc;

use std::{future::Future, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Who is measured; the name is the same in JSON, in the table and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum PeerName {
    /// The mesh: a user's actor on the pool, its callers on the pool.
    Ours,
    /// The mesh: a trusted actor and its callers on the network's thread.
    OursTrusted,
    /// quinn by hand with mutual TLS: one long bidirectional stream, bulk on a unidirectional one.
    RawQuinn,
    /// The same, with small tells on a unidirectional stream too.
    RawQuinnUni,
    /// An actor of ractor with its unbounded queue.
    Ractor,
    /// A task behind a bounded channel of tokio.
    TokioMpsc,
}

impl PeerName {
    /// The name as printed.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursTrusted => "ours_trusted",
            Self::RawQuinn => "raw_quinn",
            Self::RawQuinnUni => "raw_quinn_uni",
            Self::Ractor => "ractor",
            Self::TokioMpsc => "tokio_mpsc",
        }
    }
}

/// What can start actors in this process.
pub(crate) trait LocalPeer {
    type Actor: LocalActor;

    /// Starts an actor on the current runtime, with a mailbox of 1024 where the peer has a bound.
    fn spawn(&self) -> impl Future<Output = Result<Self::Actor>> + Send;
}

/// An actor of this process; it ends with its runtime at the latest.
pub(crate) trait LocalActor: Clone + Send + 'static {
    /// Sends 64 bytes, waiting for room where the peer has a bound.
    fn tell(&self, body: [u8; 64]) -> impl Future<Output = Result<()>> + Send;

    /// Sends 64 bytes and waits until they come back.
    fn ask(&self, body: [u8; 64]) -> impl Future<Output = Result<[u8; 64]>> + Send;

    /// Tells handled so far, counted after those that this handle has sent.
    fn count(&self) -> impl Future<Output = Result<u64>> + Send;
}

/// An actor whose supervisor starts it again.
pub(crate) trait Crashing: LocalActor {
    /// Makes it crash, without waiting until it has.
    fn crash(&self) -> impl Future<Output = Result<()>> + Send;
}

/// The driving end of a connection to a node with actors 0 and 1.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    type Caller: Caller;
    type Sender: Sender;

    /// Independent callers of actor `target`; one alone may use a cheaper way than many.
    fn callers(&self, target: u32, count: u32) -> impl Future<Output = Result<Vec<Self::Caller>>> + Send;

    /// A sender of tells of `body_bytes` to actor `target`.
    fn sender(&self, target: u32, body_bytes: usize) -> impl Future<Output = Result<Self::Sender>> + Send;

    /// From now on actor `target` takes 1 ms for each tell.
    fn slow_down(&self, target: u32) -> impl Future<Output = Result<()>> + Send;
}

/// The driving end of a connection to a node with many actors, each behind a bounded mailbox of its own.
pub(crate) trait Crowd: Client {
    /// Tells actor `target` something that it never returns from; later messages of this client wait behind it.
    fn stick(&self, target: u32) -> impl Future<Output = Result<()>> + Send;

    /// Asks actor `target`; fails when `patience` ends or the node is lost.
    fn ask_within(&self, target: u32, patience: Duration) -> impl Future<Output = Result<()>> + Send;

    /// Tells actor `target`; false if it has no room within `patience`.
    fn tell_within(
        &self,
        target: u32,
        body: &Bytes,
        patience: Duration,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Messages that wait in the mailboxes of the whole node.
    fn queued(&self) -> impl Future<Output = Result<u64>> + Send;
}

/// One task's way to ask.
pub(crate) trait Caller: Send + 'static {
    /// Sends `body` and waits until it comes back.
    fn ask(&mut self, body: &Bytes) -> impl Future<Output = Result<()>> + Send;
}

/// One task's way to tell.
pub(crate) trait Sender: Send + 'static {
    /// Sends `body`, waiting for room as the peer's API does.
    fn tell(&mut self, body: &Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Pushes out what is batched and returns how many tells the receiver has handled.
    ///
    /// The figure may not yet include the latest; ask again until it does.
    fn handled(&mut self) -> impl Future<Output = Result<u64>> + Send;
}
