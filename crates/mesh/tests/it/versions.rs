//! A node among peers of the version before it, and of versions to come.

use crate::{
    cluster::{Cluster, LIMIT, Say, Tester, alive, eventually, on_both_transports},
    hand_made::{HandMade, Heard},
};
use mesh::{ActorSpec, AskError, MessageId};
use mesh_net::CloseReason;
use mesh_proto::{
    ActorId, Boot, Entry, NodeId,
    credit::Weight,
    decode_payload, encode_payload_to_vec,
    frame::{ChannelKind, Content, Control, Features, MessageHeader, Outcome, Overflow, ReplyHeader},
};
use tokio::time::timeout;

on_both_transports!(
    a_peer_of_the_base_asks_and_is_asked_and_hears_nothing_else,
    names_go_both_ways_between_a_node_and_a_peer_of_the_base,
    what_a_peer_of_the_base_cannot_do_is_refused_before_it_is_sent,
    features_of_the_future_are_ignored_and_frames_of_the_future_end_the_connection,
);

fn published(heard: &Heard) -> Option<&Vec<Entry>> {
    match heard {
        Heard::Control(Control::Published(entries)) => Some(entries),
        _ => None,
    }
}

fn hears_name(name: &str) -> impl FnMut(&Heard) -> Option<()> {
    move |heard| published(heard)?.iter().any(|entry| entry.name == name).then_some(())
}

