//! Rows of the threat table about peers that send or read in a way that no node of ours does: by hand, frame by frame.

use crate::{
    Actor, ActorSpec, Client, ClientConfig, Context, Handler, Kinds, MemoryNetwork, Mesh, Message, Node,
    NodeConfig, PeerIdentity, Role, Runtimes, WireActor, WireMessage, channel::write_frame,
};
use bytes::Bytes;
use mesh_net::{CloseCode, CloseReason, Connection, Expect, FrameReader, RecvHalf, SendHalf};
use mesh_proto::{
    Boot,
    credit::Weight,
    decode_frame, encode_frame, encode_payload,
    frame::{
        Body, CONTROL_BYTES_MAX, Content, Control, Features, Hello, MessageHeader, PREAMBLE_BYTES, Preamble,
    },
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Asks for so many bytes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Fill {
    bytes: u32,
}
impl Message for Fill {
    type Reply = String;
}
impl WireMessage for Fill {
    const KIND: &'static str = "test.fill.v1";
}

struct Filler {
    handled: Arc<Mutex<Vec<Instant>>>,
}
impl Actor for Filler {}
impl Handler<Fill> for Filler {
    async fn handle(&mut self, Fill { bytes }: Fill, _: &mut Context<Self>) -> String {
        self.handled.lock().push(Instant::now());
        "x".repeat(bytes as usize)
    }
}
impl WireActor for Filler {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Fill>()
    }
}

struct Farm {
    network: MemoryNetwork,
    node: Node,
    handled: Arc<Mutex<Vec<Instant>>>,
}

fn id(role: Role, name: &str, id: u128) -> PeerIdentity {
    PeerIdentity { cluster: "test".to_owned(), role, name: name.to_owned(), id }
}

impl Farm {
    async fn new() -> Self {
        let network = MemoryNetwork::new();
        let me = id(Role::Node, "alpha", 1);
        let endpoint = network.endpoint(me.clone());
        let builder = Node::builder(NodeConfig::default());
        let node = builder.start_on(endpoint, me, Runtimes::current()).await.unwrap();
        let handled = Arc::<Mutex<Vec<Instant>>>::default();
        let seen = Arc::clone(&handled);
        let make = move || Filler { handled: Arc::clone(&seen) };
        let filler = node.mesh().spawn(ActorSpec::new("filler"), make);
        node.mesh().publish("filler", &filler).unwrap();
        Self { network, node, handled }
    }

    async fn client(&self) -> Mesh {
        let me = id(Role::Client, "honest", 7);
        let addrs = [self.node.local_addr().to_string()];
        let (endpoint, config) = (self.network.endpoint(me.clone()), ClientConfig::default());
        Client::connect_on(endpoint, me, &addrs, config, Runtimes::current()).await.unwrap()
    }

    /// A peer that is nobody's program: it said hello, and opened the channel 1 to the filler.
    async fn stranger(&self) -> Stranger {
        let endpoint = self.network.endpoint(id(Role::Client, "stranger", 9));
        let connection = endpoint.connect(self.node.local_addr(), Expect::AnyNode).await.unwrap();
        let mut control = connection.open_uni(10).await.unwrap();
        let hello = Hello { boot: Boot(1), features: Features::REATTACHES, listens: None };
        let mut first = Preamble::Control.encode().to_vec();
        for frame in [Control::Hello(hello), Control::Open { channel: 1, path: "alpha/filler".to_owned() }] {
            write_frame(&mut first, |buffer| encode_frame(&frame, buffer));
        }
        control.write_chunk(first.into()).await.unwrap();
        let heard = connection.accept_uni().await.unwrap();
        let reader = FrameReader::new(CONTROL_BYTES_MAX);
        let mut stranger = Stranger {
            connection,
            _endpoint: endpoint,
            control,
            heard,
            reader,
            granted: Weight::ZERO,
            skip: PREAMBLE_BYTES,
        };
        while stranger.granted == Weight::ZERO {
            stranger.hear().await.unwrap();
        }
        stranger
    }
}

struct Stranger {
    connection: Connection,
    _endpoint: mesh_net::Endpoint,
    control: SendHalf,
    heard: RecvHalf,
    reader: FrameReader,
    /// What it may send in all.
    granted: Weight,
    /// Bytes of the preamble that are still to come.
    skip: usize,
}

