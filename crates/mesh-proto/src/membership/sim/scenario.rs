//! What happens to a mesh, as data.

use std::time::Duration;

/// One thing that happens. Nodes are numbered from 0; node 0 and node 1 are everybody's seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A node starts, for the first time or as another boot. One that runs is killed first.
    Start(usize),
    /// A node is gone without a word.
    Kill(usize),
    /// A node stands still (`SIGSTOP`); what is sent to it waits.
    Pause(usize),
    /// It goes on, and first hears what has waited.
    Resume(usize),
    /// A node says goodbye and is gone.
    Leave(usize),
    /// Nothing passes from any of the first to any of the second.
    CutOneWay(Vec<usize>, Vec<usize>),
    /// Nothing passes between these and all others.
    Isolate(Vec<usize>),
    /// All ways are open again.
    Heal,
    /// So many datagrams of 10,000 are lost from now on.
    Loss(usize),
    /// Time passes.
    Wait(Duration),
}
