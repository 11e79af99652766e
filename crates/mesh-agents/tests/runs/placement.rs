//! Which nodes get agents, and which files get runs.

use mesh::Retry;
use mesh_agents::workflow::Outcome;

use crate::cluster::Cluster;
use crate::script::{Act, Script};

fn on(place: &str) -> String {
    format!(
        r#"
version: "1.0"
agents: {{worker: {{role: "worker"}}}}
workflow:
  type: pipeline
  stages: [{{name: work, agent: worker, parallel: true, place: {place}}}]
"#
    )
}

async fn labelled(script: &Script) -> Cluster {
    let mut cluster = Cluster::empty().await;
    cluster.add("alpha", &[], Some(script)).await;
    cluster.add("beta", &[("gpu", "true"), ("zone", "a")], Some(script)).await;
    cluster.add("gamma", &[("gpu", "true")], Some(script)).await;
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_stage_runs_only_on_nodes_that_carry_all_of_its_labels() {
    let script = Script::new(|call| Act::say(call.node.clone()));
    let cluster = labelled(&script).await;
    let told = cluster.run(&on(r#"{gpu: "true"}"#), "- a\n- b\n- c\n- d").await;
    let mut nodes: Vec<&str> = told.starts("work").into_iter().map(|(_, _, node)| node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["beta", "beta", "gamma", "gamma"]);

    let told = cluster.run(&on(r#"{gpu: "true", zone: "a"}"#), "- a\n- b").await;
    assert!(told.starts("work").iter().all(|(_, _, node)| *node == "beta"));
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_fits_no_node_fails_at_once_and_says_what_there_is() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = labelled(&script).await;
    let told = cluster.run(&on(r#"{gpu: "false"}"#), "a").await;
    let Outcome::Failed { error, .. } = &told.ended.outcome else { panic!("{told:?}") };
    assert_eq!(error.code, "NO_NODE");
    assert_eq!(error.message, "no node can run an agent on gpu=false; alive are: alpha, beta, gamma");
    assert_eq!((told.ended.retry, told.ended.may_have_run), (Retry::Backoff, false));
    assert!(script.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nodes_without_a_model_are_passed_over() {
    let script = Script::new(|call| Act::say(call.node.clone()));
    let mut cluster = Cluster::empty().await;
    cluster.add("alpha", &[], None).await;
    cluster.add("beta", &[], Some(&script)).await;
    let told = cluster.run(&on("{}"), "- a\n- b").await;
    assert_eq!(told.result(), "## item 1: a\n\nbeta\n\n## item 2: b\n\nbeta");
}

#[tokio::test(start_paused = true)]
async fn without_any_model_the_run_fails_and_names_the_nodes() {
    let mut cluster = Cluster::empty().await;
    cluster.add("alpha", &[], None).await;
    let told = cluster.run(&on("{}"), "a").await;
    let Outcome::Failed { error, .. } = &told.ended.outcome else { panic!("{told:?}") };
    let expected =
        "no node can run an agent; alive are: alpha; without agents or model: alpha (start one with ";
    assert!(error.message.starts_with(expected), "{error}");
    assert_eq!((told.ended.retry, told.ended.may_have_run), (Retry::Backoff, false));
    assert_eq!(told.starts("work"), [], "no agent was spawned");
}

#[tokio::test(start_paused = true)]
async fn a_file_with_mistakes_is_refused_with_its_report_before_anything_runs() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = Cluster::three(&script).await;
    let refused = cluster.create(&on("{}").replace("agent: worker", "agent: werker"), "a").await.unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("BAD_WORKFLOW", "test.yaml cannot be run")
    );
    assert!(refused.report.contains("did you mean `worker`"), "{}", refused.report);
    assert!(matches!(&refused.diagnostics[..], [problem] if problem.severity == "error"));
    assert!(cluster.actors_of_runs().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_blank_task_is_refused_since_no_model_answers_it() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = Cluster::three(&script).await;
    let refused = cluster.create(&on("{}"), " \n").await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.may_have_run), ("BAD_TASK", false));
}
