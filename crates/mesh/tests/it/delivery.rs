//! Monitors, and messages that are sent until they are answered.

use crate::{
    cluster::{Cluster, Crash, LIMIT, Say, Tester, eventually, on_both_transports},
    hand_made::{HandMade, Heard},
};
use mesh::{
    Actor, ActorSpec, AskError, Context, DownReason, Handler, Kinds, MessageId, Node, Restart, WireActor,
    WireMessage,
};
use mesh_proto::frame::{Content, Control, Features, MessageHeader, Outcome};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::timeout};

on_both_transports!(
    a_monitor_tells_how_an_actor_ended,
    a_monitor_watches_one_actor_over_its_crashes,
    a_monitor_tells_of_the_death_of_a_node_once,
    a_message_with_an_id_runs_once,
    a_reliable_ask_waits_out_the_absence_of_its_actor,
    an_id_does_not_fit_another_message,
    row_7_a_task_message_that_is_replayed_has_one_effect,
    a_zero_timeout_is_expired_and_nothing_is_sent,
);

async fn a_monitor_tells_how_an_actor_ended(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    for from in [&alpha, &beta] {
        let stopped = beta.mesh().spawn(ActorSpec::new("stopped"), Tester::default);
        let killed = beta.mesh().spawn(ActorSpec::new("killed"), Tester::default);
        let crashed =
            beta.mesh().spawn(ActorSpec::new("crashed").restart(Restart::Temporary), Tester::default);
        for (name, actor) in [("stopped", &stopped), ("killed", &killed), ("crashed", &crashed)] {
            beta.mesh().publish(name, actor).unwrap();
        }
        let watch = async |name: &str| from.mesh().monitor(&format!("beta/{name}")).await.unwrap();
        let monitors = [watch("stopped").await, watch("killed").await, watch("crashed").await];
        let ids = monitors.each_ref().map(|monitor| monitor.actor());
        stopped.stop();
        killed.kill();
        let _ = from.mesh().recipient::<Crash>("beta/crashed").unwrap().ask(Crash {}).await;

        let [first, second, third] = monitors;
        let downs = timeout(LIMIT, async { [first.down().await, second.down().await, third.down().await] });
        let downs = downs.await.unwrap();
        let crash = DownReason::Crashed { reason: "as it was told".to_owned() };
        assert_eq!(
            downs.each_ref().map(|down| &down.reason),
            [&DownReason::Stopped, &DownReason::Killed, &crash]
        );
        assert_eq!(downs.map(|down| down.actor), ids);
        eventually("the end of the names", async || from.mesh().monitor("beta/crashed").await.is_err()).await;
    }
}

async fn a_monitor_watches_one_actor_over_its_crashes(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let monitor = alpha.mesh().monitor("beta/tester").await.unwrap();
    let crash = alpha.mesh().recipient::<Crash>("beta/tester").unwrap();
    let say = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    assert!(matches!(crash.ask(Crash {}).await, Err(AskError::Stopped { .. })));
    say.ask(Say { text: "again".to_owned() }).await.unwrap();
    let mut down = Box::pin(monitor.down());
    assert!(futures::poll!(&mut down).is_pending(), "it was restarted: the same actor");
}

async fn a_monitor_tells_of_the_death_of_a_node_once(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let monitor = alpha.mesh().monitor("beta/tester").await.unwrap();
    let client = cluster.client(&alpha).await;
    let from_afar = client.monitor("beta/tester").await.unwrap();
    drop(beta);
    let down = timeout(LIMIT * 2, monitor.down()).await.unwrap();
    assert_eq!((down.path.as_str(), down.reason), ("beta/tester", DownReason::NodeDown));
    let down = timeout(LIMIT * 2, from_afar.down()).await.unwrap();
    assert_eq!(down.reason, DownReason::Gone, "a client hears only that the way to it is gone");
    assert!(alpha.mesh().monitor("beta/tester").await.is_err());
}

/// Counts what it runs, and lets each run wait for a word.
struct Once {
    runs: Arc<AtomicU64>,
    go: Arc<Semaphore>,
}
impl Actor for Once {}
impl Handler<Say> for Once {
    async fn handle(&mut self, say: Say, _: &mut Context<Self>) -> String {
        self.go.acquire().await.unwrap().forget();
        format!("{} {}", say.text, self.runs.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
impl WireActor for Once {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Say>()
    }
}

fn once() -> (Arc<AtomicU64>, Arc<Semaphore>, impl Fn() -> Once + Send + Sync + 'static) {
    let (runs, go) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(0)));
    let (own_runs, own_go) = (Arc::clone(&runs), Arc::clone(&go));
    (runs, go, move || Once { runs: Arc::clone(&own_runs), go: Arc::clone(&own_go) })
}

