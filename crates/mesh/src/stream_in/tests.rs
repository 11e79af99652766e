use crate::{
    Actor, ActorSpec, AskError, Authority, Cancel, Client, ClientConfig, Context, GrantSet, Handler,
    Identity, Items, JsonItem, Kinds, MemoryNetwork, Mesh, Message, Node, NodeConfig, PeerIdentity,
    Recipient, Role, Runtimes, StreamHandler, Streaming, WireActor, WireMessage, session::Session,
};
use mesh_net::CloseCode;
use mesh_proto::NodeId;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(20);

/// Asks for the numbers up to this.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct CountTo {
    to: u64,
}
impl Message for CountTo {
    type Reply = String;
}
impl Streaming for CountTo {
    type Item = u64;
}
impl WireMessage for CountTo {
    const KIND: &'static str = "test.count_to.v1";
}

/// Asks along a line of actors, the last of which waits until nobody wants its answer any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Wait {
    through: Vec<String>,
}
impl Message for Wait {
    type Reply = String;
}
impl WireMessage for Wait {
    const KIND: &'static str = "test.wait.v1";
}

/// What the actors of a test did, in order.
type Log = Arc<Mutex<Vec<String>>>;

struct Counter {
    mesh: Mesh,
    log: Log,
}

impl Counter {
    fn note(&self, what: &str) {
        self.log.lock().push(format!("{} {what}", self.mesh.node_name()));
    }
}

impl Actor for Counter {}

impl StreamHandler<CountTo> for Counter {
    async fn stream(&mut self, CountTo { to }: CountTo, items: Items<u64>, _: &mut Context<Self>) -> String {
        for number in 1..=to {
            if items.send(number).await.is_err() {
                self.note("found its stream closed");
                return "closed".to_owned();
            }
        }
        self.note("made all");
        "all".to_owned()
    }
}

impl Handler<Wait> for Counter {
    async fn handle(&mut self, Wait { mut through }: Wait, cx: &mut Context<Self>) -> String {
        self.note("began");
        let said = if through.is_empty() {
            cx.cancelled().await;
            "nobody waits".to_owned()
        } else {
            let next: Recipient<Wait> = self.mesh.recipient(&through.remove(0)).unwrap();
            let said = next.ask(Wait { through }).deadline(cx.deadline()).cancel_on(cx.cancel()).await;
            said.unwrap_or_else(|error| error.to_string())
        };
        self.note("ended");
        said
    }
}

impl WireActor for Counter {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.stream::<CountTo>().message::<Wait>()
    }
}

/// Where a test's nodes live.
enum Lab {
    Quic(Box<Authority>),
    Memory(MemoryNetwork),
}

/// Who a client is; two connections of one are one owner of streams.
enum Who {
    Quic(Box<Identity>),
    Memory(PeerIdentity),
}

impl Lab {
    fn quic() -> Self {
        Self::Quic(Box::new(Authority::create("test").unwrap()))
    }

    fn memory() -> Self {
        Self::Memory(MemoryNetwork::new())
    }

    async fn node(&self, name: &str, seeds: &[&Node], parking: Duration, log: &Log) -> Node {
        let seeds = seeds.iter().map(|seed| seed.local_addr().to_string()).collect();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = NodeConfig { listen, seeds, stream_parking: parking, ..NodeConfig::default() };
        let builder = Node::builder(config);
        let node = match self {
            Self::Quic(authority) => {
                builder.start(authority.issue_node(name).unwrap(), Runtimes::current()).await.unwrap()
            }
            Self::Memory(network) => {
                let me = memory_id(Role::Node, name);
                builder.start_on(network.endpoint(me.clone()), me, Runtimes::current()).await.unwrap()
            }
        };
        let (mesh, log) = (node.mesh().clone(), Arc::clone(log));
        let make = move || Counter { mesh: mesh.clone(), log: Arc::clone(&log) };
        let counter = node.mesh().spawn(ActorSpec::new("counter"), make);
        node.mesh().publish("counter", &counter).unwrap();
        node
    }

    async fn pair(&self, parking: Duration, log: &Log) -> (Node, Node) {
        let alpha = self.node("alpha", &[], parking, log).await;
        let beta = self.node("beta", &[&alpha], parking, log).await;
        eventually("each other", || session(&alpha, &beta).is_some() && session(&beta, &alpha).is_some())
            .await;
        (alpha, beta)
    }

