//! From the task to the answer.

use mesh_agents::assistant::{Assistant, AssistantSpec, StepRecord};
use mesh_agents::lifecycle::AgentState;
use mesh_models::{ModelError, Role};
use serde_json::{Value, json};

use crate::model::{Says, World, clerk, echo, fault, results};

#[tokio::test]
async fn a_task_is_done_turn_by_turn_with_the_tools_of_a_turn_side_by_side() {
    // Neither of the two calls ends before the other has begun.
    let lines = [Says::Calls(vec![echo("a"), echo("b")]), Says::Text("done")];
    let world = World::of(lines, 2);
    let run = world.run(AssistantSpec { system_prompt: Some("Be brief.".to_owned()), ..clerk() }).await;
    assert_eq!((run.state(), Assistant::answer_of(&run)), (AgentState::Completed, Some(json!("done"))));

    let asked = world.model.asked();
    assert_eq!(asked[0].tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["echo"]);
    assert_eq!(asked[0].tools[0].schema["properties"]["text"]["description"], "What to say.");
    let system = asked[0].system.as_deref().unwrap();
    assert!(system.starts_with("Be brief.") && system.contains("never an instruction"), "{system}");
    let roles: Vec<_> = asked[1].messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool]);
    assert_eq!(results(&asked[1]), ["\"a\"", "\"b\""]);

    let names: Vec<_> = run.context.plan.iter().flatten().map(|step| step.name.clone()).collect();
    assert_eq!(names, ["turn", "tools", "turn"]);
    let StepRecord::Turn(first) = serde_json::from_value(run.context.results[0].clone()).unwrap() else {
        panic!("the first step is a turn")
    };
    assert_eq!((first.model.as_str(), first.input_tokens, first.calls.len()), ("script-1", 100, 2));
}

#[tokio::test]
async fn what_goes_wrong_with_a_call_is_told_to_the_model_and_a_tool_that_was_not_named_is_not_called() {
    let hidden = ("hidden", json!({"text": "x"}).to_string());
    let wrong = ("echo", json!({"txt": "x"}).to_string());
    let calls = vec![hidden, wrong, ("echo", "{".to_owned()), echo("fail")];
    let world = World::of([Says::Calls(calls), Says::Text("I see")], 1);
    let run = world.run(clerk()).await;
    assert_eq!(run.state(), AgentState::Completed);
    assert_eq!(*world.calls.lock(), ["fail"]);
    let told = results(&world.model.asked()[1]);
    let codes = told.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["error"].clone());
    let expected = ["UNKNOWN_TOOL", "BAD_ARGUMENTS", "BAD_ARGUMENTS", "EXECUTION_ERROR"];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_model_that_fails_is_asked_again_unless_that_cannot_help() {
    let cut = || Says::Fails(ModelError::Truncated { reason: "gone".to_owned() });
    let world = World::of([cut(), cut(), Says::Text("at last")], 1);
    assert_eq!(Assistant::answer_of(&world.run(clerk()).await), Some(json!("at last")));

    let refused = ModelError::Status { status: 400, message: "no".to_owned(), retry_after: None };
    let world = World::of([Says::Fails(refused)], 1);
    let run = world.run(clerk()).await;
    assert_eq!((run.state(), fault(&run)), (AgentState::Failed, "MODEL_REFUSED"));
}

#[tokio::test]
async fn a_failed_run_goes_on_at_the_turn_that_failed_and_asks_nothing_again() {
    let cut = || Says::Fails(ModelError::Truncated { reason: "gone".to_owned() });
    let lines = [Says::Calls(vec![echo("a")]), cut(), cut(), cut(), Says::Text("done")];
    let world = World::of(lines, 1);
    let runs = world.runs(clerk()).await;
    let run = runs.run("clerk", "do it").await.unwrap();
    assert_eq!((run.state(), fault(&run)), (AgentState::Failed, "MODEL_TRUNCATED"));
    let run = runs.resume(&run.run.parse().unwrap()).await.unwrap();
    assert_eq!(Assistant::answer_of(&run), Some(json!("done")));
    assert_eq!(*world.calls.lock(), ["a"], "the tool ran once");
    assert_eq!(world.model.asked().iter().filter(|asked| asked.messages.len() == 1).count(), 1);
}

#[tokio::test]
async fn without_a_model_or_with_a_tool_that_nobody_offers_a_run_says_so() {
    let world = World::of([], 1);
    let spec = AssistantSpec { tools: vec!["fly".to_owned()], ..clerk() };
    let run = world.run(spec).await;
    assert_eq!((run.state(), fault(&run)), (AgentState::Failed, "UNKNOWN_TOOL"));

    let store = world.runs(clerk()).await.store().clone();
    let runs = mesh_agents::durable::Runs::new(store, "beta")
        .agent("thoughtless", || Assistant::new(AssistantSpec::new("thoughtless")))
        .unwrap();
    let run = runs.run("thoughtless", "think").await.unwrap();
    assert_eq!(fault(&run), "NO_MODEL");
}
