//! Circuit breakers between nodes.

use crate::cluster::{Cluster, Crash, LIMIT, Say, Tester, Wait, alive, eventually, on_both_transports};
use mesh::{
    ActorSpec, Advice, AskError, Balance, BreakerConfig, BreakerState, Guard, ListBreakers, MemoryNetwork,
    Mesh, Node, Recipient, Restart, RetryHint, Turn, TurnBreaker, Verdict,
};
use mesh_resilience::{GaveUp, RetryConfig, RetryPolicy};
use std::time::Duration;
use tokio::time::{Instant, timeout};

on_both_transports!(
    who_fails_five_times_is_left_alone_and_its_callers_are_told_when_to_come_again,
    an_open_breaker_on_one_node_steers_callers_on_another_within_a_second,
    a_router_passes_over_a_target_whose_breaker_is_open_here_or_on_another_node,
    a_router_s_messages_find_out_whether_a_target_is_well_again,
    a_supervisor_that_gives_up_on_a_child_opens_its_breaker_on_every_node,
    a_full_mailbox_and_a_caller_that_gives_up_open_no_breaker,
    several_owners_of_a_capability_are_asked_in_turns_and_the_one_that_is_not_well_is_left_out,
    an_operator_turns_a_breaker_of_any_node,
    a_reply_may_say_that_its_actor_is_not_well,
    a_guarded_ask_is_tried_again_at_one_layer_only,
);

fn say(text: &str) -> Say {
    Say { text: text.to_owned() }
}

async fn crash(recipient: &Recipient<Crash>, times: usize) {
    for _ in 0..times {
        let error = recipient.ask(Crash {}).timeout(LIMIT).await.unwrap_err();
        assert!(matches!(error, AskError::Stopped { .. }), "{error}");
    }
}

async fn connected(from: &Node, path: &str) {
    let tester = from.mesh().recipient::<Say>(path).unwrap();
    eventually("a connection", async || tester.ask(say("hi")).await.is_ok()).await;
}

async fn who_fails_five_times_is_left_alone_and_its_callers_are_told_when_to_come_again(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    connected(&alpha, "beta/tester").await;
    let guarded = alpha.mesh().guarded::<Say>("beta/tester").unwrap();
    assert_eq!(guarded.ask(say("hi")).await.as_deref(), Ok("hi"));
    crash(&alpha.mesh().guarded::<Crash>("beta/tester").unwrap(), 5).await;

    let error = guarded.ask(say("hi")).await.unwrap_err();
    let AskError::CircuitOpen { name, state, retry_after } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), *state), ("beta/tester", BreakerState::Open));
    let pause = retry_after.unwrap();
    assert!(pause <= Duration::from_secs(60) && pause > Duration::from_secs(40), "{pause:?}");
    assert_eq!(
        (error.code(), error.retry(), error.may_have_run()),
        ("CIRCUIT_OPEN", RetryHint::After(pause), false)
    );
    assert!(matches!(guarded.tell(say("hi")).await, Err(AskError::CircuitOpen { .. })));
    assert!(!guarded.try_tell(say("hi")).unwrap_err().is_full());

    // It is this target that is not well: not its node, nor who asks it without a guard.
    let breakers = alpha.mesh().breakers();
    assert_eq!(breakers.advice("beta/other"), Advice::Prefer);
    let bare = alpha.mesh().recipient::<Say>("beta/tester").unwrap();
    assert_eq!(bare.ask(say("hi")).await.as_deref(), Ok("hi"));
    breakers.registry().get("beta/tester").unwrap().reset();
    assert_eq!(guarded.ask(say("hi")).await.as_deref(), Ok("hi"));
}

async fn an_open_breaker_on_one_node_steers_callers_on_another_within_a_second(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let gamma = cluster.node("gamma", &[&alpha]).await;
    for node in [&alpha, &beta, &gamma] {
        eventually("every member", async || alive(node.mesh()) == 3).await;
    }
    let path = "gamma/target";
    let target = gamma.mesh().spawn(ActorSpec::new("target"), Tester::default);
    gamma.mesh().publish("target", &target).unwrap();
    connected(&alpha, path).await;
    connected(&beta, path).await;
    let guarded = Guard::<Say>::any([path, "alpha/tester"]).recipient(beta.mesh()).unwrap();
    crash(&alpha.mesh().guarded::<Crash>(path).unwrap(), 5).await;
    let opened = Instant::now();
    eventually("the news", async || beta.mesh().breakers().is_open(path)).await;
    let took = opened.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    assert!(beta.mesh().breakers().registry().get(path).is_none(), "beta has seen nothing itself");
    // Whoever asked it now would wait in vain.
    target.pause();
    for _ in 0..20 {
        assert_eq!(guarded.ask(say("hi")).timeout(LIMIT).await.as_deref(), Ok("hi"));
    }
    target.resume();

    alpha.mesh().breakers().registry().get(path).unwrap().reset();
    eventually("good news", async || !beta.mesh().breakers().is_open(path)).await;
}