impl Stranger {
    /// Hears what the node says about credit; `None` when it says no more.
    async fn hear(&mut self) -> Option<()> {
        let mut chunks: [Bytes; 8] = std::array::from_fn(|_| Bytes::new());
        let count = self.heard.read_chunks(&mut chunks).await.ok()??;
        for chunk in &mut chunks[..count] {
            let mut chunk = std::mem::take(chunk);
            let preamble = chunk.split_to(self.skip.min(chunk.len()));
            self.skip -= preamble.len();
            let granted = &mut self.granted;
            let fed = self.reader.feed(&chunk, |frame| match decode_frame(frame.bytes()).unwrap() {
                Control::Opened { granted: first, .. } => *granted = first,
                Control::Grant { granted: more, .. } => *granted = more,
                _ => {}
            });
            fed.unwrap();
        }
        Some(())
    }

    /// Waits for room of this weight in all.
    async fn want(&mut self, until: Weight) {
        let mut frame = Vec::new();
        write_frame(&mut frame, |buffer| encode_frame(&Control::Want { channel: 1, until }, buffer));
        self.control.write_chunk(frame.into()).await.unwrap();
        while !self.granted.covers(until) {
            self.hear().await.unwrap();
        }
    }

    async fn lane(&self) -> SendHalf {
        let mut lane = self.connection.open_uni(0).await.unwrap();
        lane.write_chunk(Bytes::copy_from_slice(&Preamble::Lane(0).encode())).await.unwrap();
        lane
    }

