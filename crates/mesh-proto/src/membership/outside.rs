//! What foca sees of the world: a queue of actions, and the timers.

use super::{action::Action, identity::Identity, profile::Row, timers::Timers};
use crate::{
    NodeId,
    codec::{DecodeError, decode_frame},
};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) now: Duration,
    pub(crate) timers: Timers,
    pub(crate) actions: VecDeque<Action>,
    /// Members of which foca may think otherwise than the table does.
    pub(crate) touched: BTreeSet<NodeId>,
    pub(crate) renewed: Option<u32>,
}

impl foca::Runtime<Identity> for Outside {
    fn notify(&mut self, notification: foca::Notification<'_, Identity>) {
        match notification {
            foca::Notification::MemberUp(id)
            | foca::Notification::MemberDown(id)
            | foca::Notification::Rename(_, id) => {
                self.touched.insert(id.node);
            }
            foca::Notification::Rejoin(id) => self.renewed = Some(id.renewal),
            foca::Notification::Active | foca::Notification::Idle | foca::Notification::Defunct => {}
        }
    }

    fn send_to(&mut self, to: Identity, data: &[u8]) {
        self.actions.push_back(Action::Send { to: to.node, bytes: Bytes::copy_from_slice(data) });
    }

    fn submit_after(&mut self, timer: foca::Timer<Identity>, after: Duration) {
        if let foca::Timer::ChangeSuspectToDown { member_id, .. } = &timer {
            // foca tells nobody of a suspicion of its own.
            self.touched.insert(member_id.node);
        }
        self.timers.set_foca(timer, self.now + after);
    }
}

/// Profiles that foca carries along. It is given only those that were found to be new.
#[derive(Debug)]
pub(crate) struct Carried;

/// A newer profile of a node takes the place of an older one that is still to be told.
#[derive(Debug)]
pub(crate) struct OfNode(NodeId);

impl foca::Invalidates for OfNode {
    fn invalidates(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl foca::BroadcastHandler<Identity> for Carried {
    type Key = OfNode;
    type Error = DecodeError;

    fn receive_item(&mut self, data: &[u8], _: Option<&Identity>) -> Result<Option<OfNode>, DecodeError> {
        decode_frame::<Row>(data).map(|row| Some(OfNode(row.node)))
    }
}