async fn a_message_with_an_id_runs_once(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let (runs, go, make) = once();
    let actor = beta.mesh().spawn(ActorSpec::new("once"), make);
    beta.mesh().publish("once", &actor).unwrap();
    let client = cluster.client(&alpha).await;
    let say = Say { text: "run".to_owned() };
    // Two attempts lie in the mailbox at the same time, from two places; a third comes when all is over.
    let asks = [alpha.mesh(), &client, beta.mesh()].map(|from| {
        let (to, say) = (from.reliable::<Say>("beta/once").unwrap(), say.clone());
        async move { to.ask(MessageId::new(5), &say, LIMIT).await }
    });
    go.add_permits(10);
    let replies = futures::future::join_all(asks).await;
    assert_eq!(replies, vec![Ok("run 1".to_owned()); 3]);
    let other = alpha.mesh().reliable::<Say>("beta/once").unwrap();
    assert_eq!(other.ask(MessageId::new(6), &say, LIMIT).await.as_deref(), Ok("run 2"));
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

async fn a_reliable_ask_waits_out_the_absence_of_its_actor(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let (runs, go, make) = once();
    go.add_permits(10);
    let to = alpha.mesh().reliable::<Say>("beta/once").unwrap();
    let asks =
        tokio::spawn(async move { to.ask(MessageId::new(1), &Say { text: "late".to_owned() }, LIMIT).await });
    let beta = cluster.node("beta", &[&alpha]).await;
    let actor = beta.mesh().spawn(ActorSpec::new("once"), make);
    beta.mesh().publish("once", &actor).unwrap();
    assert_eq!(asks.await.unwrap().as_deref(), Ok("late 1"));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let nobody = alpha.mesh().reliable::<Say>("beta/nobody").unwrap();
    let short = Duration::from_millis(200);
    let error = nobody.ask(MessageId::new(1), &Say { text: String::new() }, short).await.unwrap_err();
    assert!(matches!(error, AskError::DeadlineExceeded { may_have_run: false, .. }), "{error:?}");
}

async fn an_id_does_not_fit_another_message(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let to = alpha.mesh().reliable::<Say>("beta/tester").unwrap();
    let say = |text: &str| Say { text: text.to_owned() };
    assert_eq!(to.ask(MessageId::new(1), &say("one"), LIMIT).await.as_deref(), Ok("one"));
    let error = to.ask(MessageId::new(1), &say("two"), LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("its id was another message's"), "{error}");
}

/// A message with an id, as it is on the wire; the attacker sends the same bytes again.
async fn replayed(cluster: &Cluster, by: &str, to: &Node, id: u128) -> (Outcome, Vec<u8>) {
    let mut peer = HandMade::connect(cluster, by, to, Features::ALL).await;
    peer.say(&Control::Open { channel: 1, path: "beta/once".to_owned() }).await;
    let opened =
        |heard: &Heard| matches!(heard, Heard::Control(Control::Opened { channel: 1, .. })).then_some(());
    peer.hears("the channel", opened).await;
    let (content, correlation) = (Content::JsonWithId, 1);
    let header =
        MessageHeader { channel: 1, kind: 0, content, correlation, sender: 0, budget_ms: 5000, body: None };
    peer.send(&header, &[&id.to_le_bytes()[..], br#"{"text":"pay"}"#].concat()).await;
    let reply = |heard: &Heard| match heard {
        Heard::Reply(header, payload) if header.correlation == 1 => Some((header.outcome, payload.clone())),
        _ => None,
    };
    peer.hears("the reply", reply).await
}

async fn row_7_a_task_message_that_is_replayed_has_one_effect(cluster: Cluster) {
    let beta = cluster.node("beta", &[]).await;
    let (runs, go, make) = once();
    go.add_permits(100);
    let actor = beta.mesh().spawn(ActorSpec::new("once"), make);
    beta.mesh().publish("once", &actor).unwrap();
    let first = replayed(&cluster, "alice", &beta, 77).await;
    assert_eq!(first.0, Outcome::Reply);
    for by in ["alice", "eve", "mallory"] {
        assert_eq!(replayed(&cluster, by, &beta, 77).await, first, "the answer that it had");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(replayed(&cluster, "eve", &beta, 78).await.0, Outcome::Reply);
    assert_eq!(runs.load(Ordering::SeqCst), 2, "another message runs");
}

async fn a_zero_timeout_is_expired_and_nothing_is_sent(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let (runs, go, make) = once();
    go.add_permits(100);
    let actor = beta.mesh().spawn(ActorSpec::new("once"), make);
    beta.mesh().publish("once", &actor).unwrap();
    let (once, body) = (alpha.mesh().recipient::<Say>("beta/once").unwrap(), r#"{"text":"hi"}"#);
    let hi = || Say { text: "hi".to_owned() };
    // When no way is known yet, and when one is.
    for run in 1..=2 {
        let asked = once.ask(hi()).timeout(Duration::ZERO).await.unwrap_err();
        assert!(matches!(asked, AskError::DeadlineExceeded { may_have_run: false, .. }), "{asked:?}");
        let told = once.tell(hi()).timeout(Duration::ZERO).await.unwrap_err();
        assert!(matches!(told, AskError::DeadlineExceeded { may_have_run: false, .. }), "{told:?}");
        let json = alpha.mesh().ask_json("beta/once", Say::KIND, body, Duration::ZERO).await.unwrap_err();
        assert_eq!((json.code.as_str(), json.may_have_run), (asked.code(), false), "{json:?}");
        let json = alpha.mesh().tell_json("beta/once", Say::KIND, body, Duration::ZERO).await;
        assert_eq!(json.unwrap_err().code, asked.code());
        assert_eq!(once.ask(hi()).await, Ok(format!("hi {run}")), "only this one ran");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}
