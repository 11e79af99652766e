//! What a swarm does not take.

use mesh_agents::swarm::{OnFailed, Swarm, SwarmError, SwarmTask};

use crate::acts::{Act, act};
use crate::ground::{Ground, LIMIT, args, code, row, states};

#[tokio::test]
async fn cycles_unknown_dependencies_and_duplicate_ids_are_refused_as_a_whole() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    swarm.submit(vec![SwarmTask::new("a")]).await.unwrap();
    let new = |id: &str| SwarmTask::new(id);
    let many = (0..1001).fold(new("many"), |task, number| task.after(number.to_string()));
    let refused = [
        (vec![new("b"), new("a")], "SWARM_DUPLICATE"),
        (vec![new("b"), new("c").after("nobody")], "SWARM_UNKNOWN_DEPENDENCY"),
        (vec![new("b").after("c"), new("c").after("b")], "SWARM_CYCLE"),
        (vec![new("b"), new("")], "SWARM_BAD_TASK"),
        (vec![new("b"), new("c\n")], "SWARM_BAD_TASK"),
        (vec![many], "SWARM_BAD_TASK"),
        (vec![new("b").needs("")], "SWARM_BAD_TASK"),
        (vec![SwarmTask { input: "{".to_owned(), ..new("b") }], "SWARM_BAD_TASK"),
        (vec![new("b").input(&"x".repeat(1 << 20)).unwrap()], "SWARM_BAD_TASK"),
        (vec![new("b"); 10_001], "SWARM_BAD_TASK"),
    ];
    for (tasks, expected) in refused {
        let error = swarm.submit(tasks).await.unwrap_err();
        assert_eq!(code(&error), expected, "{error}");
    }
    assert_eq!(states(&swarm).await, [("a".to_owned(), "ready".to_owned())]);
    let cycle = swarm.submit(vec![new("b").after("c"), new("c").after("b")]).await.unwrap_err();
    assert_eq!(cycle.to_string(), "SWARM_CYCLE: tasks wait for one another: b after c after b");
}

#[tokio::test]
async fn a_result_that_is_not_there_says_how_the_task_stands() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    swarm.submit(vec![act("a", &Act::Say(1)).needs("x"), act("b", &Act::Say(2))]).await.unwrap();
    ground.worker("alpha", "w", &[]).await;
    let none = swarm.result::<u64>("a", std::time::Duration::ZERO).await.unwrap_err();
    assert_eq!(none.to_string(), "task \"a\" is ready ()");
    let unknown = swarm.result::<u64>("c", LIMIT).await.unwrap_err();
    assert_eq!(code(&unknown), "SWARM_NO_SUCH_TASK");
    let other = swarm.result::<String>("b", LIMIT).await.unwrap_err();
    assert!(matches!(other, SwarmError::OtherResult { .. }), "{other}");
    let unknown = swarm.cancel(vec!["a".to_owned(), "c".to_owned()]).await.unwrap_err();
    assert_eq!(code(&unknown), "SWARM_NO_SUCH_TASK");
    assert_eq!(row(&swarm, "a").await.state, "ready");
}

#[tokio::test]
async fn a_failed_dependency_fails_leaves_out_or_lets_run_as_each_task_wants() {
    let ground = Ground::of(&["alpha"]).await;
    let swarm = ground.swarm(&args()).await;
    let after = |id, policy| act(id, &Act::Say(1)).after("a").on_failed(policy);
    let tasks = vec![
        act("a", &Act::Fail { again: false }),
        after("fails", OnFailed::Fail),
        after("skipped", OnFailed::Skip),
        after("runs", OnFailed::Run),
    ];
    swarm.submit(tasks).await.unwrap();
    ground.worker("alpha", "w", &[]).await;
    let status = swarm.join(LIMIT).await.unwrap();
    assert_eq!((status.done, status.not_done), (1, 3));
    let states: Vec<_> = states(&swarm).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["failed", "dependency_failed", "skipped", "done"]);
    assert_eq!(row(&swarm, "a").await.detail, "not ever");
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let ground = Ground::of(&["alpha"]).await;
    for name in ["", "a/b", "a b", &"x".repeat(81)] {
        let error = Swarm::new(ground.mesh(), name).unwrap_err();
        assert!(matches!(error, SwarmError::Name { .. }), "{error}");
    }
}
