//! What the machine asks of its driver.

use super::Sync;
use crate::{Boot, MemberState, NodeId};
use bytes::Bytes;
use std::sync::Arc;

/// Something that the driver is to do, or to know. Nothing waits for its success.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send a datagram, at most [`super::DATAGRAM_BYTES_MAX`] long. Drop it where there is no connection: SWIM expects loss.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        bytes: Bytes,
    },
    /// Send a message on the control stream, in order. Drop it where there is no connection.
    Sync {
        /// To whom.
        to: NodeId,
        /// What; at most half of the longest control frame.
        message: Sync,
    },
    /// Connect. An attempt under way makes another one idle.
    Dial {
        /// The node that must answer, or `None` for a seed, where any node may.
        node: Option<NodeId>,
        /// `HOST:PORT`, as the member or the operator wrote it.
        addr: Arc<str>,
    },
    /// A member is another than it was.
    Changed(Change),
    /// A member's name, labels or load are others; [`super::Membership::member`] has them.
    Profile {
        /// The member.
        node: NodeId,
    },
    /// A member that was down or had left is no longer listed.
    Forgotten {
        /// The member.
        node: NodeId,
        /// Its last run.
        boot: Boot,
    },
    /// The mesh had taken this node for dead, and it has said that it lives. Peers saw a `Down` of this boot: what they
    /// dropped for it, such as monitors, is to be set up anew.
    Renewed {
        /// How often that has happened to this run.
        renewal: u32,
    },
    /// Another run of this node, with a larger boot, is in the mesh, and this one will not be heard: a second process has
    /// the same key, or the clock that boots are made of went back. Stop, or start anew with a boot above this one.
    Superseded {
        /// The run that the mesh believes in.
        boot: Boot,
    },
}

/// What happened to a member, as this node sees it.
///
/// For each run of a node: first `Alive`; then `Suspect` and `Alive` by turns; then one `Down` or `Left`. `Alive` follows
/// a `Down` of the same boot only with [`Reason::Renewed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The member.
    pub node: NodeId,
    /// Which run of it. A `Down` with [`Reason::Restarted`] is about the run before.
    pub boot: Boot,
    /// Where that run accepts connections.
    pub addr: Arc<str>,
    /// How it is now.
    pub state: MemberState,
    /// Why.
    pub reason: Reason,
}

/// Why a member's state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// `Alive`: it was not known, or this is another run of it.
    Joined,
    /// `Alive`: it has contradicted a suspicion.
    Refuted,
    /// `Alive`: it was taken for dead, by mistake or behind a partition, and is the same run as before.
    Renewed,
    /// `Suspect`: neither it nor anybody who was asked to reach it has answered (SWIM §4.1, §4.2).
    Unanswered,
    /// `Down`: it did not contradict the suspicion in time.
    Silent,
    /// `Down`: another run of the node is there, so this one is dead.
    Restarted,
    /// `Left`: it said goodbye.
    Goodbye,
}
