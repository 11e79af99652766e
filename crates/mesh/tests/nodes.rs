//! Nodes and clients: every scenario over QUIC on loopback and in memory.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

use mesh::{
    Actor, ActorSpec, AskError, Authority, Client, ClientConfig, Context, Handler, Items, JsonItem, Kinds,
    MemoryNetwork, Mesh, Message, Node, NodeConfig, Overflow, PeerIdentity, Role, Runtimes, StreamHandler,
    Streaming, WireActor, WireMessage,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Say {
    text: String,
}
impl Message for Say {
    type Reply = String;
}
impl WireMessage for Say {
    const KIND: &'static str = "test.say.v1";
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Count {
    to: u32,
}
impl Message for Count {
    type Reply = u64;
}
impl Streaming for Count {
    type Item = u32;
}
impl WireMessage for Count {
    const KIND: &'static str = "test.count.v1";
}

/// Keeps its actor busy until its asker goes away.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Wait {}
impl Message for Wait {
    type Reply = u64;
}
impl WireMessage for Wait {
    const KIND: &'static str = "test.wait.v1";
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Crash {}
impl Message for Crash {
    type Reply = ();
}
impl WireMessage for Crash {
    const KIND: &'static str = "test.crash.v1";
}

#[derive(Default)]
struct Tester {
    handled: u64,
}
impl Actor for Tester {}
impl Handler<Say> for Tester {
    async fn handle(&mut self, say: Say, _: &mut Context<Self>) -> String {
        self.handled += 1;
        say.text
    }
}
impl StreamHandler<Count> for Tester {
    async fn stream(&mut self, count: Count, items: Items<u32>, _: &mut Context<Self>) -> u64 {
        let mut sum = 0;
        for number in 0..count.to {
            if items.send(number).await.is_err() {
                break;
            }
            sum += u64::from(number);
        }
        sum
    }
}
impl Handler<Wait> for Tester {
    async fn handle(&mut self, _: Wait, cx: &mut Context<Self>) -> u64 {
        self.handled += 1;
        cx.cancelled().await;
        self.handled
    }
}
impl Handler<Crash> for Tester {
    async fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as it was told");
    }
}
impl WireActor for Tester {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Say>().message::<Wait>().message::<Crash>().stream::<Count>()
    }
}

/// Where a scenario's nodes live.
enum Cluster {
    Quic(Box<Authority>),
    Memory(MemoryNetwork),
}

impl Cluster {
    fn quic() -> Self {
        Self::Quic(Box::new(Authority::create("test").unwrap()))
    }

    fn memory() -> Self {
        Self::Memory(MemoryNetwork::new())
    }

    async fn node(&self, name: &str, seeds: &[&Node]) -> Node {
        let seeds = seeds.iter().map(|seed| seed.local_addr().to_string()).collect();
        let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), seeds, ..NodeConfig::default() };
        let builder = Node::builder(config);
        let node = match self {
            Self::Quic(authority) => {
                let identity = authority.issue_node(name).unwrap();
                builder.start(identity, Runtimes::current()).await.unwrap()
            }
            Self::Memory(network) => {
                let peer_id = memory_id(Role::Node, name);
                let endpoint = network.endpoint(peer_id.clone());
                builder.start_on(endpoint, peer_id, Runtimes::current()).await.unwrap()
            }
        };
        let tester = node.mesh().spawn(ActorSpec::new("tester").mailbox(64), Tester::default);
        node.mesh().publish("tester", &tester).unwrap();
        node
    }

    /// Two nodes, alpha and beta, that know each other.
    async fn pair(&self) -> (Node, Node) {
        let alpha = self.node("alpha", &[]).await;
        let beta = self.node("beta", &[&alpha]).await;
        eventually("beta", async || alive(alpha.mesh()) == 2).await;
        (alpha, beta)
    }

    async fn client(&self, node: &Node) -> Mesh {
        let addrs = [node.local_addr().to_string()];
        let config = ClientConfig::default();
        match self {
            Self::Quic(authority) => {
                let identity = authority.issue_client("someone", &mesh::GrantSet::all()).unwrap();
                Client::connect(&addrs, &identity, config, Runtimes::current()).await.unwrap()
            }
            Self::Memory(network) => {
                let peer_id = memory_id(Role::Client, "someone");
                let endpoint = network.endpoint(peer_id.clone());
                Client::connect_on(endpoint, peer_id, &addrs, config, Runtimes::current()).await.unwrap()
            }
        }
    }
}

/// An identity that nobody has to prove: a name is an id of its own.
fn memory_id(role: Role, name: &str) -> PeerIdentity {
    let id = name.bytes().fold(1, |id: u128, byte| id.wrapping_mul(257).wrapping_add(byte.into()));
    PeerIdentity { cluster: "test".to_owned(), role, name: name.to_owned(), id }
}

