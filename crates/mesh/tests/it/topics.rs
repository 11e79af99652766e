//! Topics: who publishes is told what became of its message at each subscriber.

use crate::cluster::{Cluster, LIMIT, Say, Tester, Wait, eventually, on_both_transports};
use mesh::{
    Actor, ActorSpec, AskError, Context, Delivery, Handler, Kinds, ListSubscribers, Mesh, Message, Node,
    Published, SubscribeError, WireActor, WireMessage,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{sync::Mutex, time::Duration};
use tokio::{sync::mpsc, time::timeout};

on_both_transports!(
    what_is_published_comes_once_to_each_subscriber_on_three_nodes,
    a_full_subscriber_is_told_apart_and_delays_nobody_else,
    who_tries_waits_for_nobody,
    a_subscriber_that_ends_is_gone_and_so_are_those_of_a_dead_node,
    who_subscribes_later_hears_what_comes_later,
    two_kinds_on_one_topic_do_not_mix,
    what_one_publishes_comes_to_each_in_order,
    a_node_that_joins_later_learns_of_subscriptions,
    a_subscription_that_cannot_be_is_refused,
    everybody_who_has_subscribed_is_asked,
    a_client_publishes_through_its_node,
    a_client_follows_what_anybody_publishes,
    a_reader_that_is_slow_delays_nobody_else,
    an_envelope_that_is_too_large_fails_in_its_row_alone,
    who_follows_no_more_is_gone,
);

const TOPIC: &str = "news/weather";

/// Another kind than `Say`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Shout {
    text: String,
}
impl Message for Shout {
    type Reply = String;
}
impl WireMessage for Shout {
    const KIND: &'static str = "test.shout.v1";
}

/// Writes down what it hears.
struct Listener(mpsc::Sender<String>);
impl Listener {
    async fn note(&self, text: &str) -> String {
        self.0.send(text.to_owned()).await.unwrap();
        format!("heard {text}")
    }
}
impl Actor for Listener {}
impl Handler<Say> for Listener {
    async fn handle(&mut self, say: Say, _: &mut Context<Self>) -> String {
        self.note(&say.text).await
    }
}
impl Handler<Shout> for Listener {
    async fn handle(&mut self, shout: Shout, _: &mut Context<Self>) -> String {
        self.note(&shout.text.to_uppercase()).await
    }
}
impl Handler<Published> for Listener {
    async fn handle(&mut self, published: Published, _: &mut Context<Self>) {
        self.note(&format!("{} {}", published.kind, published.body)).await;
    }
}
impl WireActor for Listener {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Say>().message::<Shout>().message::<Published>()
    }
}

struct Heard {
    actor: mesh::ActorRef<Listener>,
    texts: mpsc::Receiver<String>,
}

impl Heard {
    async fn next(&mut self) -> String {
        timeout(LIMIT, self.texts.recv()).await.expect("it was told").unwrap()
    }

    /// Whether nothing came before this, which is told to the actor directly.
    async fn is_silent(&mut self) -> bool {
        self.actor.tell(say("end")).await.unwrap();
        self.next().await == "end"
    }
}

/// A listener of this node, published and not subscribed.
fn listener(node: &Node, name: &str) -> Heard {
    let (note, texts) = mpsc::channel(1024);
    let note = Mutex::new(note);
    let spec = ActorSpec::new(name);
    let actor = node.mesh().spawn(spec, move || Listener(note.lock().unwrap().clone()));
    node.mesh().publish(name, &actor).unwrap();
    Heard { actor, texts }
}

fn say(text: &str) -> Say {
    Say { text: text.to_owned() }
}

/// Waits until a node knows so many subscribers of `Say`.
async fn known(node: &Node, count: usize) {
    let path = format!("{}/mesh", node.name());
    let list = node.mesh().recipient::<ListSubscribers>(&path).unwrap();
    eventually(&format!("{count} subscribers at {}", node.name()), async || {
        let ask = list.ask(ListSubscribers { topic: TOPIC.to_owned(), kind: Say::KIND.to_owned() });
        ask.await.unwrap().subscribers.len() == count
    })
    .await;
}

async fn publish(mesh: &Mesh, text: &str) -> Vec<Delivery> {
    mesh.topic::<Say>(TOPIC).unwrap().publish(say(text)).await.unwrap()
}

fn delivered(to: &str) -> Delivery {
    Delivery { to: to.to_owned(), result: Ok(()) }
}