    async fn cut_off_because(&self) -> String {
        match self.connection.closed().await {
            CloseReason::Peer { code: CloseCode::ProtocolError, reason } => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn ask(correlation: u64, bytes: u32, body: Option<Body>) -> Bytes {
    let header = MessageHeader {
        channel: 1,
        kind: 0,
        content: Content::Bincode,
        correlation,
        sender: 0,
        budget_ms: 0,
        body,
    };
    let mut frame = Vec::new();
    write_frame(&mut frame, |buffer| {
        header.encode(buffer);
        if body.is_none() {
            encode_payload(&Fill { bytes }, buffer).unwrap();
        }
    });
    frame.into()
}

#[tokio::test(start_paused = true)]
async fn row_14_a_stream_with_a_byte_in_ten_seconds_is_cut_off_at_its_deadline() {
    let farm = Farm::new().await;
    let stranger = farm.stranger().await;
    let began = Instant::now();
    let mut slow = stranger.connection.open_uni(0).await.unwrap();
    slow.write_chunk(Bytes::from_static(b"M")).await.unwrap();
    assert_eq!(stranger.cut_off_because().await, "a stream did not say what it is");
    let took = began.elapsed();
    assert!((9..=11).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn row_14_a_large_payload_that_trickles_is_given_up_and_what_stands_behind_it_goes_on() {
    let farm = Farm::new().await;
    let mut stranger = farm.stranger().await;
    let body = Body { number: 1, bytes: 640 * 1024 };
    stranger.want(Weight { messages: 2, bytes: u64::from(body.bytes) + 1024 }).await;
    let began = Instant::now();
    let mut lane = stranger.lane().await;
    lane.write_chunk(ask(1, 0, Some(body))).await.unwrap();
    lane.write_chunk(ask(2, 1, None)).await.unwrap();
    let mut trickle = stranger.connection.open_uni(0).await.unwrap();
    let mut first = Preamble::Body.encode().to_vec();
    first.extend_from_slice(&body.number.to_le_bytes());
    trickle.write_chunk(first.into()).await.unwrap();
    // Often enough for each byte's own deadline.
    let mut tick = interval(Duration::from_secs(9));
    while farm.handled.lock().is_empty() {
        tick.tick().await;
        let _ = trickle.write_chunk(Bytes::from_static(b"x")).await;
        assert!(began.elapsed() < Duration::from_secs(200), "it is still waited for");
    }
    // 60 s, and what 640 KiB take at 64 KiB a second.
    let took = farm.handled.lock()[0] - began;
    assert!((69..=71).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn row_14_of_ten_thousand_streams_no_more_than_permitted_are_open() {
    let farm = Farm::new().await;
    let stranger = farm.stranger().await;
    let began = Instant::now();
    let mut open = Vec::new();
    for _ in 0..10_000 {
        let Ok(Ok(mut stream)) = timeout(Duration::from_millis(1), stranger.connection.open_uni(0)).await
        else {
            break;
        };
        stream.write_chunk(Bytes::from_static(b"M")).await.unwrap();
        open.push(stream);
    }
    assert!(open.len() < 64, "{} are open", open.len());
    let honest = farm.client().await.recipient::<Fill>("alpha/filler").unwrap();
    assert_eq!(honest.ask(Fill { bytes: 1 }).await.as_deref(), Ok("x"));
    assert_eq!(stranger.cut_off_because().await, "a stream did not say what it is");
    assert!(began.elapsed() < Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn row_15_a_peer_that_never_reads_is_bounded_and_cut_off_and_nobody_else_notices() {
    let farm = Farm::new().await;
    let mut stranger = farm.stranger().await;
    let (honest, began) = (farm.client().await, Instant::now());
    let clients = farm.node.mesh().shared().membership().unwrap().client_sessions();
    let session = clients.into_iter().find(|session| &*session.peer().name == "stranger").unwrap();
    let mut lane = stranger.lane().await;
    // Asks as fast as it may, for replies as large as fit beside others, and reads none.
    let asks = tokio::spawn(async move {
        let mut sent = 0;
        loop {
            while sent < stranger.granted.messages {
                sent += 1;
                if lane.write_chunk(ask(sent, 60_000, None)).await.is_err() {
                    return (sent, stranger);
                }
            }
            if stranger.hear().await.is_none() {
                return (sent, stranger);
            }
        }
    });
    let filler = honest.recipient::<Fill>("alpha/filler").unwrap();
    let mut tick = interval(Duration::from_millis(100));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut held_most, mut slowest) = (0, Duration::ZERO);
    while !session.is_closed() {
        tick.tick().await;
        let asked = Instant::now();
        let answer = filler.ask(Fill { bytes: 10 }).timeout(Duration::from_secs(1)).await;
        assert_eq!(answer.map(|reply| reply.len()), Ok(10));
        slowest = slowest.max(asked.elapsed());
        held_most = held_most.max(session.replies.len());
        assert!(began.elapsed() < Duration::from_secs(60), "it is not cut off");
    }
    let (sent, stranger) = asks.await.unwrap();
    assert_eq!(stranger.cut_off_because().await, "reads no replies");
    let took = began.elapsed();
    assert!((30..=45).contains(&took.as_secs()), "{took:?}");
    // The mailbox's 1,024 messages may have come before the first reply was held back.
    assert!(held_most <= 65 << 20, "{held_most} bytes of {sent} replies were held");
    assert!(slowest < Duration::from_millis(50), "another client waited {slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn row_15_a_reader_that_claims_to_have_read_gets_no_more_than_the_window() {
    let stream = crate::stream_out::StreamOut::new(crate::Cancel::new());
    let forever = Weight { messages: u64::MAX, bytes: u64::MAX };
    stream.on_grant(forever);
    for _ in 0..32 {
        stream.reserve(1).await;
    }
    assert!(
        timeout(Duration::from_secs(1), stream.reserve(1)).await.is_err(),
        "it cannot have read what was not sent"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gives_back_no_credit_is_cut_off_and_its_room_is_free_again() {
    let farm = Farm::new().await;
    let mut stranger = farm.stranger().await;
    let honest = farm.client().await.recipient::<Fill>("alpha/filler").unwrap();
    // All of the mailbox is lent to one who sends nothing, and who does not hear that others wait for it.
    stranger.want(Weight { messages: 1024, bytes: 1 << 20 }).await;
    let began = Instant::now();
    let asked = honest.ask(Fill { bytes: 1 }).timeout(Duration::from_secs(60)).await;
    assert_eq!(asked.as_deref(), Ok("x"));
    let took = began.elapsed();
    assert!((29..=32).contains(&took.as_secs()), "{took:?}");
    assert_eq!(stranger.cut_off_because().await, "gives back no credit that it is asked for");
}

#[tokio::test(start_paused = true)]
async fn a_recipient_keeps_no_connection_that_is_over() {
    let farm = Farm::new().await;
    let me = id(Role::Node, "beta", 2);
    let config = NodeConfig { seeds: vec![farm.node.local_addr().to_string()], ..NodeConfig::default() };
    let endpoint = farm.network.endpoint(me.clone());
    let beta = Node::builder(config).start_on(endpoint, me, Runtimes::current()).await.unwrap();
    let filler = beta.mesh().recipient::<Fill>("alpha/filler").unwrap();
    assert_eq!(filler.ask(Fill { bytes: 1 }).await.as_deref(), Ok("x"));
    let session = beta.mesh().shared().membership().unwrap().session_to("alpha").unwrap();
    let weak = Arc::downgrade(&session);
    session.close(CloseCode::Duplicate, "for a while");
    drop(session);
    let mut tick = interval(Duration::from_millis(100));
    let freed = async {
        while weak.upgrade().is_some() {
            tick.tick().await;
        }
    };
    timeout(Duration::from_secs(10), freed).await.expect("nobody keeps it");
    let asked = filler.ask(Fill { bytes: 1 }).timeout(Duration::from_secs(10)).await;
    assert_eq!(asked.as_deref(), Ok("x"), "and the recipient finds the next one");
}
