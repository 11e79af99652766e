//! Reads one lane: groups what came together by the actor that it is for, and lets it in.

use super::Session;
use crate::{
    frames::{Frame as Message, Size, refuse},
    inlet::{Arrived, Behind, Inlet},
};
use bytes::Bytes;
use mesh_net::{Frame, FrameReader, RecvHalf};
use mesh_proto::{
    credit::Weight,
    frame::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, MessageHeader},
};
use std::sync::Arc;
use tokio::time::Instant;

/// Shorter messages lie side by side in their group's arena; longer ones keep the buffer that they came in.
const COPIED_BYTES_MAX: usize = 4 * 1024;

impl Session {
    pub(super) async fn read_lane(self: Arc<Self>, lane: u8, mut receive: RecvHalf, rest: Bytes) {
        let mut reader = FrameReader::new(FRAME_BYTES_MAX);
        let mut groups = Groups::new(Arc::clone(&self), lane);
        let mut chunks: [Bytes; 32] = std::array::from_fn(|_| Bytes::new());
        chunks[0] = rest;
        let mut count = 1;
        loop {
            for chunk in &mut chunks[..count] {
                let chunk = std::mem::take(chunk);
                let read = reader.feed(&chunk, |frame| groups.add(frame));
                if let Err(error) = read {
                    groups.wrong.get_or_insert(error.to_string());
                }
            }
            groups.deliver();
            if let Some(wrong) = groups.wrong.take() {
                return self.violation(&wrong);
            }
            // Not for want of room in any mailbox, which credit has settled: for a peer that reads no replies.
            if self.replies.room().await.is_err() {
                return;
            }
            self.unread.room().await;
            match receive.read_chunks(&mut chunks).await {
                Ok(Some(read)) => count = read,
                Ok(None) => return self.lane_is_read(),
                Err(_) => return,
            }
        }
    }

    /// Messages that still come for it are refused one by one.
    pub(crate) fn forget_inlet(&self, channel: u32) {
        self.inlets.lock().remove(&channel);
    }

    pub(super) fn inlet(&self, channel: u32) -> Option<Arc<Inlet>> {
        self.inlets.lock().get(&channel).cloned()
    }
}

/// What one read brought, by the inlet that it is for.
struct Groups {
    session: Arc<Session>,
    lane: u8,
    groups: Vec<Group>,
    /// The channel of the last group, and how much that was: the next is mostly alike.
    last: (u32, Size),
    now: Instant,
    wrong: Option<String>,
}

struct Group {
    channel: u32,
    inlet: Arc<Inlet>,
    arrived: Arrived,
    is_holding: bool,
}

impl Groups {
    fn new(session: Arc<Session>, lane: u8) -> Self {
        Self {
            session,
            lane,
            groups: Vec::new(),
            last: (0, Size::default()),
            now: Instant::now(),
            wrong: None,
        }
    }

