//! The supervision tree of a process, as data.

use std::time::Duration;

use crate::info::{ActorInfo, ActorState};
use crate::spec::Restart;
use crate::strategy::Strategy;

/// An actor or a supervisor, at one moment, with all below it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeNode {
    /// Its number in this process, which it keeps over its restarts.
    pub serial: u64,
    /// The name of its spec.
    pub name: String,
    /// Its place: the names from the root down to it, with a slash between two.
    pub path: String,
    /// When it is started again.
    pub restart: Restart,
    /// How it is.
    pub state: ActorState,
    /// How often it was started again, by itself or with others.
    pub restarts: u32,
    /// Why it crashed last, if it did; of a supervisor, why it ended last.
    pub last_crash: Option<String>,
    /// How long ago it was started last.
    pub since: Duration,
    /// What it is.
    pub kind: TreeKind,
}

/// What a node of the tree is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TreeKind {
    /// An actor.
    Actor {
        /// What else can be seen of it.
        info: Box<ActorInfo>,
    },
    /// A supervisor.
    Supervisor {
        /// Who is restarted with a child.
        strategy: Strategy,
        /// Its children, in the order of their start.
        children: Vec<TreeNode>,
    },
}

impl TreeNode {
    /// Its children, in the order of their start; none if it is an actor.
    pub fn children(&self) -> &[Self] {
        match &self.kind {
            TreeKind::Actor { .. } => &[],
            TreeKind::Supervisor { children, .. } => children,
        }
    }
}
