//! Supervision trees of nodes, and what nobody handles there.

use crate::cluster::{Cluster, Crash, Say, Tester, eventually, on_both_transports};
use mesh::{
    ActorRef, ActorSpec, AskError, ChildSpec, DeadReason, ListDeadLetters, ListTree, ReplayDeadLetter,
    Restart, Strategy, SupervisorSpec,
};

on_both_transports!(
    any_node_lists_any_nodes_tree,
    tells_from_afar_that_nobody_handles_are_dead_letters,
    any_node_lists_and_replays_any_nodes_dead_letters,
);

async fn any_node_lists_any_nodes_tree(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let testers = SupervisorSpec::new("testers")
        .strategy(Strategy::OneForAll)
        .child(ChildSpec::actor(ActorSpec::new("one"), Tester::default))
        .child(ChildSpec::actor(ActorSpec::new("two"), Tester::default));
    let testers = beta.mesh().supervise(testers).unwrap();
    let one: ActorRef<Tester> = testers.child("one").unwrap();
    beta.mesh().publish("one", &one).unwrap();
    let from_afar = alpha.mesh().recipient::<Crash>("beta/one").unwrap();
    eventually("a crash", async || matches!(from_afar.ask(Crash {}).await, Err(AskError::Stopped { .. })))
        .await;
    let lister = alpha.mesh().recipient::<ListTree>("beta/mesh").unwrap();
    eventually("both restarted", async || {
        let rows = lister.ask(ListTree {}).await.unwrap().rows;
        let of_tree = rows.iter().filter(|row| row.path.starts_with("testers"));
        let seen: Vec<_> = of_tree.map(|row| (row.depth, row.path.as_str(), row.restarts)).collect();
        seen == [(0, "testers", 0), (1, "testers/one", 1), (1, "testers/two", 1)]
            && rows.iter().any(|row| row.path == "mesh" && row.strategy.is_none())
            && rows.iter().any(|row| row.strategy.as_deref() == Some("one_for_all"))
            && rows.iter().any(|row| row.last_crash.as_deref() == Some("as it was told"))
    })
    .await;
    let say = alpha.mesh().recipient::<Say>("beta/one").unwrap();
    assert_eq!(say.ask(Say { text: "again".to_owned() }).await.as_deref(), Ok("again"));
}

async fn tells_from_afar_that_nobody_handles_are_dead_letters(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let actor = beta.mesh().spawn(ActorSpec::new("brief").restart(Restart::Temporary), Tester::default);
    beta.mesh().publish("brief", &actor).unwrap();
    actor.pause();
    let crash = alpha.mesh().recipient::<Crash>("beta/brief").unwrap();
    eventually("the first", async || crash.tell(Crash {}).await.is_ok()).await;
    crash.tell(Crash {}).await.unwrap();
    eventually("both", async || actor.mailbox().len() >= 2).await;
    let queued = actor.mailbox().len();
    actor.resume();
    actor.stopped().await;
    let letters = beta.mesh().dead_letters().list();
    assert_eq!(letters.len(), queued as usize, "{letters:?}");
    assert!(letters.iter().all(|letter| letter.kind == "test.crash.v1"), "{letters:?}");
    assert!(matches!(letters[0].reason, DeadReason::Poison { times: 1, .. }));
    assert_eq!(letters[1].reason, DeadReason::NotRunning);
}

async fn any_node_lists_and_replays_any_nodes_dead_letters(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let spec = ActorSpec::new("brief").restart(Restart::Temporary);
    let actor = beta.mesh().spawn(spec.clone(), Tester::default);
    actor.pause();
    let say = Say { text: "left".to_owned() };
    actor.tell(say).await.unwrap();
    actor.kill();
    actor.stopped().await;
    let list = alpha.mesh().recipient::<ListDeadLetters>("beta/mesh").unwrap();
    let table = list.ask(ListDeadLetters {}).await.unwrap();
    let row = &table.letters[0];
    assert_eq!((table.count, row.id, row.actor.as_str(), row.why.as_str()), (1, 1, "brief", "not_running"));
    assert!(row.is_replayable && row.kind.ends_with("Say"), "{row:?}");
    let replay = alpha.mesh().recipient::<ReplayDeadLetter>("beta/mesh").unwrap();
    let refused = replay.ask(ReplayDeadLetter { id: 1 }).await.unwrap().unwrap_err();
    assert_eq!((refused.code.as_str(), refused.origin.as_str()), ("NOT_RUNNING", "beta"));
    let unknown = replay.ask(ReplayDeadLetter { id: 2 }).await.unwrap().unwrap_err();
    assert!(unknown.message.contains("there is no dead letter 2"), "{}", unknown.message);

    // One that crashed its actor is sent again when that is back.
    let crashed = beta.mesh().spawn(ActorSpec::new("patient"), Tester::default);
    crashed.tell(Crash {}).await.unwrap();
    eventually("the crash", async || list.ask(ListDeadLetters {}).await.unwrap().count == 2).await;
    let row = list.ask(ListDeadLetters {}).await.unwrap().letters.pop().unwrap();
    assert_eq!((row.why.as_str(), row.times), ("poison", 1));
}