/// Opens `alpha/tester`, and asks it; a reply comes.
async fn ask_tester(peer: &mut HandMade) {
    peer.say(&Control::Open { channel: 1, path: "alpha/tester".to_owned() }).await;
    let kinds = peer
        .hears("the channel", |heard| match heard {
            Heard::Control(Control::Opened { channel: 1, kinds, .. }) => Some(kinds.clone()),
            _ => None,
        })
        .await;
    let kind = kinds.iter().position(|kind| kind.name == "test.say.v1").unwrap();
    let header = MessageHeader {
        channel: 1,
        kind: u16::try_from(kind).unwrap(),
        content: Content::Json,
        correlation: 1,
        sender: 0,
        budget_ms: 5000,
        body: None,
    };
    peer.send(&header, br#"{"text":"hi"}"#).await;
    let reply = |heard: &Heard| match heard {
        Heard::Reply(header, payload) if header.correlation == 1 => Some((header.outcome, payload.clone())),
        _ => None,
    };
    assert_eq!(peer.hears("the reply", reply).await, (Outcome::Reply, b"\"hi\"".to_vec()));
}

/// Takes one message to `old/echo`, and answers it.
async fn serve_one(peer: &mut HandMade) {
    let channel = peer
        .hears("a channel", |heard| match heard {
            Heard::Control(Control::Open { channel, path }) => {
                assert!(path == "old/echo" || path == "echo", "{path}");
                Some(*channel)
            }
            _ => None,
        })
        .await;
    let capacity = Weight { messages: 1024, bytes: 1 << 20 };
    peer.say(&Control::Opened {
        channel,
        actor: ActorId { node: NodeId(peer.connection.peer().id), boot: Boot(7), serial: 1 },
        kinds: vec![ChannelKind { name: "test.say.v1".to_owned(), streams: false }],
        overflow: Overflow::Wait,
        capacity,
        granted: Weight { messages: 4, bytes: 1 << 16 },
    })
    .await;
    let (correlation, say) = peer
        .hears("a message", |heard| match heard {
            Heard::Message(header, payload) => {
                assert_eq!(header.content, Content::Bincode);
                Some((header.correlation, decode_payload::<Say>(payload).unwrap()))
            }
            _ => None,
        })
        .await;
    let header = ReplyHeader { correlation, outcome: Outcome::Reply, content: Content::Bincode, body: None };
    peer.reply(&header, &encode_payload_to_vec(&format!("old: {}", say.text)).unwrap()).await;
}

async fn a_peer_of_the_base_asks_and_is_asked_and_hears_nothing_else(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let mut old = HandMade::connect(&cluster, "old", &alpha, Features::NONE).await;
    ask_tester(&mut old).await;
    let echo = alpha.mesh().recipient::<Say>("old/echo").unwrap();
    let (answer, ()) = tokio::join!(echo.ask(Say { text: "hi".to_owned() }), serve_one(&mut old));
    assert_eq!(answer.as_deref(), Ok("old: hi"));
    assert_eq!(alive(alpha.mesh()), 2, "it is a member as long as it is connected");
    // Another node comes and goes; of that too it hears what it can understand, and no more.
    let beta = cluster.node("beta", &[&alpha]).await;
    eventually("beta", async || alive(alpha.mesh()) == 3).await;
    beta.leave().await;
    eventually("its leave", async || alive(alpha.mesh()) == 2).await;
    alpha.mesh().publish("last", &alpha.mesh().spawn(ActorSpec::new("last"), Tester::default)).unwrap();
    old.hears("the last name", hears_name("last")).await;
    alpha.leave().await;
    let leaving = |heard: &Heard| matches!(heard, Heard::Control(Control::Leaving)).then_some(());
    old.hears("that it leaves", leaving).await;
}

async fn names_go_both_ways_between_a_node_and_a_peer_of_the_base(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let mut old = HandMade::connect(&cluster, "old", &alpha, Features::NONE).await;
    old.hears("what was published before", hears_name("tester")).await;
    let brief = alpha.mesh().spawn(ActorSpec::new("brief").capability("tool:fetch"), Tester::default);
    alpha.mesh().publish("brief", &brief).unwrap();
    old.hears("what is published now", hears_name("brief")).await;
    brief.stop();
    let gone = |heard: &Heard| match heard {
        Heard::Control(Control::Withdrawn(names)) => Some(names.clone()),
        _ => None,
    };
    assert_eq!(old.hears("that it is gone", gone).await, ["brief"]);

    let entry = |name: &str| Entry { name: name.to_owned(), serial: 1, since_ms: 1 };
    old.say(&Control::Published(vec![entry("echo"), entry("other")])).await;
    eventually("its names", async || alpha.mesh().resolve("other").as_deref() == Some("old/other")).await;
    let echo = alpha.mesh().recipient::<Say>("echo").unwrap();
    let (answer, ()) = tokio::join!(echo.ask(Say { text: "hi".to_owned() }), serve_one(&mut old));
    assert_eq!(answer.as_deref(), Ok("old: hi"));
    old.say(&Control::Withdrawn(vec!["other".to_owned()])).await;
    eventually("the end of one", async || alpha.mesh().resolve("other").is_none()).await;
    assert_eq!(alpha.mesh().resolve("echo").as_deref(), Some("old/echo"));
    drop(old);
    eventually("the end of all", async || alpha.mesh().resolve("echo").is_none()).await;
    assert_eq!(alive(alpha.mesh()), 1);
}

async fn what_a_peer_of_the_base_cannot_do_is_refused_before_it_is_sent(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let mut old = HandMade::connect(&cluster, "old", &alpha, Features::NONE).await;
    old.hears("the hello's end", hears_name("tester")).await;
    let lacks = |error: AskError| match error {
        AskError::Version { node, lacks } => (node, lacks),
        other => panic!("{other:?}"),
    };
    let reliable = alpha.mesh().reliable::<Say>("old/echo").unwrap();
    let asked = reliable.ask(MessageId::new(1), &Say { text: String::new() }, LIMIT).await;
    assert_eq!(lacks(asked.unwrap_err()), ("old".to_owned(), "ids of messages".to_owned()));
    // A client's certificate says what it may do, and this peer cannot read it.
    let client = cluster.client(&alpha).await;
    let failure = client.ask_json("old/echo", "test.say.v1", r#"{"text":""}"#, LIMIT).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.may_have_run), ("VERSION", false), "{failure:?}");
    ask_tester(&mut old).await;
}

async fn features_of_the_future_are_ignored_and_frames_of_the_future_end_the_connection(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let all = Features::from_bits(u64::MAX);
    let mut new = HandMade::connect(&cluster, "new", &alpha, all).await;
    let known = |heard: &Heard| matches!(heard, Heard::Control(Control::NamesKnown(_))).then_some(());
    new.hears("what alpha has of its names", known).await;
    ask_tester(&mut new).await;
    new.say_bytes(&[250, 1, 2, 3]).await;
    let closed = timeout(LIMIT, new.connection.closed()).await.unwrap();
    let CloseReason::Peer { reason, .. } = closed else { panic!("{closed:?}") };
    assert_eq!(reason, "250 is no Control that this version knows");
}
