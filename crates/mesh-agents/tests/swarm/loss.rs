//! Workers that are lost, fail, or lose their task.

use std::time::Duration;

use mesh::DeadReason;
use mesh_agents::swarm::{EndTask, HandedTask, PullTask, RenewTask, SwarmArgs, SwarmTask, TaskOutcome};

use crate::acts::{Act, act};
use crate::ground::{Ground, LIMIT, a_moment, args, row};

impl Ground {
    async fn pull(&self, worker: &str) -> Option<HandedTask> {
        let coordinator = self.mesh().recipient::<PullTask>("swarm-s").unwrap();
        let pull = PullTask { worker: worker.to_owned(), capabilities: Default::default(), wait_ms: 10_000 };
        coordinator.ask(pull).timeout(LIMIT).await.unwrap().unwrap()
    }

    async fn end(&self, handed: &HandedTask) -> Result<(), String> {
        let coordinator = self.mesh().recipient::<EndTask>("swarm-s").unwrap();
        let outcome = TaskOutcome::Done { result: format!("{}", handed.attempt) };
        let end = EndTask { task: handed.task.clone(), epoch: handed.epoch, outcome };
        coordinator.ask(end).timeout(LIMIT).await.unwrap().map_err(|failure| failure.code)
    }
}

#[tokio::test]
async fn a_task_whose_worker_says_nothing_goes_to_another_and_the_first_is_refused() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&SwarmArgs { task_lease_ms: Some(200), ..args() }).await;
    swarm.submit(vec![SwarmTask::new("a"), SwarmTask::new("b")]).await.unwrap();
    let first = ground.pull("silent").await.unwrap();
    let other = ground.pull("other").await.unwrap();
    assert_eq!((first.task.as_str(), other.task.as_str()), ("a", "b"));
    ground.end(&other).await.unwrap();
    // It waits until the lease of the first is over.
    let second = ground.pull("other").await.unwrap();
    assert_eq!((second.task.as_str(), second.attempt), ("a", 2));
    assert!(second.epoch > first.epoch);
    assert_eq!(ground.end(&first).await, Err("SWARM_FENCED".to_owned()));
    ground.end(&second).await.unwrap();
    // To say it again, with whatever result, changes nothing.
    ground.end(&HandedTask { attempt: 9, ..second }).await.unwrap();
    assert_eq!(swarm.result::<u64>("a", LIMIT).await.unwrap(), 2);
    let renew = ground.mesh().recipient::<RenewTask>("swarm-s").unwrap();
    let late = renew.ask(RenewTask { task: "a".to_owned(), epoch: first.epoch }).await.unwrap();
    assert_eq!(late.unwrap_err().code, "SWARM_FENCED");
}

#[tokio::test]
async fn a_worker_that_asks_while_it_has_a_task_has_lost_it() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    swarm.submit(vec![SwarmTask::new("a"), SwarmTask::new("b")]).await.unwrap();
    let first = ground.pull("w").await.unwrap();
    let second = ground.pull("w").await.unwrap();
    assert_eq!((second.task.as_str(), second.attempt), ("a", 2));
    assert_eq!(swarm.status().await.unwrap().running, 1);
    assert_eq!(ground.end(&first).await, Err("SWARM_FENCED".to_owned()));
}

#[tokio::test]
async fn the_task_of_a_worker_that_ends_goes_to_another_long_before_its_lease_is_over() {
    let ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = ground.swarm(&SwarmArgs { task_lease_ms: Some(3_600_000), ..args() }).await;
    swarm.submit(vec![act("a", &Act::Hold)]).await.unwrap();
    ground.worker("beta", "first", &[]).await;
    ground.stage.until_at_work(&["a"]).await;
    ground.stop("beta", "first").await;
    ground.worker("alpha", "second", &[]).await;
    // The first had a moment to end it, and did not.
    ground.stage.release("a");
    let attempt = swarm.result::<u64>("a", LIMIT).await.unwrap();
    assert!(attempt <= 2, "{attempt}");
}

#[tokio::test]
async fn a_task_of_a_node_that_dies_goes_to_a_worker_of_another() {
    let mut ground = Ground::of(&["alpha", "beta"]).await;
    let swarm = ground.swarm(&SwarmArgs { task_lease_ms: Some(3_600_000), ..args() }).await;
    swarm.submit(vec![act("a", &Act::Hold)]).await.unwrap();
    ground.worker("beta", "w", &[]).await;
    ground.stage.until_at_work(&["a"]).await;
    ground.network.kill("beta");
    ground.nodes.retain(|node| node.name() != "beta");
    ground.worker("alpha", "w", &[]).await;
    let lost = async {
        while row(&swarm, "a").await.attempts < 2 {
            a_moment().await;
        }
    };
    tokio::time::timeout(LIMIT, lost).await.unwrap();
    ground.stage.release("a");
    assert_eq!(swarm.result::<u64>("a", LIMIT).await.unwrap(), 2);
}

#[tokio::test]
async fn a_failed_worker_returns_to_service_and_a_task_that_ends_its_workers_is_poison() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    let tasks = vec![
        act("poison", &Act::Panic),
        act("stubborn", &Act::Fail { again: true }),
        act("hopeless", &Act::Fail { again: false }),
        act("good", &Act::Say(1)),
    ];
    swarm.submit(tasks).await.unwrap();
    ground.worker("alpha", "w", &[]).await;
    let status = swarm.join(LIMIT).await.unwrap();
    assert_eq!((status.done, status.not_done), (1, 3));
    let mut ended = Vec::new();
    for task in ["poison", "stubborn", "hopeless", "good"] {
        let row = row(&swarm, task).await;
        ended.push((row.state, row.attempts));
    }
    let expected = [("poisoned", 3), ("failed", 3), ("failed", 1), ("done", 1)];
    assert_eq!(ended, expected.map(|(state, attempts)| (state.to_owned(), attempts)));
    let dead = ground.mesh().dead_letters().list();
    let [letter] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!((letter.path.as_str(), letter.kind.as_str()), ("alpha/swarm-s", "task poison"));
    let reason = "panicked: the task is poison".to_owned();
    assert_eq!(letter.reason, DeadReason::Poison { reason, times: 3 });
}

#[tokio::test]
async fn a_cancelled_task_is_taken_from_its_worker_and_the_worker_goes_on() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    let tasks = vec![act("a", &Act::Hold), act("behind", &Act::Say(1)).after("a"), act("b", &Act::Say(2))];
    swarm.submit(tasks).await.unwrap();
    ground.worker("alpha", "w", &[]).await;
    ground.stage.until_at_work(&["a"]).await;
    assert_eq!(swarm.cancel(vec!["a".to_owned()]).await.unwrap(), 1);
    assert_eq!(swarm.cancel(vec!["a".to_owned()]).await.unwrap(), 0);
    assert_eq!(swarm.result::<u64>("b", LIMIT).await.unwrap(), 2);
    assert_eq!(ground.stage.at_work(), [""; 0], "nobody works on what nobody wants");
    assert_eq!(row(&swarm, "a").await.state, "cancelled");
    assert_eq!(row(&swarm, "behind").await.state, "dependency_failed");
    let status = swarm.join(Duration::ZERO).await.unwrap();
    assert_eq!((status.done, status.not_done), (1, 2));
}
