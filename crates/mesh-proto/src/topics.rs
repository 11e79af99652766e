//! Who has subscribed to which topic.

use crate::{Boot, Kind, NodeId, check_name, frame::ROWS_MAX};
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// Most subscriptions of one node: 4,096.
pub const SUBSCRIPTIONS_MAX: usize = 4096;

/// That an actor is to be told what is published on a topic. Only the actor's own node writes it; to all others it is a
/// hint, as a published name is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Subscription {
    /// The topic, by the rules of [`check_topic`].
    pub topic: String,
    /// The kind of messages that is meant; `None` for every kind.
    pub kind: Option<String>,
    /// The subscriber's name on its node.
    pub name: String,
    /// Whether it is sent an envelope with the message as JSON, rather than the message itself.
    pub is_wrapped: bool,
}

impl Subscription {
    fn takes(&self, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
    }

    /// Whether everything in it is written by the rules. Only an envelope can hold every kind.
    fn is_sound(&self) -> bool {
        let kind = self.kind.as_deref().map_or(self.is_wrapped, |kind| kind.parse::<Kind>().is_ok());
        kind && check_topic(&self.topic).is_ok() && check_name(&self.name).is_ok()
    }
}

/// What a node tells of its subscriptions: all of them at first, in parts, and then each change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TopicNews {
    /// Counts the changes of this run of the node, this one included. What came on a connection of before is known by it.
    pub version: u64,
    /// Whether what was told before is to be forgotten: the first part of a list of all.
    pub is_all: bool,
    /// Subscriptions that came.
    pub came: Vec<Subscription>,
    /// Subscriptions that went.
    pub went: Vec<Subscription>,
}

/// A node has [`SUBSCRIPTIONS_MAX`] subscriptions; nothing was changed. Let actors share one, or end some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node has at most {SUBSCRIPTIONS_MAX} subscriptions")]
pub struct TooManySubscriptions;

/// Subscriptions of every node, this one's included.
///
/// ```
/// use mesh_proto::{Boot, NodeId, Subscription, Topics};
/// let (alpha, beta) = (NodeId(1), NodeId(2));
/// let (mut on_alpha, mut on_beta) = (Topics::default(), Topics::default());
/// let kind = Some("lab.echo.v1".to_owned());
/// let subscription = Subscription { topic: "news".into(), kind, name: "echo".into(), is_wrapped: false };
/// for news in on_alpha.subscribe(alpha, Boot(1), subscription)? {
///     on_beta.hear(alpha, Boot(1), news);
/// }
/// let found = on_beta.subscribers("news", "lab.echo.v1", |_| true);
/// assert_eq!(found[0].0, alpha);
/// assert!(on_beta.subscribers("news", "lab.other.v1", |_| true).is_empty());
/// on_beta.forget(alpha, Boot(1));
/// assert!(on_beta.subscribers("news", "lab.echo.v1", |_| true).is_empty());
/// # let _ = beta;
/// # Ok::<(), mesh_proto::TooManySubscriptions>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Topics {
    by_node: BTreeMap<NodeId, OfNode>,
}

#[derive(Debug, Clone)]
struct OfNode {
    boot: Boot,
    version: u64,
    subscriptions: BTreeSet<Subscription>,
}

