//! Connections that end in order: nothing of what is on them is lost.

use crate::cluster::{Cluster, Count, LIMIT, Say, alive, eventually, on_both_transports};
use mesh::{Actor, ActorSpec, AskError, Context, Handler, Kinds, WireActor};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::Notify;

on_both_transports!(
    a_client_goes_on_through_another_node_when_its_own_is_lost,
    a_client_of_a_node_that_leaves_loses_no_ask,
    an_answer_comes_through_the_node_that_leaves,
    a_stream_goes_on_through_another_node,
    what_a_client_told_before_it_closed_arrives,
    a_closed_client_reaches_nothing,
);

async fn a_client_goes_on_through_another_node_when_its_own_is_lost(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let beta = cluster.node("beta", &[&alpha]).await;
    let gamma = cluster.node("gamma", &[&alpha]).await;
    eventually("all", async || alive(alpha.mesh()) == 3 && alive(beta.mesh()) == 3).await;
    let client = cluster.client(&alpha).await;
    let to_gamma = client.recipient::<Say>("gamma/tester").unwrap();
    assert_eq!(to_gamma.ask(Say { text: "one".to_owned() }).await.as_deref(), Ok("one"));
    eventually("the other nodes' addresses", async || client.alternatives().len() == 2).await;
    drop(alpha);
    eventually("another node", async || {
        let reply = to_gamma.ask(Say { text: "two".to_owned() }).timeout(LIMIT).await;
        reply.as_deref() == Ok("two")
    })
    .await;
    assert_ne!(&*client.node_name(), "alpha");
    drop((beta, gamma));
}

async fn a_client_of_a_node_that_leaves_loses_no_ask(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    eventually("the other node's address", async || client.alternatives().len() == 1).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let to_beta = client.recipient::<Say>("beta/tester").unwrap();
            let (is_over, asked) = (Arc::clone(&is_over), Arc::clone(&asked));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Acquire) {
                    to_beta.ask(Say { text: "hi".to_owned() }).timeout(LIMIT).await?;
                    asked.fetch_add(1, Ordering::AcqRel);
                }
                Ok::<_, AskError>(())
            })
        })
        .collect();
    eventually("load", async || asked.load(Ordering::Acquire) > 100).await;
    alpha.leave().await;
    assert_eq!(&*client.node_name(), "beta", "it moved before the node had left");
    let before = asked.load(Ordering::Acquire);
    eventually("load through the other node", async || asked.load(Ordering::Acquire) > before + 100).await;
    is_over.store(true, Ordering::Release);
    for asker in askers {
        assert_eq!(asker.await.unwrap(), Ok(()));
    }
    drop(beta);
}

async fn a_stream_goes_on_through_another_node(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    eventually("the other node's address", async || client.alternatives().len() == 1).await;
    let mut stream = client.stream_recipient::<Count>("beta/tester").unwrap().stream(Count { to: 2000 });
    for number in 0..500 {
        assert_eq!(stream.next().await, Some(number));
    }
    drop(alpha);
    for number in 500..2000 {
        assert_eq!(stream.next().await, Some(number), "each once, in order");
    }
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.finish().await, Ok(1_999_000));
    assert_eq!(&*client.node_name(), "beta");
}

/// Counts what it hears, and answers when it is let.
#[derive(Clone, Default)]
struct Gated {
    heard: Arc<AtomicU64>,
    gate: Option<Arc<Notify>>,
}
impl Actor for Gated {}
impl Handler<Say> for Gated {
    async fn handle(&mut self, say: Say, _: &mut Context<Self>) -> String {
        self.heard.fetch_add(1, Ordering::AcqRel);
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        say.text
    }
}
impl WireActor for Gated {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Say>()
    }
}

async fn an_answer_comes_through_the_node_that_leaves(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    eventually("the other node's address", async || client.alternatives().len() == 1).await;
    let gate = Arc::new(Notify::new());
    let actor = Gated { gate: Some(Arc::clone(&gate)), ..Gated::default() };
    let heard = Arc::clone(&actor.heard);
    let gated = beta.mesh().spawn(ActorSpec::new("gated").mailbox(4), move || actor.clone());
    beta.mesh().publish("gated", &gated).unwrap();
    let to_gated = client.recipient::<Say>("beta/gated").unwrap();
    let asks =
        tokio::spawn(async move { to_gated.ask(Say { text: "late".to_owned() }).timeout(LIMIT).await });
    eventually("the ask", async || heard.load(Ordering::Acquire) == 1).await;
    let leaves = tokio::spawn(alpha.leave());
    eventually("another node", async || &*client.node_name() == "beta").await;
    gate.notify_one();
    assert_eq!(asks.await.unwrap().as_deref(), Ok("late"));
    leaves.await.unwrap();
}

async fn what_a_client_told_before_it_closed_arrives(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    for node in [&alpha, &beta] {
        let actor = Gated::default();
        let heard = Arc::clone(&actor.heard);
        let counter = node.mesh().spawn(ActorSpec::new("counter"), move || actor.clone());
        node.mesh().publish("counter", &counter).unwrap();
        let client = cluster.client(&alpha).await;
        let to_counter = client.recipient::<Say>(&format!("{}/counter", node.name())).unwrap();
        // Every tenth on a stream of its own.
        for number in 0..200usize {
            let length = if number % 10 == 0 { 200_000 } else { 10 };
            to_counter.tell(Say { text: "x".repeat(length) }).timeout(LIMIT).await.unwrap();
        }
        client.close(LIMIT).await;
        eventually("every message", async || heard.load(Ordering::Acquire) == 200).await;
    }
}

async fn a_closed_client_reaches_nothing(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let client = cluster.client(&alpha).await;
    let to_tester = client.recipient::<Say>("alpha/tester").unwrap();
    assert!(to_tester.ask(Say { text: String::new() }).await.is_ok());
    client.clone().close(LIMIT).await;
    let refused = to_tester.ask(Say { text: String::new() }).timeout(LIMIT).await;
    assert!(matches!(refused, Err(AskError::Unreachable { may_have_run: false, .. })), "{refused:?}");
}
