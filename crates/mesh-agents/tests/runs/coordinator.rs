//! A coordinator that is told each stage's result, and may re-plan.

use mesh_agents::workflows::RunEvent;
use mesh_models::ModelError;

use crate::cluster::{Cluster, Told};
use crate::script::{Act, Call, Script};

const FILE: &str = r#"
version: "1.0"
agents:
  boss: {role: "Boss", model: "large", system_prompt: "Lead."}
  worker: {role: "Worker", model: "small"}
workflow:
  type: hierarchical
  coordinator: boss
  stages:
    - {name: plan, agent: worker, output: steps}
    - {name: work, agent: worker, input: steps, parallel: true}
    - {name: sum up, agent: worker, input: work}
"#;

/// A model of workers, and of a boss who says this after the stages, in their order.
fn script(decisions: &'static [&'static str]) -> Script {
    Script::new(move |call| {
        let told = |nth: usize| call.input.contains(&format!("({nth} of 3, by worker) has finished"));
        match (1..=3).find(|nth| told(*nth)) {
            Some(nth) => Act::say(decisions[nth - 1]),
            None if call.input == "go" => Act::say("1. one\n2. two"),
            None => Act::say(format!("{}!", call.input)),
        }
    })
}

fn by_boss(script: &Script) -> Vec<Call> {
    script.calls().into_iter().filter(|call| call.request.model.as_deref() == Some("large")).collect()
}

/// The stage, the stage that gets other items, how many, why, and what was wrong.
type Decided<'t> = (&'t str, Option<&'t str>, u64, &'t str, Option<&'t str>);

/// What the coordinator decided.
fn decided(told: &Told) -> Vec<Decided<'_>> {
    let decision = |event| match event {
        &RunEvent::CoordinatorDecided {
            ref stage,
            ref replanned,
            items,
            ref reason,
            ref problem,
            ref agent,
            ..
        } => {
            assert_eq!(agent, "boss");
            Some((stage.as_str(), replanned.as_deref(), items, reason.as_str(), problem.as_deref()))
        }
        _ => None,
    };
    told.events.iter().filter_map(decision).collect()
}

const CONTINUE: &str = r#"{"decision": "continue"}"#;

#[tokio::test(start_paused = true)]
async fn a_coordinator_replans_a_stage_that_follows_and_the_events_say_so() {
    let replan =
        r#"{"decision": "replan", "stage": "", "items": ["a", "b", "c"], "reason": "two are too few"}"#;
    let script = script(Box::leak(Box::new([replan, CONTINUE, CONTINUE])));
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, "go").await;
    assert_eq!(told.starts("work").len(), 3);
    assert!(told.result().starts_with("## item 1: a\n\na!"), "{}", told.result());
    assert_eq!(
        decided(&told),
        [
            ("plan", Some("work"), 3, "two are too few", None),
            ("work", None, 0, "", None),
            ("sum up", None, 0, "", None)
        ]
    );
    let calls = by_boss(&script);
    assert_eq!(calls.len(), 3, "one call for each stage");
    let system = calls[0].request.system.as_deref().unwrap();
    assert_eq!(system, "Your role: Boss.\n\nLead.");
    assert!(calls[0].request.response_schema.is_some());
    assert_eq!(told.ended.tokens.input, 10 * script.calls().len() as u64, "its tokens are counted");
    cluster.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_answer_counts_as_continue_and_is_asked_for_once() {
    let script =
        script(&["I would go on, of course.", r#"{"decision": "replan", "items": ["x"]}"#, CONTINUE]);
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, "go").await;
    assert_eq!(told.starts("work").len(), 2, "as planned");
    let problems: Vec<Option<&str>> = decided(&told).into_iter().map(|decided| decided.4).collect();
    assert!(problems[0].unwrap().starts_with("it gave no answer: "), "{problems:?}");
    assert_eq!(problems[1..], [Some("it wanted to re-plan, which it may not any more"), None]);
    assert_eq!(by_boss(&script).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_whose_model_is_gone_does_not_end_the_run() {
    let script = Script::new(|call| match call.request.model.as_deref() {
        Some("large") => {
            Act::Fail(ModelError::Status { status: 400, message: "no".to_owned(), retry_after: None })
        }
        _ => Act::say("done"),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, "go").await;
    assert_eq!(told.result(), "done");
    assert!(decided(&told).iter().all(|decided| decided.4.is_some()), "{:?}", decided(&told));
}

#[tokio::test(start_paused = true)]
async fn a_workflow_without_a_coordinator_makes_no_such_call() {
    let script = script(&[CONTINUE, CONTINUE, CONTINUE]);
    let cluster = Cluster::three(&script).await;
    for text in [FILE.replace("  coordinator: boss\n", ""), FILE.replace("hierarchical", "pipeline")] {
        let before = script.calls().len();
        let told = cluster.run(&text, "go").await;
        assert!(decided(&told).is_empty());
        assert_eq!(script.calls().len() - before, 4, "the calls of the stages");
    }
    assert!(by_boss(&script).is_empty());
}