    fn who(&self, name: &str) -> Who {
        match self {
            Self::Quic(authority) => {
                Who::Quic(Box::new(authority.issue_client(name, &GrantSet::all()).unwrap()))
            }
            Self::Memory(_) => Who::Memory(memory_id(Role::Client, name)),
        }
    }

    async fn client(&self, who: &Who, node: &Node) -> Mesh {
        let addrs = [node.local_addr().to_string()];
        let (config, runtimes) =
            (ClientConfig { moves: false, ..ClientConfig::default() }, Runtimes::current());
        match (self, who) {
            (Self::Memory(network), Who::Memory(me)) => {
                let endpoint = network.endpoint(me.clone());
                Client::connect_on(endpoint, me.clone(), &addrs, config, runtimes).await.unwrap()
            }
            (_, Who::Quic(identity)) => Client::connect(&addrs, identity, config, runtimes).await.unwrap(),
            (Self::Quic(_), Who::Memory(_)) => unreachable!("of another lab"),
        }
    }
}

fn memory_id(role: Role, name: &str) -> PeerIdentity {
    let id = name.bytes().fold(1, |id: u128, byte| id.wrapping_mul(257).wrapping_add(byte.into()));
    PeerIdentity { cluster: "test".to_owned(), role, name: name.to_owned(), id }
}

fn session(from: &Node, to: &Node) -> Option<Arc<Session>> {
    let id = u128::from_str_radix(&to.id(), 16).unwrap();
    from.mesh().shared().membership().unwrap().session_of(NodeId(id)).ok()
}

/// Ends the connection between two nodes as one does that finds a better one; they connect again by themselves.
fn cut(from: &Node, to: &Node) {
    if let Some(session) = session(from, to) {
        session.close(CloseCode::Duplicate, "cut by a test");
    }
}

/// Ends a client's connection at its own end, without a word about its streams.
fn cut_client(client: &Mesh) {
    client.shared().uplink().unwrap().session().unwrap().close(CloseCode::Duplicate, "cut by a test");
}

async fn eventually(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !ready() {
        assert!(Instant::now() < end, "{what} did not come");
        tokio::task::yield_now().await;
    }
}

macro_rules! on_both_transports {
    ($($scenario:ident),+ $(,)?) => {
        mod over_quic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(super::Lab::quic(), super::Log::default()).await;
            })+
        }

        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario(super::Lab::memory(), super::Log::default()).await;
            })+
        }
    };
}

on_both_transports!(
    a_stream_goes_on_over_lost_connections_and_misses_and_repeats_nothing,
    a_clients_stream_goes_on_when_the_connection_behind_its_node_is_lost,
    the_end_of_a_stream_comes_although_its_handler_ended_while_the_way_was_cut,
    a_reader_that_disconnects_and_returns_misses_and_repeats_nothing,
    a_reader_that_detached_is_taken_up_by_another_of_the_same_identity,
    nobody_else_attaches_to_a_stream,
    a_stream_that_nobody_comes_for_is_closed_and_leaves_nothing_behind,
    a_node_that_keeps_no_streams_says_how_far_a_lost_one_was_read,
    a_cancelled_root_is_confirmed_when_the_last_of_three_handlers_has_ended,
    a_cancelled_stream_is_confirmed_by_its_handlers_end,
    a_withdrawn_ask_that_waits_behind_another_never_runs,
);

const LONG: Duration = Duration::from_secs(30);

async fn a_stream_goes_on_over_lost_connections_and_misses_and_repeats_nothing(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let counter = alpha.mesh().stream_recipient::<CountTo>("beta/counter").unwrap();
    let mut stream = counter.stream(CountTo { to: 1000 });
    for number in 1..=1000 {
        assert_eq!(stream.next().await, Some(number));
        assert_eq!(stream.seq(), number);
        match number {
            // At either end, and while the first is being mended.
            100 | 101 | 400 => cut(&alpha, &beta),
            250 | 700 | 900 => cut(&beta, &alpha),
            _ => {}
        }
    }
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.finish().await.as_deref(), Ok("all"));
    assert_eq!(*log.lock(), ["beta made all"], "the handler ran once");
    let parking = &beta.mesh().shared().parking;
    eventually("the end of what was kept", || parking.holds() == (0, 0)).await;
}