    fn add(&mut self, frame: Frame<'_>) {
        let bytes = frame.bytes();
        let (header, taken) = match MessageHeader::decode(bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.wrong.get_or_insert(error.to_string());
                return;
            }
        };
        let Some(place) = self.group_of(&header) else { return };
        let now = self.now;
        let group = &mut self.groups[place];
        let capacity = group.inlet.capacity();
        match header.body {
            None if !group.is_holding && bytes.len() <= COPIED_BYTES_MAX => {
                let weight = Weight::of_message(bytes.len() - taken, capacity);
                group.arrived.weight = group.arrived.weight.plus(weight);
                group.arrived.frames.push_copied(&header, &bytes[taken..], capacity, now);
            }
            None => {
                let message = Message::owned(&header, frame.into_bytes().slice(taken..), capacity, now);
                group.arrived.weight = group.arrived.weight.plus(message.weight());
                if group.is_holding {
                    group.arrived.behind.push(Behind::Frame(message));
                } else {
                    group.arrived.frames.push(message);
                }
            }
            Some(body) if taken == bytes.len() && body.bytes as usize <= MESSAGE_BYTES_MAX => {
                let weight = Weight::of_message(body.bytes as usize, capacity);
                group.arrived.weight = group.arrived.weight.plus(weight);
                group.arrived.behind.push(Behind::Body(header));
                group.is_holding = true;
            }
            Some(_) => {
                self.wrong.get_or_insert("a body's header is wrong".to_owned());
            }
        }
    }

    /// The place of the group that a message belongs to; `None` for one that no open channel takes.
    fn group_of(&mut self, header: &MessageHeader) -> Option<usize> {
        // Messages to one actor mostly come one behind the other.
        let known = self.groups.iter().rposition(|group| group.channel == header.channel);
        let place = match known {
            Some(place) => place,
            None => {
                let Some(inlet) = self.session.inlet(header.channel) else {
                    let failure = crate::failure::channel_closed(&self.session.shared.me.name);
                    refuse(&*self.session, header.correlation, &failure);
                    return None;
                };
                if self.groups.is_empty() {
                    self.now = Instant::now();
                }
                let mut arrived = inlet.arrived();
                if self.last.0 == header.channel {
                    arrived.frames.reserve(self.last.1);
                }
                let group = Group {
                    channel: header.channel,
                    arrived,
                    is_holding: inlet.is_holding(self.lane),
                    inlet,
                };
                self.groups.push(group);
                self.groups.len() - 1
            }
        };
        if !self.groups[place].inlet.knows(header.kind) {
            self.wrong.get_or_insert("a header names no kind of its channel".to_owned());
            return None;
        }
        Some(place)
    }

    fn deliver(&mut self) {
        for group in self.groups.drain(..) {
            self.last = (group.channel, group.arrived.frames.size());
            if let Err(overrun) = group.inlet.receive(self.lane, group.arrived) {
                self.wrong.get_or_insert(overrun.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Actor, ActorSpec, Context, Handler, Kinds, MemoryNetwork, Message, Node, NodeConfig, PeerIdentity,
        Role, Runtimes, WireActor, WireMessage,
    };
    use mesh_proto::NodeId;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Ping {}
    impl Message for Ping {
        type Reply = ();
    }
    impl WireMessage for Ping {
        const KIND: &'static str = "test.ping.v1";
    }

    #[derive(Default)]
    struct Brief;
    impl Actor for Brief {}
    impl Handler<Ping> for Brief {
        async fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
    }
    impl WireActor for Brief {
        fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
            kinds.message::<Ping>()
        }
    }

    async fn node(network: &MemoryNetwork, id: u128, name: &str, seeds: Vec<String>) -> Node {
        let peer_id =
            PeerIdentity { cluster: "test".to_owned(), role: Role::Node, name: name.to_owned(), id };
        let endpoint = network.endpoint(peer_id.clone());
        let config = NodeConfig { seeds, ..NodeConfig::default() };
        Node::builder(config).start_on(endpoint, peer_id, Runtimes::current()).await.unwrap()
    }

    #[tokio::test]
    async fn actors_that_ended_leave_no_inlet_behind() {
        let network = MemoryNetwork::default();
        let alpha = node(&network, 1, "alpha", Vec::new()).await;
        let beta = node(&network, 2, "beta", vec![alpha.local_addr().to_string()]).await;
        let session = alpha.mesh().shared().membership().unwrap().session_of(NodeId(2)).unwrap();
        for life in 0..5 {
            let name = format!("brief-{life}");
            let brief = alpha.mesh().spawn(ActorSpec::new(&*name), Brief::default);
            alpha.mesh().publish(&name, &brief).unwrap();
            let to_brief = beta.mesh().recipient::<Ping>(&format!("alpha/{name}")).unwrap();
            to_brief.ask(Ping {}).await.unwrap();
            assert_eq!(session.inlets.lock().len(), 1, "that of the actor that lives");
            brief.stop();
            // Fails as soon as beta has heard of the end.
            while to_brief.ask(Ping {}).await.is_ok() {}
        }
        assert!(session.inlets.lock().is_empty());
    }
}
