//! Who is given what, and when.

use std::collections::BTreeSet;

use mesh_agents::swarm::{DescribeWorker, SwarmArgs, SwarmTask};
use tokio::time::timeout;

use crate::acts::{Act, SHORT, act};
use crate::ground::{ACTS, Ground, LIMIT, a_moment, args, row, states};

#[tokio::test]
async fn what_is_mapped_on_three_nodes_is_reduced_from_the_results() {
    let ground = Ground::of(&["alpha", "beta", "gamma"]).await;
    let swarm = ground.swarm(&args()).await;
    let work = mesh_agents::swarm::WorkerArgs::<()>::of("s");
    let pool =
        ground.mesh().pool::<DescribeWorker>(ACTS).named("w").size(3).args(&work).spawn().await.unwrap();
    let maps: Vec<_> = (1..=20).map(|number| act(&format!("m{number}"), &Act::Say(number))).collect();
    let sum = maps.iter().fold(act("sum", &Act::Sum), |sum, map| sum.after(map.id.clone()));
    assert_eq!(swarm.submit([maps, vec![sum]].concat()).await.unwrap(), 21);
    assert_eq!(swarm.result::<u64>("sum", LIMIT).await.unwrap(), 210);
    let status = swarm.join(LIMIT).await.unwrap();
    assert_eq!((status.done, status.not_done, status.is_over), (21, 0, true));
    assert_eq!(ground.stage.begun().last().unwrap().0, "sum");
    pool.stop().await.unwrap();
}

#[tokio::test]
async fn equal_priorities_come_in_their_order_and_higher_ones_before() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    let task = |id, priority| act(id, &Act::Say(0)).priority(priority);
    let tasks = vec![task("a", 1), task("b", 2), task("c", 1), task("d", 2), task("e", -1), task("f", 1)];
    swarm.submit(tasks).await.unwrap();
    ground.worker("alpha", "w", &[]).await;
    swarm.join(LIMIT).await.unwrap();
    let order: Vec<_> = ground.stage.begun().into_iter().map(|(task, _)| task).collect();
    assert_eq!(order, ["b", "d", "a", "c", "f", "e"]);
}

#[tokio::test]
async fn no_more_workers_are_busy_than_may_be_and_none_has_two_tasks() {
    let ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = ground.swarm(&SwarmArgs { workers_max: Some(2), ..args() }).await;
    for (node, name) in [("alpha", "a"), ("alpha", "b"), ("beta", "c"), ("beta", "d")] {
        ground.worker(node, name, &[]).await;
    }
    swarm.submit(["1", "2", "3", "4", "5", "6"].map(|id| act(id, &Act::Hold)).to_vec()).await.unwrap();
    for (at, next) in [["1", "2"], ["2", "3"], ["3", "4"], ["4", "5"], ["5", "6"]].iter().enumerate() {
        ground.stage.until_at_work(next).await;
        let status = swarm.status().await.unwrap();
        assert_eq!((status.running, status.done), (2, at as u64));
        ground.stage.release(next[0]);
    }
    ground.stage.release("6");
    swarm.join(LIMIT).await.unwrap();
    // That no worker had two is asserted where work begins.
    assert_eq!(ground.stage.most(), 2);
}

#[tokio::test]
async fn a_blocked_task_never_spins_nor_starves_others() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    let blocked = act("blocked", &Act::Say(9)).priority(9).after("first");
    let others = (0..5).map(|number| act(&format!("o{number}"), &Act::Say(number)));
    let tasks = [blocked, act("first", &Act::Hold).priority(8)].into_iter().chain(others).collect();
    swarm.submit(tasks).await.unwrap();
    ground.worker("alpha", "a", &[]).await;
    ground.stage.until_at_work(&["first"]).await;
    ground.worker("alpha", "b", &[]).await;
    for number in 0..5 {
        assert_eq!(swarm.result::<u64>(&format!("o{number}"), LIMIT).await.unwrap(), number);
    }
    let waiting = row(&swarm, "blocked").await;
    assert_eq!((waiting.state.as_str(), waiting.attempts), ("blocked", 0));
    ground.stage.release("first");
    swarm.join(LIMIT).await.unwrap();
    assert_eq!(row(&swarm, "blocked").await.attempts, 1);
}

#[tokio::test]
async fn capabilities_are_really_matched() {
    let ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = ground.swarm(&args()).await;
    let both = act("both", &Act::Say(2)).needs("gpu").needs("search").priority(5);
    swarm.submit(vec![both, act("gpu", &Act::Say(1)).needs("gpu"), act("any", &Act::Say(0))]).await.unwrap();
    ground.worker("alpha", "plain", &["search"]).await;
    swarm.result::<u64>("any", LIMIT).await.unwrap();
    ground.worker("beta", "half", &["gpu"]).await;
    swarm.result::<u64>("gpu", LIMIT).await.unwrap();
    let status = swarm.status().await.unwrap();
    assert_eq!((status.ready, status.running), (1, 0));
    ground.worker("beta", "whole", &["gpu", "search"]).await;
    swarm.join(LIMIT).await.unwrap();
    let states: BTreeSet<_> = states(&swarm).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, BTreeSet::from(["done".to_owned()]));
}

#[tokio::test]
async fn who_waits_for_a_task_is_given_it_when_it_comes() {
    let ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = ground.swarm(&args()).await;
    ground.worker("beta", "w", &[]).await;
    let waits = async {
        while swarm.status().await.unwrap().waiting_workers == 0 {
            a_moment().await;
        }
    };
    timeout(LIMIT, waits).await.unwrap();
    swarm.submit(vec![act("a", &Act::Say(7))]).await.unwrap();
    assert_eq!(swarm.result::<u64>("a", LIMIT).await.unwrap(), 7);
}

#[tokio::test]
async fn followers_are_told_what_happens_when_it_is_on_the_disk() {
    let ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = ground.swarm(&args()).await;
    let mut following = ground.nodes[1].mesh().follow(&swarm.topic(), None).await.unwrap();
    // Until the coordinator's node has heard of the subscription, it tells nobody.
    let heard = async {
        let mut number = 0;
        loop {
            number += 1;
            swarm.submit(vec![SwarmTask::new(format!("t{number}"))]).await.unwrap();
            if let Ok(told) = timeout(SHORT, following.next()).await {
                return told.unwrap().unwrap();
            }
        }
    };
    let first = timeout(LIMIT, heard).await.unwrap();
    assert_eq!(first.kind, "swarm.progress.v1");
    swarm.submit(vec![act("said", &Act::Say(1)).priority(9).needs("talk")]).await.unwrap();
    ground.worker("alpha", "w", &["talk"]).await;
    let ended = async {
        let mut seen = Vec::new();
        loop {
            let told = following.next().await.unwrap().unwrap();
            let body: mesh_agents::swarm::SwarmProgress = serde_json::from_str(&told.body).unwrap();
            seen.extend(body.changes.into_iter().filter(|change| change.task == "said"));
            if seen.len() == 2 {
                return seen;
            }
        }
    };
    let seen = timeout(LIMIT, ended).await.unwrap();
    let states: Vec<_> = seen.iter().map(|change| (change.state.as_str(), change.detail.as_str())).collect();
    assert_eq!(states, [("running", "alpha/w"), ("done", "")]);
}
