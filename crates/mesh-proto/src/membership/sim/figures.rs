//! What a mesh costs, and how long it takes: the same scenarios for tests and for `examples/membership_figures.rs`.

use super::{Cluster, Conditions, Operation, Traffic};
use crate::{
    MemberState,
    membership::{MembershipConfig, Reason},
};
use std::{fmt, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// What was seen in one scenario.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The scenario.
    pub what: String,
    /// How long it took, in the mesh's time.
    pub took: Duration,
    /// What each node sent in a second, in bytes.
    pub bytes: u64,
    /// How many members were suspected.
    pub suspicions: usize,
    /// How many were told to be down.
    pub deaths: usize,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, took, bytes, suspicions, deaths } = self;
        let took = took.as_secs_f64();
        write!(f, "{what:<46} {took:>8.1} s {bytes:>8} B/s a node {suspicions:>6} suspected {deaths:>6} down")
    }
}

/// A mesh of `nodes` that have started at once and agree; and how long that took.
///
/// # Errors
/// As [`Cluster::run`], and when they do not agree within two minutes.
pub fn joined(nodes: usize, conditions: Conditions, seed: u64) -> Result<(Cluster, Figure), String> {
    let mut cluster = Cluster::new(nodes, &MembershipConfig::lan(), conditions, seed);
    cluster.run(&(0..nodes).map(Operation::Start).collect::<Vec<_>>())?;
    let took = cluster.until_agreed(SECOND * 120)?;
    let figure = figure(&mut cluster, format!("{nodes} nodes join at once"), took, nodes);
    Ok((cluster, figure))
}

/// `dead` nodes are killed at once; how long until all others know.
///
/// # Errors
/// As [`joined`].
pub fn deaths(nodes: usize, dead: usize, conditions: Conditions, seed: u64) -> Result<Figure, String> {
    let (mut cluster, _) = joined(nodes, conditions, seed)?;
    cluster.run(&[Operation::Wait(SECOND * 5)])?;
    figure(&mut cluster, String::new(), SECOND, nodes);
    cluster.run(&(nodes - dead..nodes).map(Operation::Kill).collect::<Vec<_>>())?;
    let took = cluster.until_agreed(SECOND * 120)?;
    Ok(figure(&mut cluster, format!("{dead} of {nodes} are killed, all others know"), took, nodes - dead))
}

/// Nothing happens for `time` but loss.
///
/// # Errors
/// As [`joined`].
pub fn quiet(nodes: usize, time: Duration, conditions: Conditions, seed: u64) -> Result<Figure, String> {
    let (mut cluster, _) = joined(nodes, conditions, seed)?;
    cluster.run(&[Operation::Wait(SECOND * 60)])?;
    figure(&mut cluster, String::new(), SECOND, nodes);
    cluster.run(&[Operation::Wait(time)])?;
    let what = format!("{nodes} nodes, loss {}/10000", conditions.loss);
    Ok(figure(&mut cluster, what, time, nodes))
}

/// All nodes but the last are cut off from it and `lost - 1` others for `time`; how long they take to agree afterwards.
///
/// # Errors
/// As [`joined`].
pub fn partition(nodes: usize, lost: usize, time: Duration, seed: u64) -> Result<Figure, String> {
    let (mut cluster, _) = joined(nodes, Conditions::lan(), seed)?;
    figure(&mut cluster, String::new(), SECOND, nodes);
    cluster.run(&[
        Operation::Isolate((nodes - lost..nodes).collect()),
        Operation::Wait(time),
        Operation::Heal,
    ])?;
    let took = cluster.until_agreed(SECOND * 60)?;
    Ok(figure(&mut cluster, format!("{}|{lost} apart for {time:?}, whole again", nodes - lost), took, nodes))
}

fn figure(cluster: &mut Cluster, what: String, took: Duration, nodes: usize) -> Figure {
    let Traffic { datagram_bytes, sync_bytes, .. } = cluster.take_traffic();
    let changes = cluster.take_changes();
    let count = |state| changes.iter().filter(|(_, _, change)| change.state == state).count();
    let node_seconds = took.as_secs().max(1) * u64::try_from(nodes).unwrap_or(1);
    Figure {
        what,
        took,
        bytes: (datagram_bytes + sync_bytes) / node_seconds,
        suspicions: count(MemberState::Suspect),
        deaths: changes.iter().filter(|(_, _, change)| change.reason == Reason::Silent).count(),
    }
}
