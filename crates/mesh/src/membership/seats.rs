//! What placement needs of members and names.

use super::{Membership, State};
use mesh_proto::{Boot, MemberState, NodeId, membership::Member};
use std::collections::BTreeMap;

/// A member, as a place for actors.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: NodeId,
    pub(crate) boot: Boot,
    pub(crate) name: String,
    /// Alive or suspect: it was not declared dead, and has not left.
    pub(crate) is_active: bool,
    pub(crate) is_alive: bool,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Membership {
    /// Every member that is known, dead ones and this node included.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let state = self.state.lock();
        let (id, boot, own) = state.swim.own();
        let mut rows = vec![Row {
            id,
            boot,
            name: self.me.name.to_string(),
            is_active: true,
            is_alive: true,
            labels: own.labels.iter().cloned().collect(),
        }];
        rows.extend(state.swim.members().map(|member| Row {
            id: member.node(),
            boot: member.boot(),
            name: state.name_of(member.node()),
            is_active: member.is_active(),
            is_alive: member.state() == MemberState::Alive,
            labels: labels(member),
        }));
        rows
    }

    /// The node to which the name of a placed actor leads, and the epoch that it has there.
    pub(crate) fn placed(&self, name: &str) -> Option<(NodeId, String, u64)> {
        let state = self.state.lock();
        let owner = state.directory.owner(name, |node| self.takes_part(&state, node))?;
        let epoch = state.directory.publication(owner, name)?.epoch();
        (epoch > 0).then(|| (owner, self.name_of(&state, owner), epoch))
    }

    /// Under which epoch `node` says that it runs the actor; 0 if it does not.
    pub(crate) fn epoch_at(&self, node: NodeId, name: &str) -> u64 {
        let state = self.state.lock();
        state.directory.publication(node, name).map_or(0, mesh_proto::Publication::epoch)
    }
}

impl State {
    /// These names may lead elsewhere than before: new messages look for their way anew.
    pub(super) fn leave_moved(&self, names: &[String]) {
        for name in names {
            for session in self.nodes.values() {
                session.leave_channel(name);
            }
        }
    }
}

fn labels(member: &Member) -> BTreeMap<String, String> {
    member.profile().map(|profile| profile.labels.iter().cloned().collect()).unwrap_or_default()
}
