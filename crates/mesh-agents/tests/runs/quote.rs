//! The example workflow, which answers with lines of a text.

use mesh_agents::workflow::{Outcome, Strictness, load};

use crate::cluster::Cluster;
use crate::script::{Act, Call, Script};

const FILE: &str = include_str!("../../../../config/workflows/read-me.yaml");

const TASK: &str = "What happens when a node dies?

# Title

## Life

A node lives. It runs actors.

## Death

Its actors are gone. Asks in flight fail.

## Order

There is order.
";

/// Takes the choices at these places, in the form that was asked for.
fn choose(call: &Call, places: &[usize]) -> String {
    let schema = &call.request.response_schema.as_ref().unwrap().schema;
    let (key, choices) = match schema.pointer("/properties/steps/items/enum") {
        Some(choices) => ("steps", choices),
        None => ("answer", schema.pointer("/properties/answer/enum").unwrap()),
    };
    let picked: Vec<&str> = places.iter().map(|place| choices[*place].as_str().unwrap()).collect();
    match key {
        "steps" => serde_json::json!({ "steps": picked }).to_string(),
        _ => serde_json::json!({ "answer": picked[0] }).to_string(),
    }
}

#[test]
fn the_example_workflow_has_nothing_to_warn_of() {
    let loaded = load("read-me.yaml", FILE, Strictness::Strict).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[tokio::test(start_paused = true)]
async fn the_example_workflow_reads_sections_side_by_side_and_answers_with_one_of_their_lines() {
    let script = Script::new(|call| match call.request.system.as_deref().unwrap_or_default() {
        system if system.contains("sections") => Act::say(choose(call, &[1, 0, 1])),
        _ => Act::say(choose(call, &[0])),
    });
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, TASK).await;
    assert_eq!(told.result(), "Its actors are gone.");

    let inputs: Vec<String> = script.calls().into_iter().map(|call| call.input).collect();
    let question = "What happens when a node dies?";
    assert_eq!(inputs[0], format!("{question}\n\n- Life\n- Death\n- Order"));
    assert!(
        inputs.contains(&format!("- A node lives.\n- It runs actors.\n\nQuestion: {question}")),
        "{inputs:?}"
    );
    assert_eq!(inputs[3], format!("- Its actors are gone.\n- A node lives.\n\nQuestion: {question}"));
    assert_eq!(told.starts("execution").len(), 2, "a section that was picked twice is read once");
}

#[tokio::test(start_paused = true)]
async fn a_quote_that_stands_nowhere_is_asked_for_again_and_then_refused() {
    let script = Script::new(|_| Act::say("Nodes never die."));
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, TASK).await;
    let Outcome::Failed { stage, error, .. } = &told.ended.outcome else { panic!("{told:?}") };
    assert_eq!((stage.as_str(), error.code.as_str()), ("planning", "BAD_OUTPUT"));
    assert_eq!(error.message, "the answer is none of the 3 that it can be");
    assert_eq!(script.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_task_without_a_text_to_quote_is_told_so_without_asking_a_model() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = Cluster::three(&script).await;
    let told = cluster.run(FILE, "What happens when a node dies?").await;
    let Outcome::Failed { error, .. } = &told.ended.outcome else { panic!("{told:?}") };
    assert_eq!(error.code, "NOTHING_TO_QUOTE");
    assert!(script.calls().is_empty());
}