/// One of each balance in front of the two actors `gamma/target`, by its path and by its name alone, and `alpha/tester`.
fn routers(mesh: &Mesh) -> Vec<Recipient<Say>> {
    let mut routers = Vec::new();
    // A name alone, too: so the members of a pool are called.
    for target in ["gamma/target", "target"] {
        let by_key = Balance::by_key(|say: &Say| say.text.clone());
        for balance in [Balance::RoundRobin, Balance::LeastLoaded, by_key] {
            routers.push(mesh.router(&[target, "alpha/tester"], balance).unwrap());
        }
    }
    routers
}

async fn a_router_passes_over_a_target_whose_breaker_is_open_here_or_on_another_node(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let gamma = cluster.node("gamma", &[&alpha]).await;
    for node in [&alpha, &beta, &gamma] {
        eventually("every member", async || alive(node.mesh()) == 3).await;
    }
    let path = "gamma/target";
    let target = gamma.mesh().spawn(ActorSpec::new("target"), Tester::default);
    gamma.mesh().publish("target", &target).unwrap();
    for node in [&alpha, &beta] {
        connected(node, path).await;
        connected(node, "alpha/tester").await;
        eventually("the name", async || node.mesh().resolve("target").is_some()).await;
    }
    crash(&alpha.mesh().guarded::<Crash>(path).unwrap(), 5).await;
    let opened = Instant::now();
    eventually("the news", async || beta.mesh().breakers().is_open(path)).await;
    let took = opened.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    assert!(beta.mesh().breakers().registry().get(path).is_none(), "beta has seen nothing itself");
    let before = counted(&gamma, "target");
    for router in [routers(alpha.mesh()), routers(beta.mesh())].concat() {
        for number in 0..20 {
            let text = format!("key-{number}");
            assert_eq!(router.ask(say(&text)).timeout(LIMIT).await.as_deref(), Ok(&*text));
        }
    }
    assert_eq!(counted(&gamma, "target"), before, "it was passed over");

    // It is advice: where nobody is well, somebody is asked all the same.
    let alone = beta.mesh().router::<Say>(&[path], Balance::RoundRobin).unwrap();
    assert_eq!(alone.ask(say("hi")).timeout(LIMIT).await.as_deref(), Ok("hi"));

    alpha.mesh().breakers().registry().get(path).unwrap().reset();
    eventually("good news", async || !beta.mesh().breakers().is_open(path)).await;
    let router = routers(beta.mesh()).swap_remove(0);
    let before = counted(&gamma, "target");
    for _ in 0..10 {
        router.ask(say("hi")).timeout(LIMIT).await.unwrap();
    }
    eventually("its turns", async || counted(&gamma, "target") == before + 5).await;
}

async fn a_router_s_messages_find_out_whether_a_target_is_well_again(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    connected(&alpha, "beta/tester").await;
    let config = BreakerConfig {
        reset: Duration::from_millis(1),
        half_open_probes: 1,
        success_threshold: 2,
        ..BreakerConfig::default()
    };
    let breaker = alpha.mesh().breakers().declare("beta/tester", &config).unwrap();
    let paths = ["beta/tester", "alpha/tester"];
    let crashes = alpha.mesh().router::<Crash>(&paths, Balance::RoundRobin).unwrap();
    let asks = alpha.mesh().router::<Say>(&paths, Balance::RoundRobin).unwrap();
    let due = async || {
        eventually("the time to try it", async || {
            alpha.mesh().breakers().advice("beta/tester") == Advice::Probe
        })
        .await;
    };
    breaker.trip();
    due().await;
    // It is not well yet. The router goes to it first, since nobody has had a turn.
    assert!(crashes.ask(Crash {}).timeout(LIMIT).await.is_err());
    assert_eq!(breaker.snapshot().view.opened, 2, "{:?}", breaker.snapshot());
    due().await;
    for _ in 0..8 {
        assert_eq!(asks.ask(say("hi")).timeout(LIMIT).await.as_deref(), Ok("hi"));
    }
    assert_eq!(breaker.state(), BreakerState::Closed, "{:?}", breaker.snapshot());
}

