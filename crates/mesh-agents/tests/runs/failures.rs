//! What becomes of a run when a model, an agent or a node fails.

use std::time::Duration;

use mesh::Retry;
use mesh_agents::workflow::Outcome;
use mesh_agents::workflows::RunEvent;
use mesh_models::ModelError;

use crate::cluster::{Cluster, eventually, read};
use crate::script::{Act, Script};

const SINGLE: &str = r#"
version: "1.0"
agents: {worker: {role: "worker"}}
workflow:
  type: pipeline
  stages: [{name: work, agent: worker, timeout: "2m"}]
"#;

const PARALLEL: &str = r#"
version: "1.0"
agents: {worker: {role: "worker"}}
workflow:
  type: pipeline
  stages: [{name: work, agent: worker, parallel: true, max_concurrent: 3, timeout: "2m"}]
"#;

fn busy(status: u16) -> ModelError {
    ModelError::Status { status, message: "no".to_owned(), retry_after: None }
}

#[tokio::test(start_paused = true)]
async fn one_failing_item_does_not_stop_its_siblings_and_the_result_says_so() {
    let script = Script::new(|call| match call.input.as_str() {
        "b" => Act::Fail(busy(400)),
        word => Act::say(word),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(PARALLEL, "- a\n- b\n- c").await;
    let expected =
        "## item 1: a\n\na\n\n## item 2: b\n\nfailed: the model server answered 400: no\n\n## item 3: c\n\nc";
    assert_eq!(told.result(), expected);
    let is_failure = |event: &RunEvent| matches!(event, RunEvent::ItemFailed { index: 1, attempts: 1, .. });
    assert!(told.events.iter().any(is_failure), "{:?}", told.events);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_in_the_middle_loses_its_item_to_another_node() {
    let script = Script::new(|call| match call.node.as_str() {
        "beta" => Act::Hang,
        _ => Act::say(format!("{} on {}", call.input, call.node)),
    });
    let mut cluster = Cluster::three(&script).await;
    let reading = tokio::spawn(read(cluster.start(PARALLEL, "- a\n- b\n- c").await));
    eventually("the call on beta", || script.calls().iter().any(|call| call.node == "beta")).await;
    cluster.kill("beta");

    let told = reading.await.unwrap();
    let starts = told.starts("work");
    let again: Vec<_> = starts.iter().filter(|(_, attempt, _)| *attempt == 2).collect();
    assert!(matches!(again[..], [(_, 2, "alpha" | "gamma")]), "{starts:?}");
    assert_eq!(told.result().matches(" on ").count(), 3, "{}", told.result());
    cluster.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_crashes_is_replaced_at_most_twice() {
    let script = Script::new(|_| Act::Panic);
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(SINGLE, "boom").await;
    let Outcome::Failed { stage, code, error } = &told.ended.outcome else { panic!("{told:?}") };
    assert_eq!(
        (stage.as_str(), code.as_str(), error.code.as_str()),
        ("work", "STAGE_WORK_FAILED", "STOPPED")
    );
    let nodes: Vec<&str> = told.starts("work").into_iter().map(|(_, _, node)| node).collect();
    assert_eq!(nodes, ["alpha", "beta", "gamma"], "each attempt is on another node");
    cluster.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_model_is_asked_again_after_a_pause_and_then_given_up() {
    let script = Script::new(|_| Act::Fail(busy(503)));
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(SINGLE, "hello").await;
    assert_eq!(script.calls().len(), 3);
    let pauses: Vec<u64> = told.events.iter().filter_map(pause_of).collect();
    assert_eq!(pauses, [500, 1_000]);
    assert!(matches!(&told.ended.outcome, Outcome::Failed { error, .. } if error.code == "MODEL_REFUSED"));
    assert_eq!((told.ended.retry, told.ended.may_have_run), (Retry::Backoff, true));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_model_was_never_reached_has_not_run() {
    let script = Script::new(|_| {
        let (url, reason) = ("http://127.0.0.1:1".to_owned(), "refused".to_owned());
        Act::Fail(ModelError::Unreachable { url, reason })
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(SINGLE, "hello").await;
    assert!(
        matches!(&told.ended.outcome, Outcome::Failed { error, .. } if error.code == "MODEL_UNREACHABLE")
    );
    assert_eq!((told.ended.retry, told.ended.may_have_run), (Retry::Backoff, false));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_wants_more_time_than_the_stage_has_is_not_waited_for() {
    let script = Script::new(|_| {
        let retry_after = Some(Duration::from_secs(3_600));
        Act::Fail(ModelError::Status { status: 429, message: "later".to_owned(), retry_after })
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(SINGLE, "hello").await;
    assert!(told.ended.elapsed_ms < 1_000, "{told:?}");
    assert!(
        matches!(&told.ended.outcome, Outcome::Failed { error, .. } if error.code == "MODEL_RATE_LIMITED")
    );
}

#[tokio::test(start_paused = true)]
async fn times_beyond_all_bounds_do_no_harm() {
    let text = SINGLE.replace("2m", "10000000000000000000s");
    let script = Script::new(|_| {
        let retry_after = Some(Duration::MAX);
        Act::Fail(ModelError::Status { status: 429, message: "later".to_owned(), retry_after })
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(&text, "hello").await;
    assert!(
        matches!(&told.ended.outcome, Outcome::Failed { error, .. } if error.code == "MODEL_RATE_LIMITED")
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_ends_with_its_stages_time_and_its_model_is_told() {
    let script = Script::new(|_| Act::Hang);
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(SINGLE, "hello").await;
    let Outcome::Failed { error, .. } = &told.ended.outcome else { panic!("{told:?}") };
    assert_eq!((error.code.as_str(), error.message.as_str()), ("TIMEOUT", "no answer within 2m"));
    assert_eq!((told.ended.retry, told.ended.may_have_run), (Retry::Backoff, true));
    assert!((120_000..121_000).contains(&told.ended.elapsed_ms), "{}", told.ended.elapsed_ms);
    eventually("the end of the call", || script.open() == 0).await;
    assert_eq!(script.abandoned(), 1);
    cluster.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_json_is_asked_for_again_where_a_schema_was_given() {
    let text = SINGLE.replace(r#"{role: "worker"}"#, r#"{output_schema: {type: "object"}}"#);
    let script = Script::new(|_| Act::say("sure, here it is"));
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(&text, "hello").await;
    assert!(
        matches!(&told.ended.outcome, Outcome::Failed { error, .. } if error.code == "BAD_OUTPUT"),
        "{told:?}"
    );
    assert_eq!(script.calls().len(), 3);
}

fn pause_of(event: &RunEvent) -> Option<u64> {
    match event {
        RunEvent::ItemRetried { pause_ms, .. } => Some(*pause_ms),
        _ => None,
    }
}