/// alpha, beta and gamma, all of them known to all.
async fn trio(cluster: &Cluster) -> [Node; 3] {
    let alpha = cluster.node("alpha", &[]).await;
    let beta = cluster.node("beta", &[&alpha]).await;
    let gamma = cluster.node("gamma", &[&alpha]).await;
    for node in [&alpha, &beta, &gamma] {
        eventually("all", async || crate::cluster::alive(node.mesh()) == 3).await;
    }
    [alpha, beta, gamma]
}

async fn what_is_published_comes_once_to_each_subscriber_on_three_nodes(cluster: Cluster) {
    let nodes = trio(&cluster).await;
    let mut heard = Vec::new();
    for node in &nodes {
        for name in ["one", "two"] {
            heard.push(listener(node, name));
            node.mesh().subscribe::<Say>(TOPIC, name).unwrap();
            // A second time is the first.
            node.mesh().subscribe::<Say>(TOPIC, &format!("{}/{name}", node.name())).unwrap();
        }
    }
    let everybody = ["alpha/one", "alpha/two", "beta/one", "beta/two", "gamma/one", "gamma/two"];
    for node in &nodes {
        known(node, 6).await;
        assert_eq!(publish(node.mesh(), node.name()).await, everybody.map(delivered));
        for heard in &mut heard {
            assert_eq!(heard.next().await, node.name());
        }
    }
    for heard in &mut heard {
        assert!(heard.is_silent().await);
    }
    assert_eq!(nodes[0].mesh().topic::<Say>("news").unwrap().publish(say("hi")).await, Ok(Vec::new()));
}

/// An actor of beta with four places, all of them taken, that handles a message without end.
async fn stuck(alpha: &Node, beta: &Node) -> mesh::ActorRef<Tester> {
    let stuck = beta.mesh().spawn(ActorSpec::new("stuck").mailbox(4), Tester::default);
    beta.mesh().publish("stuck", &stuck).unwrap();
    let to_stuck = alpha.mesh().recipient::<Wait>("beta/stuck").unwrap();
    while to_stuck.tell(Wait {}).timeout(Duration::from_millis(300)).await.is_ok() {}
    stuck
}

async fn a_full_subscriber_is_told_apart_and_delays_nobody_else(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let stuck = stuck(&alpha, &beta).await;
    let (mut near, mut far) = (listener(&alpha, "near"), listener(&beta, "far"));
    alpha.mesh().subscribe::<Say>(TOPIC, "near").unwrap();
    beta.mesh().subscribe::<Say>(TOPIC, "far").unwrap();
    beta.mesh().subscribe::<Say>(TOPIC, "stuck").unwrap();
    known(&alpha, 3).await;
    for from in [&alpha, &beta] {
        let topic = from.mesh().topic::<Say>(TOPIC).unwrap();
        let publishes =
            async move { topic.publish(say("hi")).timeout(Duration::from_secs(1)).await.unwrap() };
        let publishes = tokio::spawn(publishes);
        assert_eq!((near.next().await, far.next().await), ("hi".to_owned(), "hi".to_owned()));
        assert!(!publishes.is_finished(), "the others have it long before the full one is given up");
        let rows = publishes.await.unwrap();
        assert_eq!(rows[..2], ["alpha/near", "beta/far"].map(delivered));
        assert_eq!(rows[2].to, "beta/stuck");
        let is_full = matches!(rows[2].result, Err(AskError::MailboxFull { capacity: 4, .. }));
        assert!(is_full, "{:?}", rows[2]);
    }
    stuck.kill();
    stuck.stopped().await;
}

async fn who_tries_waits_for_nobody(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let stuck = stuck(&alpha, &beta).await;
    let mut far = listener(&beta, "far");
    beta.mesh().subscribe::<Say>(TOPIC, "far").unwrap();
    beta.mesh().subscribe::<Say>(TOPIC, "stuck").unwrap();
    known(&alpha, 2).await;
    let topic = alpha.mesh().topic::<Say>(TOPIC).unwrap();
    let rows = timeout(LIMIT, topic.try_publish(say("hi")).timeout(LIMIT * 6)).await;
    let rows = rows.expect("it does not wait for a minute").unwrap();
    assert_eq!(rows[0], delivered("beta/far"));
    assert!(matches!(rows[1].result, Err(AskError::MailboxFull { .. })), "{rows:?}");
    assert_eq!(far.next().await, "hi");
    stuck.kill();
    stuck.stopped().await;
}