macro_rules! on_both_transports {
    ($($scenario:ident),+ $(,)?) => {
        mod over_quic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(super::Cluster::quic()).await;
            })+
        }

        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(super::Cluster::memory()).await;
            })+
        }
    };
}

on_both_transports!(
    three_nodes_see_one_another_and_answer_from_anywhere,
    a_client_that_reaches_one_node_reaches_every_actor,
    what_cannot_be_sent_is_a_typed_error_with_candidates,
    a_stream_crosses_nodes_in_order_and_ends_with_its_reply,
    a_stuck_actor_holds_back_its_senders_and_not_its_neighbours,
    asks_in_flight_to_a_lost_node_fail_and_may_have_run,
    large_messages_and_small_ones_behind_them_keep_their_order,
    credit_that_one_node_leaves_idle_goes_to_another_that_waits,
    a_dropped_stream_stops_its_actor,
    a_dropped_ask_is_told_to_its_handler,
    a_stream_that_is_withdrawn_before_its_turn_does_not_hold_its_actor,
    a_distant_mailbox_that_rejects_is_full_only_when_it_is,
    an_actor_that_ended_is_found_again_under_its_name,
    who_never_waits_gets_through_all_the_same,
);

/// Polls until `ready` says so; what it waits for must come within ten seconds.
async fn eventually(what: &str, mut ready: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !ready().await {
        assert!(Instant::now() < end, "{what} did not come");
        tokio::task::yield_now().await;
    }
}

fn alive(mesh: &Mesh) -> usize {
    mesh.members().iter().filter(|member| member.state == "alive").count()
}

async fn three_nodes_see_one_another_and_answer_from_anywhere(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let beta = cluster.node("beta", &[&alpha]).await;
    let gamma = cluster.node("gamma", &[&beta]).await;
    for node in [&alpha, &beta, &gamma] {
        eventually("every member", async || alive(node.mesh()) == 3).await;
    }
    for from in [&alpha, &beta, &gamma] {
        for to in ["alpha", "beta", "gamma"] {
            let tester = from.mesh().recipient::<Say>(&format!("{to}/tester")).unwrap();
            eventually("a connection", async || {
                tester.ask(Say { text: to.to_owned() }).await == Ok(to.to_owned())
            })
            .await;
            tester.tell(Say { text: "told".to_owned() }).await.unwrap();
        }
    }
}

async fn a_client_that_reaches_one_node_reaches_every_actor(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    for path in ["alpha/tester", "beta/tester"] {
        let tester = client.recipient::<Say>(path).unwrap();
        assert_eq!(tester.ask(Say { text: "hi".to_owned() }).await.as_deref(), Ok("hi"));
        let reply = client.ask_json(path, "test.say.v1", r#"{"text":"hi"}"#, LIMIT).await;
        assert_eq!(reply.as_deref(), Ok("\"hi\""));
        let large = "x".repeat(3_000_000);
        assert_eq!(tester.ask(Say { text: large.clone() }).await, Ok(large));
    }
    drop(beta);
}

async fn what_cannot_be_sent_is_a_typed_error_with_candidates(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let client = cluster.client(&alpha).await;
    let ask = |path: &'static str, kind: &'static str, body: &'static str| {
        let client = client.clone();
        async move { client.ask_json(path, kind, body, LIMIT).await.unwrap_err() }
    };
    assert_eq!(ask("alpha/nobody", "test.say.v1", "{}").await.code, "NO_SUCH_ACTOR");
    assert_eq!(ask("omega/tester", "test.say.v1", "{}").await.code, "NO_SUCH_NODE");
    let unknown = ask("alpha/tester", "test.say.v9", "{}").await;
    assert_eq!(unknown.code, "UNKNOWN_KIND");
    assert!(unknown.message.contains("test.say.v1"), "{}", unknown.message);
    let bad = ask("alpha/tester", "test.say.v1", r#"{"txt":1}"#).await;
    assert_eq!((bad.code.as_str(), bad.may_have_run, bad.origin.as_str()), ("BAD_MESSAGE", false, "alpha"));
    let crashed = ask("alpha/tester", "test.crash.v1", "{}").await;
    assert_eq!((crashed.code.as_str(), crashed.may_have_run), ("STOPPED", true));
    let tester = client.recipient::<Say>("alpha/tester").unwrap();
    assert_eq!(tester.ask(Say { text: "back".to_owned() }).await.as_deref(), Ok("back"), "it restarts");
    let typed = client.recipient::<Say>("alpha/nobody").unwrap().ask(Say { text: String::new() }).await;
    assert_eq!(typed, Err(AskError::NoSuchActor { path: "alpha/nobody".to_owned() }));
}

async fn a_stream_crosses_nodes_in_order_and_ends_with_its_reply(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    for mesh in [alpha.mesh(), beta.mesh(), &client] {
        let tester = mesh.stream_recipient::<Count>("beta/tester").unwrap();
        let mut stream = tester.stream(Count { to: 1000 });
        for number in 0..1000 {
            assert_eq!(stream.next().await, Some(number));
        }
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.finish().await, Ok(499_500));
    }
    for path in ["alpha/tester", "beta/tester"] {
        let mut stream = client.stream_json(path, "test.count.v1", r#"{"to":100}"#, LIMIT).await.unwrap();
        for number in 0..100 {
            assert_eq!(stream.next().await, Some(Ok(JsonItem::Item(format!("{number}")))));
        }
        assert_eq!(stream.next().await, Some(Ok(JsonItem::Reply("4950".to_owned()))));
        assert_eq!(stream.next().await, None);
    }
}

async fn a_stuck_actor_holds_back_its_senders_and_not_its_neighbours(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let stuck = beta.mesh().spawn(ActorSpec::new("stuck").mailbox(64), Tester::default);
    beta.mesh().publish("stuck", &stuck).unwrap();
    let to_stuck = alpha.mesh().recipient::<Wait>("beta/stuck").unwrap();
    let mut sent = 0;
    let full = loop {
        let wait = Wait {};
        match to_stuck.tell(wait).timeout(Duration::from_millis(500)).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AskError::MailboxFull { .. }), "{full:?}");
    assert_eq!(sent, 65, "the mailbox's 64, and the one that is handled");
    assert_eq!(stuck.mailbox().len(), 64);
    let neighbour = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    for _ in 0..100 {
        assert_eq!(neighbour.ask(Say { text: "hi".to_owned() }).await.as_deref(), Ok("hi"));
    }
    stuck.kill();
    stuck.stopped().await;
}