impl Topics {
    /// Notes a subscription of this node; answers what its peers are to be told, which is nothing if it was there.
    ///
    /// # Errors
    /// [`TooManySubscriptions`]; nothing has changed then.
    pub fn subscribe(
        &mut self,
        me: NodeId,
        boot: Boot,
        subscription: Subscription,
    ) -> Result<Vec<TopicNews>, TooManySubscriptions> {
        let own = self.of_node(me, boot);
        if own.subscriptions.contains(&subscription) {
            return Ok(Vec::new());
        }
        if own.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(TooManySubscriptions);
        }
        own.version += 1;
        own.subscriptions.insert(subscription.clone());
        let news =
            TopicNews { version: own.version, is_all: false, came: vec![subscription], went: Vec::new() };
        Ok(vec![news])
    }

    /// Strikes out the subscriptions of this node that `is_meant` names; answers what its peers are to be told.
    pub fn unsubscribe(
        &mut self,
        me: NodeId,
        mut is_meant: impl FnMut(&Subscription) -> bool,
    ) -> Vec<TopicNews> {
        let Some(own) = self.by_node.get_mut(&me) else { return Vec::new() };
        let went: Vec<_> = own.subscriptions.iter().filter(|known| is_meant(known)).cloned().collect();
        for subscription in &went {
            own.subscriptions.remove(subscription);
        }
        own.version += u64::from(!went.is_empty());
        let part = |went: &[Subscription]| TopicNews {
            version: own.version,
            is_all: false,
            came: Vec::new(),
            went: went.to_vec(),
        };
        went.chunks(ROWS_MAX).map(part).collect()
    }

    /// All subscriptions of a node as a new peer is told them: at least one part, since that there are none is news.
    #[must_use]
    pub fn all_of(&self, node: NodeId) -> Vec<TopicNews> {
        let own = self.by_node.get(&node);
        let version = own.map_or(0, |own| own.version);
        let all: Vec<_> = own.into_iter().flat_map(|own| own.subscriptions.iter().cloned()).collect();
        let mut parts: Vec<_> = all
            .chunks(ROWS_MAX)
            .map(|came| TopicNews { version, is_all: false, came: came.to_vec(), went: Vec::new() })
            .collect();
        if parts.is_empty() {
            parts.push(TopicNews { version, is_all: false, came: Vec::new(), went: Vec::new() });
        }
        parts[0].is_all = true;
        parts
    }

    /// A node tells of its own subscriptions. What is no news, breaks a rule or is too much is left out.
    pub fn hear(&mut self, node: NodeId, boot: Boot, news: TopicNews) {
        if self.by_node.get(&node).is_some_and(|known| known.boot > boot) {
            return;
        }
        let known = self.of_node(node, boot);
        // A connection that was replaced may still bring what the new one has told better.
        if news.version < known.version {
            return;
        }
        known.version = news.version;
        if news.is_all {
            known.subscriptions.clear();
        }
        for subscription in &news.went {
            known.subscriptions.remove(subscription);
        }
        for subscription in news.came {
            if subscription.is_sound() && known.subscriptions.len() < SUBSCRIPTIONS_MAX {
                known.subscriptions.insert(subscription);
            }
        }
    }

    /// Strikes out what `node` has subscribed in the run `boot` or before: that run is over.
    pub fn forget(&mut self, node: NodeId, boot: Boot) {
        if self.by_node.get(&node).is_some_and(|known| known.boot <= boot) {
            self.by_node.remove(&node);
        }
    }

    /// Who is to be told a message of this kind on this topic, of the nodes that take part: each actor once, in order of
    /// the nodes and names. One that takes the message itself is not sent the envelope too.
    pub fn subscribers(
        &self,
        topic: &str,
        kind: &str,
        takes_part: impl Fn(NodeId) -> bool,
    ) -> Vec<(NodeId, &Subscription)> {
        let first =
            Subscription { topic: topic.to_owned(), kind: None, name: String::new(), is_wrapped: false };
        let mut found = Vec::new();
        for (&node, known) in self.by_node.iter().filter(|(node, _)| takes_part(**node)) {
            let on_topic = known.subscriptions.range(&first..).take_while(|one| one.topic == topic);
            found.extend(on_topic.filter(|one| one.takes(kind)).map(|one| (node, one)));
        }
        found.sort_by(|(node, one), (other, another)| {
            (node, &one.name, one.is_wrapped).cmp(&(other, &another.name, another.is_wrapped))
        });
        found.dedup_by(|(node, one), (other, another)| (node, &one.name) == (other, &another.name));
        found
    }

    fn of_node(&mut self, node: NodeId, boot: Boot) -> &mut OfNode {
        let fresh = || OfNode { boot, version: 0, subscriptions: BTreeSet::new() };
        let known = self.by_node.entry(node).or_insert_with(fresh);
        if known.boot < boot {
            *known = fresh();
        }
        known
    }
}

/// Checks a topic's name: an actor's name ([`check_name`]) of at most 160 bytes and six segments.
///
/// # Errors
/// The rule that the topic breaks.
pub fn check_topic(topic: &str) -> Result<(), &'static str> {
    check_name(topic)?;
    // So that `taps/TOPIC/NUMBER` is an actor's name.
    if topic.len() > 160 || topic.split('/').count() > 6 {
        return Err("a topic has at most 160 bytes and 6 segments");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