async fn a_subscriber_that_ends_is_gone_and_so_are_those_of_a_dead_node(cluster: Cluster) {
    let [alpha, beta, gamma] = trio(&cluster).await;
    let (short, _beta, _gamma) = (listener(&alpha, "it"), listener(&beta, "it"), listener(&gamma, "it"));
    for node in [&alpha, &beta, &gamma] {
        node.mesh().subscribe::<Say>(TOPIC, "it").unwrap();
    }
    known(&alpha, 3).await;
    known(&beta, 3).await;
    short.actor.stop();
    short.actor.stopped().await;
    known(&alpha, 2).await;
    known(&beta, 2).await;
    gamma.leave().await;
    known(&alpha, 1).await;
    drop(beta);
    // Until it is taken for dead it may come back.
    eventually("the loss", async || {
        let rows = publish(alpha.mesh(), "hi").await;
        let lost = AskError::Unreachable { node: "beta".to_owned(), may_have_run: false };
        rows == [Delivery { to: "beta/it".to_owned(), result: Err(lost) }]
    })
    .await;
    timeout(LIMIT * 2, async { while !publish(alpha.mesh(), "hi").await.is_empty() {} }).await.unwrap();
}

async fn who_subscribes_later_hears_what_comes_later(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let mut late = listener(&beta, "late");
    assert_eq!(publish(alpha.mesh(), "early").await, []);
    beta.mesh().subscribe::<Say>(TOPIC, "late").unwrap();
    known(&alpha, 1).await;
    publish(alpha.mesh(), "later").await;
    assert_eq!(late.next().await, "later");
    assert!(beta.mesh().unsubscribe::<Say>(TOPIC, "late"));
    assert!(!beta.mesh().unsubscribe::<Say>(TOPIC, "late"), "there is none any more");
    known(&alpha, 0).await;
    assert_eq!(publish(alpha.mesh(), "too late").await, []);
    assert!(late.is_silent().await);
}