/// Messages that the actor of this node has taken.
fn counted(node: &Node, name: &str) -> u64 {
    let actors = node.mesh().tree();
    let info = actors.iter().find(|one| one.name == name).map(|one| match &one.kind {
        mesh::TreeKind::Actor { info } => info.counters.taken,
        other => panic!("{other:?}"),
    });
    info.unwrap()
}

async fn a_supervisor_that_gives_up_on_a_child_opens_its_breaker_on_every_node(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let brief = || ActorSpec::new("brief").restart(Restart::Temporary);
    let actor = beta.mesh().spawn(brief(), Tester::default);
    beta.mesh().publish("brief", &actor).unwrap();
    let bare = alpha.mesh().recipient::<Crash>("beta/brief").unwrap();
    eventually("the crash", async || matches!(bare.ask(Crash {}).await, Err(AskError::Stopped { .. }))).await;
    actor.stopped().await;

    for node in [&alpha, &beta] {
        eventually("the breaker", async || {
            let breaker = node.mesh().breakers().registry().get("beta/brief");
            breaker.is_some_and(|breaker| breaker.state() == BreakerState::Open)
        })
        .await;
        let guarded = node.mesh().guarded::<Say>("beta/brief").unwrap();
        let error = guarded.ask(say("hi")).await.unwrap_err();
        assert!(matches!(error, AskError::CircuitOpen { .. }), "{error}");
    }
    // Another actor under this name is another target.
    let next = beta.mesh().spawn(brief(), Tester::default);
    beta.mesh().publish("brief", &next).unwrap();
    let guarded = alpha.mesh().guarded::<Say>("beta/brief").unwrap();
    eventually("the new one", async || guarded.ask(say("hi")).await.is_ok()).await;
}

async fn a_full_mailbox_and_a_caller_that_gives_up_open_no_breaker(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let slow = beta.mesh().spawn(ActorSpec::new("slow").mailbox(1), Tester::default);
    beta.mesh().publish("slow", &slow).unwrap();
    connected(&alpha, "beta/slow").await;
    slow.pause();
    let guarded = alpha.mesh().guarded::<Say>("beta/slow").unwrap();
    guarded.tell(say("the only one")).await.unwrap();
    for _ in 0..20 {
        let full = guarded.tell(say("hi")).timeout(Duration::from_millis(5)).await.unwrap_err();
        assert!(matches!(full, AskError::MailboxFull { .. }), "{full}");
    }
    slow.resume();
    let waits = alpha.mesh().guarded::<Wait>("beta/slow").unwrap();
    for _ in 0..20 {
        timeout(Duration::from_millis(5), async { waits.ask(Wait {}).await }).await.unwrap_err();
    }
    let view = alpha.mesh().breakers().registry().get("beta/slow").unwrap().snapshot().view;
    assert_eq!((view.state, view.failures), (BreakerState::Closed, 0));
}

async fn several_owners_of_a_capability_are_asked_in_turns_and_the_one_that_is_not_well_is_left_out(
    cluster: Cluster,
) {
    let (alpha, beta) = cluster.pair().await;
    for node in [&alpha, &beta] {
        let fetcher = node.mesh().spawn(ActorSpec::new("fetcher").capability("tool:fetch"), Tester::default);
        node.mesh().publish("fetcher", &fetcher).unwrap();
    }
    eventually("both", async || alpha.mesh().list("tool:fetch").len() == 2).await;
    connected(&alpha, "beta/fetcher").await;
    let fetcher = Guard::<Say>::capable("tool:fetch").recipient(alpha.mesh()).unwrap();
    let taken = || (counted(&alpha, "fetcher"), counted(&beta, "fetcher"));
    let before = taken();
    for _ in 0..10 {
        fetcher.ask(say("hi")).await.unwrap();
    }
    eventually("half of them each", async || taken() == (before.0 + 5, before.1 + 5)).await;

    let breakers = alpha.mesh().breakers().registry().clone();
    breakers.get("beta/fetcher").unwrap().force_open();
    let before = taken();
    for _ in 0..40 {
        fetcher.ask(say("hi")).await.unwrap();
    }
    eventually("all of them", async || taken() == (before.0 + 40, before.1)).await;

    breakers.get("alpha/fetcher").unwrap().trip();
    let AskError::CircuitOpen { name, retry_after, .. } = fetcher.ask(say("hi")).await.unwrap_err() else {
        panic!("one of them was asked")
    };
    assert_eq!((name.as_str(), retry_after.is_some()), ("alpha/fetcher", true), "the one that opens sooner");
    let nobody = Guard::<Say>::capable("tool:none").recipient(alpha.mesh()).unwrap();
    assert!(matches!(nobody.ask(say("hi")).await, Err(AskError::NoSuchActor { .. })));
}

