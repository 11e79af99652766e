//! Rows 5 and 6 of the threat table: what a client may do is what its own certificate says, at the node that owns the
//! actor, whichever way the message comes.

use std::time::{Duration, Instant};

use mesh::{
    Actor, ActorSpec, Authority, ChildSpec, Client, ClientConfig, Context, Endpoint, GrantSet, Handler,
    Kinds, Mesh, Message, Node, NodeConfig, Role, Runtimes, SupervisorSpec, TreeNode, WireActor, WireMessage,
};
use mesh_net::{DenyList, Expect, Identity, TransportConfig};
use mesh_proto::{
    Boot, TopicNews, encode_frame,
    frame::{Control, Features, Hello, Preamble},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const LIMIT: Duration = Duration::from_secs(10);

/// Asks who has sent it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct WhoAmI {}

impl Message for WhoAmI {
    type Reply = String;
}

impl WireMessage for WhoAmI {
    const KIND: &'static str = "test.who_am_i.v1";
}

/// Asks how many were told.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Count {
    pad: String,
}

impl Message for Count {
    type Reply = u32;
}

impl WireMessage for Count {
    const KIND: &'static str = "test.count.v1";
}

#[derive(Default)]
struct Mirror {
    told: u32,
}

impl Actor for Mirror {}

impl Handler<WhoAmI> for Mirror {
    async fn handle(&mut self, _: WhoAmI, cx: &mut Context<Self>) -> String {
        cx.sender().map_or("nobody".to_owned(), |sender| format!("{sender:?}"))
    }
}

impl Handler<Count> for Mirror {
    async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u32 {
        self.told += 1;
        self.told
    }
}

impl WireActor for Mirror {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<WhoAmI>().message::<Count>()
    }
}

struct Farm {
    authority: Authority,
    alpha: Node,
    beta: Node,
}

async fn node(authority: &Authority, name: &str, seeds: Vec<String>) -> Node {
    let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), seeds, ..NodeConfig::default() };
    let identity = authority.issue_node(name).unwrap();
    let node = Node::builder(config).start(identity, Runtimes::current()).await.unwrap();
    for name in ["mirror", "secret"] {
        let mirror = node.mesh().spawn(ActorSpec::new(name), Mirror::default);
        node.mesh().publish(name, &mirror).unwrap();
    }
    node
}

async fn farm() -> Farm {
    let authority = Authority::create("farm").unwrap();
    let alpha = node(&authority, "alpha", Vec::new()).await;
    let beta = node(&authority, "beta", vec![alpha.local_addr().to_string()]).await;
    // Who has joined through a node has a connection to it; the other direction is the same one.
    let there = alpha.mesh().recipient::<Count>("beta/mirror").unwrap();
    eventually(async || there.ask(Count { pad: String::new() }).await.is_ok()).await;
    Farm { authority, alpha, beta }
}

impl Farm {
    fn identity(&self, grants: &str) -> Identity {
        let grants = grants.split_whitespace().map(|grant| grant.parse().unwrap());
        self.authority.issue_client("alice", &GrantSet::new(grants).unwrap()).unwrap()
    }

    /// A client of alpha.
    async fn client(&self, grants: &str) -> Mesh {
        let addrs = [self.alpha.local_addr().to_string()];
        let identity = self.identity(grants);
        Client::connect(&addrs, &identity, ClientConfig::default(), Runtimes::current()).await.unwrap()
    }
}

async fn eventually(mut ready: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !ready().await {
        assert!(Instant::now() < end, "it did not come");
        tokio::task::yield_now().await;
    }
}