async fn two_kinds_on_one_topic_do_not_mix(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let (mut says, mut shouts) = (listener(&beta, "says"), listener(&beta, "shouts"));
    let mut all = listener(&beta, "all");
    beta.mesh().subscribe::<Say>(TOPIC, "says").unwrap();
    beta.mesh().subscribe::<Shout>(TOPIC, "shouts").unwrap();
    beta.mesh().subscribe_all(TOPIC, "all").unwrap();
    known(&alpha, 2).await;
    publish(alpha.mesh(), "hi").await;
    let shout = Shout { text: "hey".to_owned() };
    let rows = alpha.mesh().topic::<Shout>(TOPIC).unwrap().publish(shout).await.unwrap();
    assert_eq!(rows, ["beta/all", "beta/shouts"].map(delivered));
    assert_eq!(says.next().await, "hi");
    assert_eq!(shouts.next().await, "HEY");
    assert_eq!(all.next().await, r#"test.say.v1 {"text":"hi"}"#);
    assert_eq!(all.next().await, r#"test.shout.v1 {"text":"hey"}"#);
    for heard in [&mut says, &mut shouts, &mut all] {
        assert!(heard.is_silent().await);
    }
    assert!(beta.mesh().unsubscribe_all(TOPIC, "beta/all"));
    known(&alpha, 1).await;
}

async fn what_one_publishes_comes_to_each_in_order(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let mut heard = [listener(&alpha, "near"), listener(&beta, "far")];
    alpha.mesh().subscribe::<Say>(TOPIC, "near").unwrap();
    beta.mesh().subscribe::<Say>(TOPIC, "far").unwrap();
    known(&alpha, 2).await;
    for number in 0..300 {
        // Some have a body of their own.
        let text = if number % 50 == 0 { "x".repeat(100_000) } else { String::new() };
        let rows = publish(alpha.mesh(), &format!("{number}{text}")).await;
        assert!(rows.iter().all(|row| row.result.is_ok()), "{rows:?}");
    }
    for heard in &mut heard {
        for number in 0..300 {
            assert_eq!(heard.next().await.trim_end_matches('x'), number.to_string());
        }
    }
}

async fn a_node_that_joins_later_learns_of_subscriptions(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    // More than one frame holds.
    let mut heard: Vec<_> = (0..70).map(|number| listener(&alpha, &format!("l{number}"))).collect();
    for number in 0..70 {
        alpha.mesh().subscribe::<Say>(TOPIC, &format!("l{number}")).unwrap();
    }
    let beta = cluster.node("beta", &[&alpha]).await;
    known(&beta, 70).await;
    assert_eq!(publish(beta.mesh(), "hi").await.len(), 70);
    for heard in &mut heard {
        assert_eq!(heard.next().await, "hi");
    }
}

async fn a_subscription_that_cannot_be_is_refused(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let client = cluster.client(&alpha).await;
    let _it = listener(&alpha, "it");
    let not_published = |path: &str| Err(SubscribeError::NotPublished { path: path.to_owned() });
    for path in ["nobody", "beta/it"] {
        assert_eq!(alpha.mesh().subscribe::<Say>(TOPIC, path), not_published(path));
    }
    assert_eq!(client.subscribe::<Say>(TOPIC, "it"), not_published("it"));
    let refused = alpha.mesh().subscribe::<Wait>(TOPIC, "it");
    let (path, kind) = ("it".to_owned(), Wait::KIND.to_owned());
    assert_eq!(refused, Err(SubscribeError::Kind { path, kind }));
    for topic in ["", "a//b", "news/*", "a/b/c/d/e/f/g"] {
        let refused = alpha.mesh().subscribe::<Say>(topic, "it");
        assert!(matches!(refused, Err(SubscribeError::Topic { .. })), "{topic}: {refused:?}");
        let refused = alpha.mesh().topic::<Say>(topic);
        assert!(matches!(refused, Err(SubscribeError::Topic { .. })), "{topic}: {refused:?}");
    }
    // One of the 4,096 is the node's own, to what others tell of their breakers.
    for number in 0..4095 {
        alpha.mesh().subscribe::<Say>(&format!("t{number}"), "it").unwrap();
    }
    let refused = alpha.mesh().subscribe::<Say>("more", "it");
    assert!(matches!(refused, Err(SubscribeError::TooMany(_))), "{refused:?}");
    let refused = client.follow(TOPIC, None).await.unwrap_err();
    assert_eq!(refused.code, "DENIED", "{refused:?}");
}

async fn everybody_who_has_subscribed_is_asked(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let _heard = [listener(&alpha, "near"), listener(&beta, "far")];
    let slow = beta.mesh().spawn(ActorSpec::new("slow"), Tester::default);
    beta.mesh().publish("slow", &slow).unwrap();
    let busy = beta.mesh().recipient::<Wait>("beta/slow").unwrap();
    busy.tell(Wait {}).await.unwrap();
    alpha.mesh().subscribe::<Say>(TOPIC, "near").unwrap();
    beta.mesh().subscribe::<Say>(TOPIC, "far").unwrap();
    beta.mesh().subscribe::<Say>(TOPIC, "slow").unwrap();
    known(&alpha, 3).await;
    let topic = alpha.mesh().topic::<Say>(TOPIC).unwrap();
    let rows = topic.ask(say("hi"), Duration::from_secs(1)).await.unwrap();
    let replied = |to: &str| Delivery { to: to.to_owned(), result: Ok("heard hi".to_owned()) };
    assert_eq!(rows[..2], [replied("alpha/near"), replied("beta/far")]);
    let is_late = matches!(rows[2].result, Err(AskError::DeadlineExceeded { .. }));
    assert!(is_late, "{:?}", rows[2]);
    slow.kill();
    slow.stopped().await;
}

async fn a_client_publishes_through_its_node(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    let mut heard = [listener(&alpha, "near"), listener(&beta, "far")];
    alpha.mesh().subscribe::<Say>(TOPIC, "near").unwrap();
    beta.mesh().subscribe::<Say>(TOPIC, "far").unwrap();
    known(&alpha, 2).await;
    assert_eq!(publish(&client, "typed").await, ["alpha/near", "beta/far"].map(delivered));
    let rows = client.publish_json(TOPIC, Say::KIND, r#"{"text":"json"}"#, LIMIT).await.unwrap();
    assert!(rows.iter().all(|row| row.result.is_ok()) && rows.len() == 2, "{rows:?}");
    for heard in &mut heard {
        assert_eq!((heard.next().await, heard.next().await), ("typed".to_owned(), "json".to_owned()));
    }
    for (topic, kind, body) in [("a//b", Say::KIND, "{}"), (TOPIC, "no kind", "{}"), (TOPIC, Say::KIND, "{")]
    {
        let failure = client.publish_json(topic, kind, body, LIMIT).await.unwrap_err();
        assert_eq!(failure.code, "BAD_MESSAGE", "{failure:?}");
    }
}

async fn a_client_follows_what_anybody_publishes(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    let mut all = client.follow(TOPIC, None).await.unwrap();
    let mut shouts = client.follow(TOPIC, Some(Shout::KIND)).await.unwrap();
    let mut on_beta = beta.mesh().follow(TOPIC, Some(Say::KIND)).await.unwrap();
    assert_eq!(all.path(), "alpha/taps/news/weather/1");
    known(&beta, 2).await;
    known(&alpha, 2).await;
    assert_eq!(publish(beta.mesh(), "far").await, [all.path(), on_beta.path()].map(delivered));
    let expected = |kind: &str, text: &str| Published {
        topic: TOPIC.to_owned(),
        kind: kind.to_owned(),
        body: format!(r#"{{"text":"{text}"}}"#),
    };
    // What another one publishes then has no order with respect to it.
    assert_eq!(all.next().await, Some(Ok(expected(Say::KIND, "far"))));
    publish(alpha.mesh(), "near").await;
    assert_eq!(all.next().await, Some(Ok(expected(Say::KIND, "near"))));
    client.publish_json(TOPIC, Shout::KIND, r#"{"text":"json"}"#, LIMIT).await.unwrap();
    assert_eq!(all.next().await, Some(Ok(expected(Shout::KIND, "json"))));
    assert_eq!(shouts.next().await, Some(Ok(expected(Shout::KIND, "json"))));
    assert_eq!(on_beta.next().await, Some(Ok(expected(Say::KIND, "far"))));
    assert_eq!(on_beta.next().await, Some(Ok(expected(Say::KIND, "near"))));
    assert!(client.follow(TOPIC, Some("no kind")).await.is_err());
    assert!(client.follow("a//b", None).await.is_err());
    alpha.leave().await;
    assert!(!matches!(all.next().await, Some(Ok(_))), "nothing comes after the end");
}

async fn a_reader_that_is_slow_delays_nobody_else(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    let mut slow = client.follow(TOPIC, None).await.unwrap();
    let mut free = listener(&beta, "free");
    beta.mesh().subscribe::<Say>(TOPIC, "free").unwrap();
    known(&beta, 2).await;
    let topic = beta.mesh().topic::<Say>(TOPIC).unwrap();
    let mut kept = 0;
    let full = loop {
        let rows = topic.publish(say(&kept.to_string())).timeout(Duration::from_millis(300)).await.unwrap();
        assert_eq!((&rows[1].to, &rows[1].result), (&"beta/free".to_owned(), &Ok(())));
        assert_eq!(free.next().await, kept.to_string(), "the neighbour has all");
        match &rows[0].result {
            Ok(()) => kept += 1,
            Err(error) => break error.clone(),
        }
    };
    assert!(matches!(full, AskError::MailboxFull { .. }), "{full:?}");
    assert!((64..=128).contains(&kept), "64 at the node, and 32 on their way: {kept}");
    for number in 0..kept {
        let published = slow.next().await.unwrap().unwrap();
        assert_eq!(published.body, format!(r#"{{"text":"{number}"}}"#), "what was accepted is there");
    }
    eventually("room", async || {
        topic.publish(say("again")).await.unwrap().iter().all(|row| row.result.is_ok())
    })
    .await;
    assert_eq!(slow.next().await.unwrap().unwrap().body, r#"{"text":"again"}"#);
}

async fn an_envelope_that_is_too_large_fails_in_its_row_alone(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let mut follows = alpha.mesh().follow(TOPIC, None).await.unwrap();
    let mut heard = listener(&alpha, "it");
    alpha.mesh().subscribe::<Say>(TOPIC, "it").unwrap();
    known(&beta, 2).await;
    let rows = publish(beta.mesh(), &"x".repeat(70_000)).await;
    assert_eq!(rows[0], delivered("alpha/it"));
    assert!(matches!(rows[1].result, Err(AskError::TooLarge { .. })), "{:?}", rows[1]);
    assert_eq!(heard.next().await.len(), 70_000);
    let largest = "y".repeat(65_536 - r#"{"text":""}"#.len());
    assert!(publish(beta.mesh(), &largest).await.iter().all(|row| row.result.is_ok()));
    assert_eq!(follows.next().await.unwrap().unwrap().body.len(), 65_536);
}

async fn who_follows_no_more_is_gone(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    let first = client.follow(TOPIC, None).await.unwrap();
    let second = client.follow(TOPIC, None).await.unwrap();
    known(&beta, 2).await;
    drop(first);
    known(&beta, 1).await;
    assert_eq!(publish(beta.mesh(), "hi").await, [delivered(second.path())]);
    drop((client, second));
    known(&beta, 0).await;
}
