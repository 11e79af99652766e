//! Nodes by their numbers, and what stands for these on the wire: as long as in a real mesh, for the sake of the figures.

use crate::{Boot, NodeId, membership::random::mix};
use std::sync::Arc;

/// In no order, so that it is by chance which of two nodes dials.
pub(super) fn id(node: usize) -> NodeId {
    let number = u64::try_from(node).unwrap_or(0);
    NodeId(u128::from(mix(number + 1)) << 64 | u128::from(number))
}

pub(super) fn index(id: NodeId) -> usize {
    usize::try_from(id.0 & u128::from(u64::MAX)).unwrap_or(usize::MAX)
}

pub(super) fn boot(number: u64) -> Boot {
    Boot(1_700_000_000_000 + number)
}

pub(super) fn addr(node: usize) -> Arc<str> {
    format!("10.0.{}.{}:7946", node / 200, node % 200).into()
}

pub(super) fn node_at(addr: &str) -> Option<usize> {
    let (host, _) = addr.split_once(':')?;
    let mut parts = host.strip_prefix("10.0.")?.split('.').map(str::parse::<usize>);
    Some(parts.next()?.ok()? * 200 + parts.next()?.ok()?)
}
