//! Answers of a form.

use mesh_agents::assistant::{Assistant, AssistantSpec};
use mesh_agents::lifecycle::AgentState;
use mesh_models::Role;
use serde_json::json;

use crate::model::{Says, World, clerk, fault};

fn form() -> Option<serde_json::Value> {
    Some(json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}))
}

#[tokio::test]
async fn an_answer_that_does_not_fit_its_schema_is_repaired_once() {
    let world = World::of([Says::Text(r#"{"n": "one"}"#), Says::Text(r#"{"n": 1}"#)], 1);
    let run = world.run(AssistantSpec { output_schema: form(), ..clerk() }).await;
    assert_eq!(Assistant::answer_of(&run), Some(json!({"n": 1})));
    let asked = world.model.asked();
    assert!(asked[0].system.as_deref().unwrap().contains("JSON Schema"));
    let last = asked[1].messages.last().unwrap();
    assert!(last.role == Role::User && last.text.contains("/n"), "{last:?}");
}

#[tokio::test]
async fn a_second_answer_that_does_not_fit_fails_the_run_and_is_counted() {
    let world = World::of([Says::Text("one"), Says::Text("two"), Says::Text("never asked")], 1);
    let run = world.run(AssistantSpec { output_schema: form(), ..clerk() }).await;
    assert_eq!((run.state(), fault(&run)), (AgentState::Failed, "BAD_OUTPUT"));
    assert_eq!((world.model.asked().len(), run.context.results.len()), (2, 2));
}

#[tokio::test]
async fn a_model_that_says_nothing_is_told_so_once() {
    let world = World::of([Says::Text(""), Says::Text("sorry")], 1);
    let run = world.run(clerk()).await;
    assert_eq!(Assistant::answer_of(&run), Some(json!("sorry")));
}

#[tokio::test]
async fn without_tools_the_form_goes_to_the_models_server() {
    let world = World::of([Says::Text(r#"{"n": 1}"#)], 1);
    let spec = AssistantSpec { output_schema: form(), ..AssistantSpec::new("counter") };
    let _ = world.run(spec).await;
    let asked = world.model.asked();
    assert_eq!(asked[0].response_schema.as_ref().map(|form| form.schema.clone()), form());
}