async fn a_clients_stream_goes_on_when_the_connection_behind_its_node_is_lost(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let client = lab.client(&lab.who("ann"), &alpha).await;
    let body = r#"{"to":600}"#;
    let mut stream = client.stream_json("beta/counter", CountTo::KIND, body, LIMIT).await.unwrap();
    for number in 1..=600u64 {
        assert_eq!(stream.next().await, Some(Ok(JsonItem::Item(number.to_string()))));
        if number % 150 == 75 {
            cut(&alpha, &beta);
        }
    }
    assert_eq!(stream.next().await, Some(Ok(JsonItem::Reply("\"all\"".to_owned()))));
    let parking = &beta.mesh().shared().parking;
    eventually("the end of what was kept", || parking.holds() == (0, 0)).await;
}

async fn the_end_of_a_stream_comes_although_its_handler_ended_while_the_way_was_cut(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let counter = alpha.mesh().stream_recipient::<CountTo>("beta/counter").unwrap();
    let mut stream = counter.stream(CountTo { to: 30 });
    assert_eq!(stream.next().await, Some(1));
    eventually("the handler's end", || !log.lock().is_empty()).await;
    cut(&beta, &alpha);
    for number in 2..=30 {
        assert_eq!(stream.next().await, Some(number));
    }
    assert_eq!(stream.finish().await.as_deref(), Ok("all"));
}

async fn a_reader_that_disconnects_and_returns_misses_and_repeats_nothing(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let who = lab.who("ann");
    let first = lab.client(&who, &alpha).await;
    let counter = first.stream_recipient::<CountTo>("beta/counter").unwrap();
    let mut stream = counter.stream(CountTo { to: 400 });
    let mut read = Vec::new();
    for _ in 0..123 {
        read.extend(stream.next().await);
    }
    let (ticket, seq) = (stream.ticket().unwrap(), stream.seq());
    cut_client(&first);
    // Its process is gone with all that it had received and not read: nothing is said to anybody.
    std::mem::forget(stream);
    let second = lab.client(&who, &beta).await;
    let mut stream = second.attach::<CountTo>(&ticket, seq, LIMIT).unwrap();
    while let Some(item) = stream.next().await {
        read.push(item);
    }
    assert_eq!(read, (1..=400).collect::<Vec<_>>());
    assert_eq!(stream.seq(), 400);
    assert_eq!(stream.finish().await.as_deref(), Ok("all"));
}

async fn a_reader_that_detached_is_taken_up_by_another_of_the_same_identity(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let who = lab.who("ann");
    let mut after = 0;
    let mut ticket = None;
    for turn in 1..=4u64 {
        let client = lab.client(&who, if turn % 2 == 0 { &alpha } else { &beta }).await;
        let mut stream = match ticket.as_deref() {
            None => {
                let body = r#"{"to":200}"#;
                client.stream_json("beta/counter", CountTo::KIND, body, LIMIT).await.unwrap()
            }
            Some(ticket) => client.attach_json(ticket, after, LIMIT).unwrap(),
        };
        for number in after + 1..=turn * 50 {
            assert_eq!(stream.next().await, Some(Ok(JsonItem::Item(number.to_string()))));
            after = stream.seq();
        }
        if turn < 4 {
            ticket = stream.detach().await;
            assert!(ticket.is_some());
        } else {
            assert_eq!(stream.next().await, Some(Ok(JsonItem::Reply("\"all\"".to_owned()))));
        }
    }
    assert_eq!(*log.lock(), ["beta made all"]);
}

