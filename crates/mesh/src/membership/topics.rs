//! Who has subscribed to what: told by each node to every peer that knows of topics, as published names are.

use super::{Membership, State};
use crate::{session::Session, topics::Target};
use mesh_proto::{
    Boot, NodeId, Subscription, TooManySubscriptions, TopicNews,
    frame::{Control, Features},
};
use std::sync::Arc;

impl Membership {
    /// Notes a subscription of an actor of this node, and tells every peer.
    pub(crate) fn subscribe(&self, subscription: Subscription) -> Result<(), TooManySubscriptions> {
        let mut state = self.state.lock();
        let news = state.topics.subscribe(self.me.id, self.me.boot, subscription)?;
        state.tell_topics(news);
        Ok(())
    }

    /// Strikes out the subscriptions of this node that `is_meant` names; answers whether there were any.
    pub(crate) fn unsubscribe(&self, is_meant: impl FnMut(&Subscription) -> bool) -> bool {
        let mut state = self.state.lock();
        let news = state.topics.unsubscribe(self.me.id, is_meant);
        let were_there = !news.is_empty();
        state.tell_topics(news);
        were_there
    }

    /// Who is to be told a message of this kind on this topic, as this node knows it.
    pub(crate) fn subscribers(&self, topic: &str, kind: &str) -> Vec<Target> {
        let state = self.state.lock();
        let found = state.topics.subscribers(topic, kind, |node| self.takes_part(&state, node));
        let target = |(node, subscription): (NodeId, &Subscription)| Target {
            path: format!("{}/{}", self.name_of(&state, node), subscription.name),
            is_wrapped: subscription.is_wrapped,
        };
        found.into_iter().map(target).collect()
    }

    pub(super) fn on_topics(&self, session: &Arc<Session>, news: TopicNews) {
        let peer = session.peer();
        self.state.lock().topics.hear(peer.id, peer.boot, news);
    }
}

impl State {
    /// Tells a new peer of everything that `me` has subscribed.
    pub(super) fn tell_all_topics(&self, me: NodeId, session: &Session) {
        if knows_topics(session) {
            for news in self.topics.all_of(me) {
                session.control(&Control::Topics(news));
            }
        }
    }

    fn tell_topics(&self, news: Vec<TopicNews>) {
        for news in news.into_iter().map(Control::Topics) {
            for session in self.nodes.values().filter(|session| knows_topics(session)) {
                session.control(&news);
            }
        }
    }

    /// A run of a node is over, and so is what it has published and subscribed.
    pub(super) fn forget(&mut self, node: NodeId, boot: Boot) {
        self.directory.forget(node, boot);
        self.topics.forget(node, boot);
    }
}

/// A peer of an earlier version takes an unknown frame for a breach of the protocol.
fn knows_topics(session: &Session) -> bool {
    session.peer().knows(Features::TOPICS)
}
