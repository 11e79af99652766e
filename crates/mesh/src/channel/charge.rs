//! Credit between its charge and its frame.

use super::Channel;
use mesh_proto::{Failure, credit::Weight};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Credit that was charged and not yet spent. Dropped unspent, it goes back to the channel.
#[derive(Debug)]
pub(crate) struct Charge {
    channel: Arc<Channel>,
    weight: Weight,
}

impl Charge {
    pub(super) fn new(channel: &Arc<Channel>, weight: Weight) -> Self {
        Self { channel: Arc::clone(channel), weight }
    }

    pub(crate) fn weight(&self) -> Weight {
        self.weight
    }

    /// The frame is in its lane: the receiver counts it now.
    pub(crate) fn spend(mut self) {
        self.weight = Weight::ZERO;
    }

    /// Spends a part.
    pub(crate) fn spend_part(&mut self, weight: Weight) {
        self.weight = self.weight.minus(weight);
    }

    /// Gives a part back.
    pub(crate) fn refund_part(&mut self, weight: Weight) {
        let part = weight.min(self.weight);
        self.weight = self.weight.minus(part);
        self.channel.refund(part);
    }

    /// Adds a charge of the same channel.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.weight = self.weight.plus(other.weight);
        other.weight = Weight::ZERO;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.weight != Weight::ZERO {
            self.channel.refund(self.weight);
        }
    }
}

/// Charges for those who waited for them.
pub(super) type Served = Vec<(oneshot::Sender<Result<Charge, Failure>>, Charge)>;

/// A receiver that is gone leaves the charge here, where dropping it may lock the channel again.
pub(super) fn hand_over(served: Served) {
    for (ready, charge) in served {
        drop(ready.send(Ok(charge)));
    }
}