async fn ask(mesh: &Mesh, path: &str, kind: &str) -> Result<String, String> {
    let asked = mesh.ask_json(path, kind, r#"{"pad":""}"#, LIMIT).await;
    asked.map_err(|failure| failure.code)
}

/// How many messages the actor has handled, this one not counted; asked by a node, which needs no grant.
async fn told(node: &Node, path: &str) -> u32 {
    let asked = node.mesh().recipient::<Count>(path).unwrap().ask(Count { pad: String::new() }).await;
    asked.unwrap() - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_6_what_was_not_granted_is_denied_by_the_owner_near_and_far() {
    let farm = farm().await;
    let client = farm.client("ask:*/mirror").await;
    for node in ["alpha", "beta"] {
        let denied = Err("DENIED".to_owned());
        assert!(ask(&client, &format!("{node}/mirror"), Count::KIND).await.is_ok());
        assert_eq!(ask(&client, &format!("{node}/secret"), Count::KIND).await, denied);
        assert_eq!(ask(&client, &format!("{node}/mesh"), "mesh.members.v1").await, denied);
        assert_eq!(
            ask(&client, &format!("{node}/nobody"), Count::KIND).await,
            denied,
            "not even that it is absent"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_6_a_supervisor_takes_no_message_and_who_was_not_granted_it_turns_nothing_of_a_tree() {
    let farm = farm().await;
    let desk = SupervisorSpec::new("desk").child(ChildSpec::actor(ActorSpec::new("clerk"), Mirror::default));
    let desk = farm.beta.mesh().supervise(desk).unwrap();
    let tree = || {
        let tree = farm.beta.mesh().tree();
        let desk = tree.iter().find(|node| node.name == "desk").expect("it is there");
        let of = |node: &TreeNode| (node.name.clone(), format!("{:?}", node.state), node.restarts);
        desk.children().iter().chain([desk]).map(of).collect::<Vec<_>>()
    };
    let running = |name: &str| (name.to_owned(), "Running".to_owned(), 0);
    let before = vec![running("clerk"), running("desk")];
    eventually(async || tree() == before).await;
    let client = farm.client("ask:*/mirror tell:*/mirror").await;
    for path in ["beta/desk", "beta/clerk", "beta/desk/clerk"] {
        assert_eq!(ask(&client, path, Count::KIND).await, Err("DENIED".to_owned()), "{path}");
    }
    let of_nodes = ["spawn", "stop", "tree", "drain", "breakers", "turn_breaker", "replay_dead_letter"];
    for kind in of_nodes.map(|kind| format!("mesh.{kind}.v1")) {
        assert_eq!(ask(&client, "beta/mesh", &kind).await, Err("DENIED".to_owned()), "{kind}");
    }
    // Who may ask it finds nobody there: what a supervisor does follows from its children's ends alone.
    let entitled = farm.client("ask:*/desk").await;
    assert_eq!(ask(&entitled, "beta/desk", Count::KIND).await, Err("NO_SUCH_ACTOR".to_owned()));
    assert_eq!(tree(), before, "nothing of it has changed");
    drop(desk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_grants_may_do_nothing() {
    let farm = farm().await;
    let client = farm.client("").await;
    for path in ["alpha/mirror", "beta/mirror", "alpha/mesh", "mirror"] {
        let asked = ask(&client, path, Count::KIND).await;
        assert!(asked.as_ref().is_err_and(|error| error.starts_with("DENIED")), "{path} {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verb_is_not_another_one_and_what_is_denied_is_never_handled() {
    let farm = farm().await;
    let client = farm.client("ask:*/mirror tell:*/secret").await;
    for path in ["alpha/mirror", "beta/mirror"] {
        let before = told(&farm.alpha, path).await + 1;
        let large = "x".repeat(200_000);
        for pad in ["", &large] {
            // A tell is answered by nobody: it is sent, and does not arrive.
            client.tell_json(path, Count::KIND, &format!(r#"{{"pad":"{pad}"}}"#), LIMIT).await.unwrap();
        }
        ask(&client, path, Count::KIND).await.unwrap();
        assert_eq!(told(&farm.alpha, path).await, before + 1, "the ask alone");
        let many = async {
            for _ in 0..3000 {
                client.tell_json(path, Count::KIND, r#"{"pad":""}"#, LIMIT).await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, many).await.expect("what is denied gives its room back");
    }
    for path in ["alpha/secret", "beta/secret"] {
        let asked = ask(&client, path, Count::KIND).await;
        assert!(asked.as_ref().is_err_and(|error| error.starts_with("DENIED")), "{path} {asked:?}");
        client.tell_json(path, Count::KIND, r#"{"pad":""}"#, LIMIT).await.unwrap();
        let before = told(&farm.beta, path).await;
        eventually(async || told(&farm.beta, path).await > before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_published_to_whom_one_may_tell_and_followed_by_who_may_stream() {
    let farm = farm().await;
    for (node, name) in [(&farm.alpha, "mirror"), (&farm.beta, "mirror"), (&farm.beta, "secret")] {
        node.mesh().subscribe::<Count>("news", name).unwrap();
    }
    let publish = |client: Mesh| async move {
        let rows = client.publish_json("news", Count::KIND, r#"{"pad":""}"#, LIMIT).await;
        let told =
            |row: mesh::Delivery<(), mesh::Failure>| (row.to, row.result.err().map(|error| error.code));
        rows.map(|rows| rows.into_iter().map(told).collect::<Vec<_>>()).map_err(|failure| failure.code)
    };
    let follow = |client: Mesh, topic: &'static str| async move {
        client.follow(topic, None).await.map(drop).map_err(|failure| failure.code)
    };
    let denied = || "DENIED".to_owned();
    let expected = [("alpha/mirror", None), ("beta/mirror", None), ("beta/secret", Some(denied()))];
    let expected = expected.map(|(to, code)| (to.to_owned(), code));
    let allowed = farm.client("read:*/mesh tell:*/mirror").await;
    eventually(async || publish(allowed.clone()).await.as_deref() == Ok(&expected[..])).await;
    assert_eq!(follow(allowed, "news").await, Err(denied()));

    let unread = farm.client("tell:**").await;
    assert_eq!(publish(unread.clone()).await, Err(denied()), "it may not see who has subscribed");
    assert_eq!(follow(unread, "news").await, Err(denied()));

    let reader = farm.client("stream:*/topics/news/**").await;
    assert_eq!(follow(reader.clone(), "news/weather").await, Ok(()));
    for topic in ["news", "other/weather"] {
        assert_eq!(follow(reader.clone(), topic).await, Err(denied()), "{topic}");
    }
    // A stream is told by nobody who may not tell its actor.
    let follows = reader.follow("news/weather", None).await.unwrap();
    let path = follows.path().to_owned();
    let rows = farm.client("read:*/mesh tell:*/mirror").await;
    let rows = rows.publish_json("news/weather", Count::KIND, r#"{"pad":""}"#, LIMIT).await.unwrap();
    assert!(rows.iter().all(|row| row.to == path && row.result.is_err()) && rows.len() == 1, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_spawning_and_stopping_are_granted_apart() {
    let farm = farm().await;
    let list = |client: Mesh| async move { ask(&client, "beta/mesh", "mesh.members.v1").await.is_ok() };
    let stop = |client: Mesh| async move {
        let asked = client.ask_json("beta/mesh", "mesh.stop.v1", r#"{"name":"nobody"}"#, LIMIT).await;
        !asked.is_err_and(|failure| failure.code == "DENIED")
    };
    let spawn = |client: Mesh| async move {
        let body = r#"{"kind":"x","name":"y"}"#;
        let asked = client.ask_json("beta/mesh", "mesh.spawn.v1", body, LIMIT).await;
        !asked.is_err_and(|failure| failure.code == "DENIED")
    };
    for (grants, may) in [
        ("ask:** tell:** stream:**", [false; 3]),
        ("read:**", [true, false, false]),
        ("spawn:beta/mesh", [false, true, false]),
        ("admin:*/mesh", [false, false, true]),
        ("all:beta/**", [true; 3]),
        ("all:alpha/**", [false; 3]),
    ] {
        let client = farm.client(grants).await;
        let seen = [list(client.clone()).await, spawn(client.clone()).await, stop(client).await];
        assert_eq!(seen, may, "{grants}: read, spawn, stop");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_sees_a_client_as_what_it_is_also_behind_a_relay() {
    let farm = farm().await;
    let client = farm.client("ask:**").await;
    for path in ["alpha/mirror", "beta/mirror"] {
        let seen = ask(&client, path, WhoAmI::KIND).await.unwrap();
        assert!(seen.contains("client/alice"), "{path} saw {seen}");
    }
}

/// A connection of raw frames, with the hello said.
struct Raw {
    connection: mesh_net::Connection,
    control: mesh_net::SendHalf,
    _endpoint: Endpoint,
}

impl Raw {
    async fn to(node: &Node, identity: &Identity) -> Self {
        Self::with_features(node, identity, Features::NONE).await
    }

    async fn with_features(node: &Node, identity: &Identity, features: Features) -> Self {
        let endpoint = match identity.peer_id().role {
            Role::Node => {
                Endpoint::bind("127.0.0.1:0".parse().unwrap(), identity, &TransportConfig::lan()).unwrap()
            }
            Role::Client => Endpoint::client(identity, &TransportConfig::lan()).unwrap(),
        };
        let connection = endpoint.connect(node.local_addr(), Expect::AnyNode).await.unwrap();
        let mut control = connection.open_uni(10).await.unwrap();
        control.write_chunk(bytes::Bytes::copy_from_slice(&Preamble::Control.encode())).await.unwrap();
        let mut raw = Self { connection, control, _endpoint: endpoint };
        raw.say(&Control::Hello(Hello { boot: Boot(1), features, listens: None })).await;
        raw
    }

    async fn say(&mut self, frame: &Control) {
        let mut body = Vec::new();
        encode_frame(frame, &mut body);
        let mut whole = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        whole.extend_from_slice(&body);
        self.control.write_chunk(whole.into()).await.unwrap();
    }

    /// What it hears next of the channel.
    async fn answer(&self, channel: u32) -> Control {
        self.hears(|frame| {
            matches!(frame, Control::Opened { channel: number, .. } | Control::Closed { channel: number, .. } if *number == channel)
        })
        .await
    }

    /// The next frame that is meant.
    async fn hears(&self, is_meant: impl Fn(&Control) -> bool) -> Control {
        let mut receive = self.connection.accept_uni().await.unwrap();
        let mut reader = mesh_net::FrameReader::new(64 * 1024);
        let mut chunk = [bytes::Bytes::new()];
        let mut is_first = true;
        loop {
            receive.read_chunks(&mut chunk).await.unwrap().expect("the stream lives");
            let mut bytes = std::mem::take(&mut chunk[0]);
            if is_first {
                bytes = bytes.slice(4..);
                is_first = false;
            }
            let mut found = None;
            let read = reader.feed(&bytes, |frame| {
                let frame: Control = mesh_proto::decode_frame(frame.bytes()).unwrap();
                if found.is_none() && is_meant(&frame) {
                    found = Some(frame);
                }
            });
            read.unwrap();
            if let Some(found) = found {
                return found;
            }
        }
    }
}

fn code(answer: Control) -> String {
    match answer {
        Control::Closed { failure, .. } => failure.code,
        Control::Opened { .. } => "opened".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_5_a_node_that_speaks_for_a_client_is_believed_by_the_certificate_alone() {
    let farm = farm().await;
    let relay = farm.authority.issue_node("relay").unwrap();
    let open = |client: Vec<u8>| Control::OpenFor { channel: 1, path: "beta/secret".to_owned(), client };
    let alice = farm.identity("ask:*/mirror").credential().certificate().to_vec();
    let admin = farm.identity("all:**").credential().certificate().to_vec();
    let forged = Authority::create("farm").unwrap().issue_client("alice", &GrantSet::all()).unwrap();
    for (certificate, wanted) in [
        (admin, "opened"),
        (alice, "DENIED"),
        (forged.credential().certificate().to_vec(), "DENIED"),
        // Its own: a node is no client.
        (relay.credential().certificate().to_vec(), "DENIED"),
        (b"spiffe://farm/client/admin".to_vec(), "DENIED"),
    ] {
        let mut raw = Raw::to(&farm.beta, &relay).await;
        raw.say(&open(certificate)).await;
        let answer = tokio::time::timeout(LIMIT, raw.answer(1)).await.unwrap();
        assert_eq!(code(answer), wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_3_row_5_a_client_that_speaks_as_a_node_is_cut_off() {
    let farm = farm().await;
    let alice = farm.identity("all:**");
    let admin = farm.identity("all:**").credential().certificate().to_vec();
    for frame in [
        Control::OpenFor { channel: 1, path: "beta/mirror".to_owned(), client: admin },
        Control::Published(Vec::new()),
        Control::Topics(TopicNews { version: 1, is_all: true, came: Vec::new(), went: Vec::new() }),
        Control::Leaving,
    ] {
        let mut raw = Raw::to(&farm.beta, &alice).await;
        raw.say(&frame).await;
        let closed = tokio::time::timeout(LIMIT, raw.connection.closed()).await.unwrap();
        assert!(closed.to_string().contains("is a client"), "{frame:?}: {closed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_peer_that_knows_of_topics_is_told_of_subscriptions() {
    let farm = farm().await;
    farm.beta.mesh().subscribe::<Count>("news", "mirror").unwrap();
    for (name, features) in [("former", Features::NONE), ("latter", Features::TOPICS)] {
        let identity = farm.authority.issue_node(name).unwrap();
        let raw = Raw::with_features(&farm.beta, &identity, features).await;
        let met = tokio::sync::Notify::new();
        let names =
            |entries: &[mesh_proto::Entry], name: &str| entries.iter().any(|entry| entry.name == name);
        let told = raw.hears(|frame| match frame {
            Control::Topics(_) => true,
            Control::Published(entries) => {
                if names(entries, "mirror") {
                    met.notify_one();
                }
                names(entries, name)
            }
            _ => false,
        });
        // Once it is a peer, one more subscription and then one more name are told.
        let more = async {
            met.notified().await;
            farm.beta.mesh().subscribe::<Count>(name, "mirror").unwrap();
            let marker = farm.beta.mesh().spawn(ActorSpec::new(name), Mirror::default);
            farm.beta.mesh().publish(name, &marker).unwrap();
        };
        let (told, ()) = tokio::time::timeout(LIMIT, async { tokio::join!(told, more) }).await.unwrap();
        assert_eq!(matches!(told, Control::Topics(_)), features != Features::NONE, "{name}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_2_a_denied_client_is_cut_off_here_and_unheard_behind_a_relay() {
    let farm = farm().await;
    let (client, other) = (farm.client("ask:**").await, farm.client("ask:**").await);
    assert!(ask(&client, "beta/mirror", Count::KIND).await.is_ok());
    let list = || DenyList::new(["client/alice".parse().unwrap()]);
    farm.beta.deny(list());
    assert_eq!(ask(&client, "beta/mirror", Count::KIND).await, Err("DENIED".to_owned()));
    assert!(ask(&client, "alpha/mirror", Count::KIND).await.is_ok(), "alpha was not told");
    farm.beta.deny(DenyList::default());
    assert!(ask(&client, "beta/mirror", Count::KIND).await.is_ok());

    farm.alpha.deny(list());
    let asked = ask(&other, "alpha/mirror", Count::KIND).await;
    assert!(asked.as_ref().is_err_and(|error| error.starts_with("UNREACHABLE")), "{asked:?}");
}
