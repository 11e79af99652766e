//! Runs that nobody wants any more, or never did.

use mesh_agents::workflow::Outcome;
use mesh_agents::workflows::RunWorkflow;
use std::time::Duration;

use crate::cluster::{Cluster, eventually, read};
use crate::script::{Act, Script};

const PARALLEL: &str = r#"
version: "1.0"
agents: {worker: {role: "worker"}}
workflow:
  type: pipeline
  stages: [{name: work, agent: worker, parallel: true, max_concurrent: 3}]
"#;

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_takes_the_run_its_agents_and_their_model_calls_along() {
    let script = Script::new(|_| Act::Hang);
    let cluster = Cluster::three(&script).await;
    let reading = read(cluster.start(PARALLEL, "- a\n- b\n- c").await);
    tokio::select! {
        told = reading => panic!("the models hang, but the run has ended: {told:?}"),
        () = eventually("three calls", || script.open() == 3) => {}
    }
    eventually("the end of the calls", || script.open() == 0).await;
    assert_eq!(script.abandoned(), 3);
    cluster.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_with_its_node_leaves_no_agent_behind_elsewhere() {
    let script = Script::new(|_| Act::Hang);
    let mut cluster = Cluster::three(&script).await;
    let reading = tokio::spawn(read(cluster.start(PARALLEL, "- a\n- b\n- c").await));
    eventually("three calls", || script.open() == 3).await;
    cluster.kill("alpha");
    cluster.quiet().await;
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_starts_ends_after_a_minute() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = Cluster::three(&script).await;
    let created = cluster.create(PARALLEL, "- a").await.unwrap();
    assert_eq!(cluster.actors_of_runs().await, [created.path.as_str()]);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(cluster.actors_of_runs().await, [created.path.as_str()]);
    cluster.quiet().await;

    let run = cluster.alpha().stream_recipient::<RunWorkflow>(&created.path).unwrap();
    let error = run.stream(RunWorkflow {}).finish().await.unwrap_err();
    assert_eq!(error.code(), "NO_SUCH_ACTOR");
    assert!(script.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_can_be_started_once() {
    let script = Script::new(|call| Act::say(call.input.clone()));
    let cluster = Cluster::three(&script).await;
    let created = cluster.create(PARALLEL, "- a\n- b").await.unwrap();
    let run = cluster.alpha().stream_recipient::<RunWorkflow>(&created.path).unwrap();
    let (first, second) = tokio::join!(read(run.stream(RunWorkflow {})), run.stream(RunWorkflow {}).finish());
    assert!(matches!(first.ended.outcome, Outcome::Completed { .. }));
    assert!(matches!(second.unwrap_err().code(), "NOT_RUNNING" | "STOPPED"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_makes_the_models_wait_and_loses_nothing() {
    let words: Vec<String> = (0..200).map(|number| format!("- word{number}")).collect();
    let script = Script::new(|call| Act::Say(Duration::ZERO, call.input.repeat(50)));
    let cluster = Cluster::three(&script).await;
    let mut stream = cluster.start(PARALLEL, &words.join("\n")).await;
    let first = stream.next().await;
    assert!(first.is_some());
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(script.calls().len() < 50, "{} calls for a reader that does not read", script.calls().len());

    let told = read(stream).await;
    assert_eq!(told.result().matches("## item ").count(), 200);
}