async fn nobody_else_attaches_to_a_stream(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let who = lab.who("ann");
    let ann = lab.client(&who, &alpha).await;
    let mut stream = ann.stream_json("beta/counter", CountTo::KIND, r#"{"to":90}"#, LIMIT).await.unwrap();
    assert_eq!(stream.next().await, Some(Ok(JsonItem::Item("1".to_owned()))));
    let ticket = stream.ticket().unwrap();
    let bob = lab.client(&lab.who("bob"), &alpha).await;
    for thief in [&bob, alpha.mesh()] {
        let mut stolen = thief.attach_json(&ticket, 1, LIMIT).unwrap();
        let refused = stolen.next().await.unwrap().unwrap_err();
        assert_eq!(refused.code, "STREAM_GONE");
        assert_eq!(stolen.next().await, None);
    }
    // The owner's other connection takes it over, and who had it is told.
    let again = lab.client(&who, &beta).await;
    let mut taken = again.attach_json(&ticket, 1, LIMIT).unwrap();
    for number in 2..=90 {
        assert_eq!(taken.next().await, Some(Ok(JsonItem::Item(number.to_string()))));
    }
    let told = loop {
        match stream.next().await.unwrap() {
            Ok(JsonItem::Item(_)) => {}
            Ok(reply) => panic!("{reply:?}"),
            Err(failure) => break failure,
        }
    };
    assert!(told.message.contains("another reader"), "{}", told.message);
    let before = taken.ticket().unwrap();
    drop(taken);
    let mut wrong = again.attach_json(&before, 500, LIMIT).unwrap();
    assert_eq!(wrong.next().await.unwrap().unwrap_err().code, "STREAM_GONE");
}

async fn a_stream_that_nobody_comes_for_is_closed_and_leaves_nothing_behind(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(Duration::from_millis(300), &log).await;
    let who = lab.who("ann");
    let client = lab.client(&who, &alpha).await;
    let body = r#"{"to":1000000000}"#;
    let mut stream = client.stream_json("beta/counter", CountTo::KIND, body, LIMIT).await.unwrap();
    for _ in 0..40 {
        stream.next().await.unwrap().unwrap();
    }
    let (ticket, seq) = (stream.ticket().unwrap(), stream.seq());
    let cut_at = Instant::now();
    cut_client(&client);
    std::mem::forget(stream);
    eventually("the handler's end", || *log.lock() == ["beta found its stream closed"]).await;
    assert!(cut_at.elapsed() >= Duration::from_millis(300), "it was kept for {:?}", cut_at.elapsed());
    let parking = &beta.mesh().shared().parking;
    eventually("the end of what was kept", || parking.holds() == (0, 0)).await;
    let late = lab.client(&who, &alpha).await;
    let mut gone = late.attach_json(&ticket, seq, LIMIT).unwrap();
    let failure = gone.next().await.unwrap().unwrap_err();
    assert_eq!((failure.code.as_str(), failure.may_have_run), ("STREAM_GONE", true));
}

async fn a_node_that_keeps_no_streams_says_how_far_a_lost_one_was_read(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(Duration::ZERO, &log).await;
    let counter = alpha.mesh().stream_recipient::<CountTo>("beta/counter").unwrap();
    let mut stream = counter.stream(CountTo { to: u64::MAX });
    for number in 1..=10 {
        assert_eq!(stream.next().await, Some(number));
    }
    cut(&alpha, &beta);
    while stream.next().await.is_some() {}
    let error = stream.finish().await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("STREAM_GONE", true));
    eventually("the handler's end", || *log.lock() == ["beta found its stream closed"]).await;
}

async fn a_cancelled_root_is_confirmed_when_the_last_of_three_handlers_has_ended(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let gamma = lab.node("gamma", &[&alpha], LONG, &log).await;
    eventually("gamma", || session(&beta, &gamma).is_some()).await;
    let client = lab.client(&lab.who("ann"), &gamma).await;
    let root = client.recipient::<Wait>("alpha/counter").unwrap();
    let cancel = Cancel::new();
    let through = vec!["beta/counter".to_owned(), "gamma/counter".to_owned()];
    let asks = {
        let cancel = cancel.clone();
        async move { root.ask(Wait { through }).timeout(LIMIT).cancel_on(cancel).await }
    };
    let asks = tokio::spawn(asks);
    eventually("the last handler", || log.lock().len() == 3).await;
    assert_eq!(*log.lock(), ["alpha began", "beta began", "gamma began"]);
    assert!(!asks.is_finished());
    cancel.cancel();
    assert_eq!(asks.await.unwrap().as_deref(), Ok("nobody waits"), "said by the last, and passed on");
    assert_eq!(log.lock()[3..], ["gamma ended", "beta ended", "alpha ended"], "before it was confirmed");
}

