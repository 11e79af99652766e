//! Stopping, going on, and draining.

use std::time::Duration;

use crate::acts::{Act, SHORT, act};
use crate::ground::{Ground, LIMIT, args, code};

#[tokio::test]
async fn stop_waits_for_running_tasks_and_hands_out_none() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    swarm.submit(vec![act("a", &Act::Hold), act("b", &Act::Say(2))]).await.unwrap();
    ground.worker("alpha", "w", &[]).await;
    ground.stage.until_at_work(&["a"]).await;
    let early = swarm.stop(SHORT).await.unwrap();
    assert_eq!((early.running, early.is_stopped), (1, true));
    let (stopped, ()) = tokio::join!(swarm.stop(LIMIT), async { ground.stage.release("a") });
    let stopped = stopped.unwrap();
    assert_eq!((stopped.running, stopped.ready, stopped.done), (0, 1, 1));
    assert!(swarm.join(Duration::ZERO).await.is_err());
    swarm.resume().await.unwrap();
    assert_eq!(swarm.result::<u64>("b", LIMIT).await.unwrap(), 2);
}

#[tokio::test]
async fn a_drained_swarm_does_what_it_has_and_takes_no_more() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    swarm.submit(vec![act("a", &Act::Say(1)), act("b", &Act::Say(2)).after("a")]).await.unwrap();
    assert!(!swarm.drain(Duration::ZERO).await.unwrap().is_over);
    let error = swarm.submit(vec![act("c", &Act::Say(3))]).await.unwrap_err();
    assert_eq!(code(&error), "SWARM_DRAINING");
    ground.worker("alpha", "w", &[]).await;
    let drained = swarm.drain(LIMIT).await.unwrap();
    assert_eq!((drained.done, drained.is_over, drained.is_draining), (2, true, true));
}