async fn an_operator_turns_a_breaker_of_any_node(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    connected(&alpha, "beta/tester").await;
    let client = cluster.client(&beta).await;
    let turn = client.recipient::<TurnBreaker>("alpha/mesh").unwrap();
    let turned = |name: &str, turn| TurnBreaker { name: name.to_owned(), turn };
    turn.ask(turned("node:beta", Turn::ForceOpen)).await.unwrap().unwrap();
    let guarded = alpha.mesh().guarded::<Say>("beta/tester").unwrap();
    let error = guarded.ask(say("hi")).await.unwrap_err();
    assert_eq!((error.code(), error.retry()), ("CIRCUIT_OPEN", RetryHint::Never));

    let list = client.recipient::<ListBreakers>("alpha/mesh").unwrap();
    let rows = list.ask(ListBreakers {}).await.unwrap().breakers;
    let row = rows.iter().find(|row| row.name == "node:beta").unwrap();
    assert_eq!((row.state.as_str(), row.is_held, row.rejected, row.retry_after_ms), ("open", true, 1, None));
    turn.ask(turned("node:beta", Turn::Reset)).await.unwrap().unwrap();
    assert_eq!(guarded.ask(say("hi")).await.as_deref(), Ok("hi"));
    let refused = turn.ask(turned("no name", Turn::Reset)).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "BAD_PATH");
}

async fn a_reply_may_say_that_its_actor_is_not_well(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    connected(&alpha, "beta/tester").await;
    let breakers = alpha.mesh().breakers();
    breakers
        .declare("beta/tester", &BreakerConfig { failure_threshold: 2, ..BreakerConfig::default() })
        .unwrap();
    let judge = |reply: &String| if reply == "sick" { Verdict::Failure } else { Verdict::Success };
    let guarded = Guard::<Say>::path("beta/tester").judging(judge).recipient(alpha.mesh()).unwrap();
    for _ in 0..2 {
        assert_eq!(guarded.ask(say("sick")).await.as_deref(), Ok("sick"));
    }
    assert!(matches!(guarded.ask(say("hi")).await, Err(AskError::CircuitOpen { .. })));
}

async fn a_guarded_ask_is_tried_again_at_one_layer_only(cluster: Cluster) {
    let (alpha, _beta) = cluster.pair().await;
    let guarded = alpha.mesh().guarded::<Say>("beta/nobody").unwrap();
    let config = RetryConfig { max_attempts: 3, base: Duration::from_millis(1), ..RetryConfig::default() };
    let policy = RetryPolicy::new(config).unwrap();
    let outer = policy.outcome(|attempt| {
        let (policy, guarded) = (policy.within(&attempt), guarded.clone());
        async move { policy.run(|_| async { guarded.ask(say("hi")).await }).await }
    });
    let outcome = outer.await;
    assert_eq!((outcome.attempts, outcome.result.unwrap_err().gave_up), (3, GaveUp::Attempts));
    let view = alpha.mesh().breakers().registry().get("beta/nobody").unwrap().snapshot().view;
    assert_eq!(view.failures, 3, "not nine");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_is_left_alone_and_is_well_when_it_is_connected_again() {
    let network = MemoryNetwork::new();
    let cluster = Cluster::Memory(network.clone());
    let (alpha, _beta) = cluster.pair().await;
    connected(&alpha, "beta/tester").await;
    let guarded = alpha.mesh().guarded::<Say>("beta/tester").unwrap();
    assert_eq!(guarded.ask(say("hi")).await.as_deref(), Ok("hi"));
    network.partition("alpha", "beta");
    let mut refused = None;
    for _ in 0..50 {
        let error = guarded.ask(say("hi")).timeout(Duration::from_secs(2)).await.unwrap_err();
        if let AskError::CircuitOpen { name, .. } = error {
            refused = Some(name);
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("node:beta"));
    // Whichever actor it is there.
    let other = alpha.mesh().guarded::<Crash>("beta/another").unwrap();
    assert!(matches!(other.ask(Crash {}).await, Err(AskError::CircuitOpen { .. })));
    network.heal();
    let end = Instant::now() + Duration::from_secs(60);
    while guarded.ask(say("hi")).await.is_err() {
        assert!(Instant::now() < end, "it is still left alone");
        let _ = timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
    }
}
