//! Coordinators that end, and those that go on.

use std::time::Duration;

use mesh_agents::swarm::{Coordinator, ReadHistory, Swarm, SwarmArgs, SwarmError};
use tokio::time::timeout;

use crate::acts::{Act, act};
use crate::ground::{Ground, LIMIT, a_moment, args, row, states};

#[tokio::test]
async fn what_was_acknowledged_is_there_in_the_next_life_and_what_ran_goes_back() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    let tasks = vec![
        act("done", &Act::Say(7)),
        act("held", &Act::Hold),
        act("after", &Act::Sum).after("done").after("held"),
    ];
    swarm.submit(tasks).await.unwrap();
    ground.worker("alpha", "w", &[]).await;
    ground.stage.until_at_work(&["held"]).await;
    let before = swarm.status().await.unwrap();
    ground.stop("alpha", "swarm-s").await;
    let swarm = ground.swarm(&args()).await;
    let after = swarm.status().await.unwrap();
    assert!(after.life > before.life, "{before:?} {after:?}");
    assert_eq!((after.done, after.blocked), (1, 1));
    // Its worker is told that the task is no longer its own, and is given it again.
    let again = async {
        while row(&swarm, "held").await.attempts < 2 {
            a_moment().await;
        }
    };
    timeout(LIMIT, again).await.unwrap();
    ground.stage.release("held");
    assert_eq!(swarm.result::<u64>("after", LIMIT).await.unwrap(), 9);
    let begun: Vec<_> = ground.stage.begun().into_iter().filter(|(task, _)| task == "done").collect();
    assert_eq!(begun.len(), 1, "what was done is not done again");
}

#[tokio::test]
async fn stop_and_drain_hold_in_the_next_life() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    swarm.submit(vec![act("a", &Act::Say(1))]).await.unwrap();
    swarm.stop(Duration::ZERO).await.unwrap();
    swarm.drain(Duration::ZERO).await.unwrap();
    ground.stop("alpha", "swarm-s").await;
    let swarm = ground.swarm(&args()).await;
    let status = swarm.status().await.unwrap();
    assert!(status.is_stopped && status.is_draining, "{status:?}");
}

#[tokio::test]
async fn a_placed_coordinator_goes_on_on_another_node_when_its_own_dies() {
    let mut ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = Swarm::place(ground.nodes[1].mesh(), "s", &args()).await.unwrap();
    let node = swarm.status().await.unwrap().node;
    let other = if node == "alpha" { "beta" } else { "alpha" };
    ground.worker(other, "w", &[]).await;
    swarm.submit(vec![act("a", &Act::Say(1)), act("b", &Act::Hold)]).await.unwrap();
    ground.stage.until_at_work(&["b"]).await;
    let survivor = ground.nodes.iter().find(|node| node.name() == other).unwrap().mesh().clone();
    let swarm = Swarm::new(&survivor, "s").unwrap();
    ground.network.kill(&node);
    ground.nodes.retain(|kept| kept.name() != node);
    ground.stage.release("b");
    let status = swarm.join(LIMIT).await.unwrap();
    assert_eq!((status.done, status.node.as_str(), status.life), (2, other, 2));
}

#[tokio::test]
async fn a_later_life_that_finds_nothing_in_its_store_does_not_begin() {
    let mut ground = Ground::of(&["alpha"]).await;
    ground.add("beta", "other.db").await;
    let swarm = Swarm::place(ground.mesh(), "s", &args()).await.unwrap();
    let node = swarm.status().await.unwrap().node;
    let other = if node == "alpha" { "beta" } else { "alpha" };
    swarm.submit(vec![act("a", &Act::Say(1))]).await.unwrap();
    let survivor = ground.nodes.iter().find(|node| node.name() == other).unwrap().mesh().clone();
    ground.network.kill(&node);
    ground.nodes.retain(|kept| kept.name() != node);
    let lost = Swarm::new(&survivor, "s").unwrap();
    // Its node is declared dead after about 6 s, and the actor is tried on the other one from then on.
    let error = lost.join(Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(error, SwarmError::Mesh(_)), "{error}");
}

#[tokio::test]
async fn two_coordinators_of_one_swarm_are_never_at_work_at_once() {
    let ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = ground.swarm(&args()).await;
    swarm.submit(vec![act("a", &Act::Say(1))]).await.unwrap();
    // The second cannot have the lease while the first renews it.
    let args = serde_json::to_string(&args()).unwrap();
    let second = ground.mesh().spawn_kind("beta", Coordinator::KIND, "swarm-s", &args).await;
    let status = swarm.status().await.unwrap();
    assert_eq!((status.node.as_str(), status.life), ("alpha", 1), "{second:?}");
    ground.stop("alpha", "swarm-s").await;
    let swarm = Swarm::new(ground.nodes[1].mesh(), "s").unwrap();
    let taken = async {
        loop {
            match swarm.status().await {
                Ok(status) if status.node == "beta" => return status,
                _ => a_moment().await,
            }
        }
    };
    let status = timeout(LIMIT, taken).await.unwrap();
    assert_eq!((status.life, status.ready), (2, 1));
}

#[tokio::test]
async fn the_history_tells_every_attempt_in_its_order() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&SwarmArgs { attempts_max: Some(2), ..args() }).await;
    swarm
        .submit(vec![act("a", &Act::Fail { again: true }), act("b", &Act::Say(1)).after("a")])
        .await
        .unwrap();
    ground.worker("alpha", "w", &[]).await;
    swarm.join(LIMIT).await.unwrap();
    assert_eq!(states(&swarm).await.len(), 2);
    let history = ground.mesh().recipient::<ReadHistory>("swarm-s").unwrap();
    let (mut facts, mut from) = (Vec::new(), 0);
    loop {
        let page = history.ask(ReadHistory { from }).await.unwrap().unwrap();
        facts.extend(page.facts);
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    let facts: Vec<serde_json::Value> =
        facts.iter().map(|fact| serde_json::from_str(fact).unwrap()).collect();
    let kind = |fact: &serde_json::Value| {
        let fact = fact.get("fact").unwrap_or(fact).as_object().unwrap();
        fact.keys().next().unwrap().clone()
    };
    let kinds: Vec<_> = facts.iter().map(kind).collect();
    assert_eq!(kinds, ["life", "input", "input", "added", "added", "begun", "begun", "ended", "ended"]);
}