async fn asks_in_flight_to_a_lost_node_fail_and_may_have_run(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let slow = alpha.mesh().recipient::<Wait>("beta/tester").unwrap();
    let ask = tokio::spawn(async move { slow.ask(Wait {}).timeout(Duration::from_secs(60)).await });
    let tester = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    // The tester is busy with the long message once another one waits for it.
    eventually("the long message", async || {
        let probe = tester.ask(Say { text: String::new() }).timeout(Duration::from_millis(300)).await;
        matches!(probe, Err(AskError::DeadlineExceeded { .. }))
    })
    .await;
    drop(beta);
    let lost = ask.await.unwrap();
    assert_eq!(lost, Err(AskError::Unreachable { node: "beta".to_owned(), may_have_run: true }));
}

async fn large_messages_and_small_ones_behind_them_keep_their_order(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let (log, logged) = std::sync::mpsc::channel();
    let log = std::sync::Mutex::new(log);
    let writer = beta.mesh().spawn(ActorSpec::new("writer"), move || Writer(log.lock().unwrap().clone()));
    beta.mesh().publish("writer", &writer).unwrap();
    let to_writer = alpha.mesh().recipient::<Say>("beta/writer").unwrap();
    for number in 0..60usize {
        // Every third has a body of its own, of up to 3 MB: more than the mailbox's bound in bytes.
        let length = if number % 3 == 0 { 100_000 + number * 50_000 } else { 3 };
        let text = format!("{number:02}{}", "x".repeat(length));
        let sent = to_writer.tell(Say { text }).await;
        assert_eq!(sent, Ok(()), "message {number}: {:?}, {:?}", writer.mailbox(), writer.info());
    }
    for number in 0..60 {
        let text = logged.recv_timeout(LIMIT).unwrap();
        assert_eq!(text, format!("{number:02}"));
    }
}

/// Writes down the first two characters of what it hears.
struct Writer(std::sync::mpsc::Sender<String>);
impl Actor for Writer {}
impl Handler<Say> for Writer {
    async fn handle(&mut self, say: Say, _: &mut Context<Self>) -> String {
        self.0.send(say.text[..2].to_owned()).unwrap();
        String::new()
    }
}
impl WireActor for Writer {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Say>()
    }
}

async fn credit_that_one_node_leaves_idle_goes_to_another_that_waits(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let beta = cluster.node("beta", &[&alpha]).await;
    let gamma = cluster.node("gamma", &[&alpha]).await;
    eventually("all", async || alive(alpha.mesh()) == 3 && alive(beta.mesh()) == 3).await;
    // Room for four messages: what beta is lent for its first one leaves none for gamma.
    let small = alpha.mesh().spawn(ActorSpec::new("small").mailbox(4), Tester::default);
    alpha.mesh().publish("small", &small).unwrap();
    for from in [&beta, &gamma, &beta, &gamma] {
        let to_small = from.mesh().recipient::<Say>("alpha/small").unwrap();
        let reply = to_small.ask(Say { text: "mine".to_owned() }).timeout(LIMIT).await;
        assert_eq!(reply.as_deref(), Ok("mine"));
    }
    let weighty = gamma.mesh().recipient::<Say>("alpha/small").unwrap();
    let text = "x".repeat(2_000_000);
    assert_eq!(
        weighty.ask(Say { text: text.clone() }).timeout(LIMIT).await,
        Ok(text),
        "the whole bound, alone"
    );
}