async fn a_cancelled_stream_is_confirmed_by_its_handlers_end(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let client = lab.client(&lab.who("ann"), &alpha).await;
    for mesh in [&client, alpha.mesh(), beta.mesh()] {
        log.lock().clear();
        let counter = mesh.stream_recipient::<CountTo>("beta/counter").unwrap();
        let mut stream = counter.stream(CountTo { to: u64::MAX });
        assert_eq!(stream.next().await, Some(1));
        assert_eq!(stream.cancel().await.as_deref(), Ok("closed"));
        assert_eq!(*log.lock(), ["beta found its stream closed"], "before it was confirmed");
    }
    let parking = &beta.mesh().shared().parking;
    eventually("the end of what was kept", || parking.holds() == (0, 0)).await;
}

async fn a_withdrawn_ask_that_waits_behind_another_never_runs(lab: Lab, log: Log) {
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let client = lab.client(&lab.who("ann"), &alpha).await;
    let counter = client.recipient::<Wait>("beta/counter").unwrap();
    let wait = |cancel: &Cancel| {
        let (counter, cancel) = (counter.clone(), cancel.clone());
        async move { counter.ask(Wait { through: Vec::new() }).timeout(LIMIT).cancel_on(cancel).await }
    };
    let (first, second) = (Cancel::new(), Cancel::new());
    let runs = tokio::spawn(wait(&first));
    eventually("the first handler", || log.lock().len() == 1).await;
    let mut waits = Box::pin(wait(&second));
    // Sent behind it on the same way: when this is told, that has come.
    let behind = counter.tell(Wait { through: vec!["nobody".to_owned()] });
    tokio::select! {
        biased;
        ended = &mut waits => panic!("it waits behind the first: {ended:?}"),
        told = behind => assert_eq!(told, Ok(())),
    }
    second.cancel();
    let relay = session(&beta, &alpha).unwrap();
    tokio::select! {
        biased;
        ended = &mut waits => panic!("its message is still there: {ended:?}"),
        () = eventually("its withdrawal", || relay.withdrawals() == 1) => {}
    }
    first.cancel();
    assert_eq!(runs.await.unwrap().as_deref(), Ok("nobody waits"));
    let never = waits.await;
    assert_eq!(never, Err(AskError::Cancelled { path: "beta/counter".to_owned() }));
    eventually("the last message", || log.lock().len() == 4).await;
    assert_eq!(*log.lock(), ["beta began", "beta ended", "beta began", "beta ended"]);
}

/// A cable that is cut for 4 s: both ends find the connection dead, and neither the other node.
#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_when_a_cut_cable_is_mended() {
    let (lab, log) = (Lab::memory(), Log::default());
    let (alpha, beta) = lab.pair(LONG, &log).await;
    let Lab::Memory(network) = &lab else { unreachable!("it is in memory") };
    let counter = alpha.mesh().stream_recipient::<CountTo>("beta/counter").unwrap();
    let mut stream = counter.stream(CountTo { to: 300 });
    for number in 1..=300 {
        if number == 100 {
            network.partition("alpha", "beta");
        }
        match tokio::time::timeout(Duration::from_secs(4), stream.next()).await {
            Ok(item) => assert_eq!(item, Some(number)),
            Err(_cut) => {
                assert!(session(&alpha, &beta).is_none(), "the connection is given up");
                network.heal();
                assert_eq!(stream.next().await, Some(number));
            }
        }
    }
    assert_eq!(stream.finish().await.as_deref(), Ok("all"));
    assert_eq!(*log.lock(), ["beta made all"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_this_process_has_no_ticket_and_is_not_kept() {
    let log = Log::default();
    let alpha = Lab::memory().node("alpha", &[], LONG, &log).await;
    let counter = alpha.mesh().stream_recipient::<CountTo>("alpha/counter").unwrap();
    let mut stream = counter.stream(CountTo { to: 3 });
    assert_eq!(stream.next().await, Some(1));
    assert_eq!(stream.ticket(), None, "of this process");
    assert_eq!(stream.finish().await.as_deref(), Ok("all"));
    assert_eq!(alpha.mesh().shared().parking.holds(), (0, 0));
}