async fn a_dropped_stream_stops_its_actor(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let tester = alpha.mesh().stream_recipient::<Count>("beta/tester").unwrap();
    let mut stream = tester.stream(Count { to: u32::MAX });
    assert_eq!(stream.next().await, Some(0));
    drop(stream);
    let neighbour = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    let reply = neighbour.ask(Say { text: "free".to_owned() }).timeout(LIMIT).await;
    assert_eq!(reply.as_deref(), Ok("free"), "the actor has left the stream");
}

async fn a_dropped_ask_is_told_to_its_handler(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let busy = alpha.mesh().recipient::<Wait>("beta/tester").unwrap();
    let given_up = busy.ask(Wait {}).timeout(Duration::from_millis(200)).await;
    assert!(matches!(given_up, Err(AskError::DeadlineExceeded { may_have_run: true, .. })), "{given_up:?}");
    let neighbour = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    let reply = neighbour.ask(Say { text: "free".to_owned() }).timeout(LIMIT).await;
    assert_eq!(reply.as_deref(), Ok("free"), "the handler has seen that nobody waits");
}

async fn a_stream_that_is_withdrawn_before_its_turn_does_not_hold_its_actor(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let local = alpha.mesh().recipient::<Wait>("beta/tester").unwrap();
    let busy = tokio::spawn(async move { local.ask(Wait {}).timeout(LIMIT).await });
    let probe = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    eventually("the long message", async || {
        let probe = probe.ask(Say { text: String::new() }).timeout(Duration::from_millis(300)).await;
        matches!(probe, Err(AskError::DeadlineExceeded { .. }))
    })
    .await;
    let tester = alpha.mesh().stream_recipient::<Count>("beta/tester").unwrap();
    let mut stream = tester.stream(Count { to: u32::MAX });
    let none = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
    assert!(none.is_err(), "the actor is busy: {none:?}");
    drop(stream);
    busy.abort();
    let neighbour = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    let reply = neighbour.ask(Say { text: "free".to_owned() }).timeout(LIMIT).await;
    assert_eq!(reply.as_deref(), Ok("free"), "nobody reads the stream");
}

async fn a_distant_mailbox_that_rejects_is_full_only_when_it_is(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let spec = ActorSpec::new("strict").mailbox(8).overflow(Overflow::Reject);
    let strict = beta.mesh().spawn(spec, Tester::default);
    beta.mesh().publish("strict", &strict).unwrap();
    let say = alpha.mesh().recipient::<Say>("beta/strict").unwrap();
    // Wider than the first window, of an empty mailbox.
    let text = "x".repeat(20_000);
    assert_eq!(say.ask(Say { text: text.clone() }).await, Ok(text));
    let wait = alpha.mesh().recipient::<Wait>("beta/strict").unwrap();
    let mut sent = 0;
    let full = loop {
        match wait.tell(Wait {}).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AskError::MailboxFull { len: 7..=8, capacity: 8, .. }), "{full:?}");
    assert!((8..=9).contains(&sent), "the mailbox's 8, and the one that is handled: {sent}");
    strict.kill();
    strict.stopped().await;
}

async fn an_actor_that_ended_is_found_again_under_its_name(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let to_brief = alpha.mesh().recipient::<Say>("beta/brief").unwrap();
    for life in 0..3 {
        let brief = beta.mesh().spawn(ActorSpec::new("brief"), Tester::default);
        beta.mesh().publish("brief", &brief).unwrap();
        let text = format!("life {life}");
        eventually("the name", async || to_brief.ask(Say { text: text.clone() }).await == Ok(text.clone()))
            .await;
        brief.stop();
        brief.stopped().await;
        eventually("the end of the name", async || to_brief.ask(Say { text: text.clone() }).await.is_err())
            .await;
    }
}

async fn who_never_waits_gets_through_all_the_same(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let (log, logged) = std::sync::mpsc::channel();
    let log = std::sync::Mutex::new(log);
    let writer = beta.mesh().spawn(ActorSpec::new("writer"), move || Writer(log.lock().unwrap().clone()));
    beta.mesh().publish("writer", &writer).unwrap();
    for from in [&alpha, &beta] {
        let to_writer = from.mesh().recipient::<Say>("beta/writer").unwrap();
        eventually("the way", async || to_writer.try_tell(Say { text: "hi".to_owned() }).is_ok()).await;
        assert_eq!(logged.recv_timeout(LIMIT).unwrap(), "hi");
    }
}
