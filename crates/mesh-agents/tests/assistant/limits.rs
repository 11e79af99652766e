//! What a run may use.

use std::sync::Arc;

use mesh_agents::assistant::{Assistant, AssistantSpec, StepRecord};
use mesh_agents::lifecycle::AgentState;
use mesh_models::{PriceTable, Tokens, counter_for};
use mesh_resilience::Money;
use serde_json::json;

use crate::model::{Says, World, clerk, echo, fault, results};

fn on_and_on(turns: usize) -> Vec<Says> {
    (0..turns).map(|turn| Says::Calls(vec![echo(&turn.to_string())])).collect()
}

#[tokio::test]
async fn a_run_ends_after_as_many_turns_as_may_be_and_50_by_default() {
    assert_eq!(AssistantSpec::new("a").turns_max, 50);
    let world = World::of(on_and_on(3), 1);
    let run = world.run(AssistantSpec { turns_max: 3, ..clerk() }).await;
    assert_eq!((run.state(), fault(&run)), (AgentState::Failed, "TURNS_EXHAUSTED"));
    assert_eq!(world.model.asked().len(), 3);
    assert_eq!(*world.calls.lock(), ["0", "1", "2"]);
}

#[tokio::test]
async fn a_run_ends_when_its_tokens_are_used_and_no_answer_is_longer_than_what_is_left() {
    // Each turn is 110 tokens by its server's count.
    let world = World::of(on_and_on(10), 1);
    let run = world.run(AssistantSpec { tokens_max: 350, ..clerk() }).await;
    assert_eq!((run.state(), fault(&run)), (AgentState::Failed, "BUDGET_EXHAUSTED"));
    let asked = world.model.asked();
    assert!((2..=4).contains(&asked.len()), "{}", asked.len());
    for (turn, request) in asked.iter().enumerate() {
        let counter = counter_for(mesh_models::ProviderKind::OpenAiCompatible, "");
        let counted = Tokens::of(request, &*counter).total();
        let left = 350 - 110 * turn as u64;
        let most = u64::from(request.max_tokens.unwrap());
        assert!(counted + most <= left, "turn {turn}: {counted} and {most} of {left}");
    }
    // Who resumes it is told the same, and the model nothing.
    let runs = world.runs(AssistantSpec { tokens_max: 350, ..clerk() }).await;
    let again = runs.resume(&run.run.parse().unwrap()).await.unwrap();
    assert_eq!((fault(&again), world.model.asked().len()), ("BUDGET_EXHAUSTED", asked.len()));
}

#[tokio::test]
async fn a_run_ends_when_its_money_is_spent_and_when_nobody_knows_what_it_spends() {
    let prices = |model: &str| {
        let table = json!({"as_of": "2026-11-01", "currency": "USD",
            "models": {model: {"input": 10.0, "output": 100.0}}});
        Some(Arc::new(PriceTable::from_json(&table.to_string()).unwrap()))
    };
    // 100 read and 10 written are 2,000 millionths.
    let limited = |model| AssistantSpec {
        money_max: Some(Money::from_micros(4_000)),
        prices: prices(model),
        ..clerk()
    };
    let world = World::of(on_and_on(5), 1);
    let run = world.run(limited("script-1")).await;
    assert_eq!((fault(&run), world.model.asked().len()), ("BUDGET_EXHAUSTED", 2));
    let StepRecord::Turn(turn) = serde_json::from_value(run.context.results[0].clone()).unwrap() else {
        panic!("it is a turn")
    };
    assert_eq!(turn.cost_micros, Some(2_000));

    let world = World::of(on_and_on(5), 1);
    let run = world.run(limited("another")).await;
    assert_eq!((fault(&run), world.model.asked().len()), ("NO_PRICE", 1));
}

#[tokio::test]
async fn a_conversation_that_grows_stays_within_the_context_and_keeps_the_task() {
    let long = "many words of no use ".repeat(200);
    let mut lines: Vec<_> = (0..12).map(|_| Says::Calls(vec![echo(&long)])).collect();
    lines.push(Says::Text("done"));
    let world = World::of(lines, 1);
    let run = world.run(AssistantSpec { context_tokens: 8_000, ..clerk() }).await;
    assert_eq!(Assistant::answer_of(&run), Some(json!("done")), "{:?}", run.fault);
    let asked = world.model.asked();
    let counter = counter_for(mesh_models::ProviderKind::OpenAiCompatible, "");
    for request in &asked {
        assert!(counter.bound().at_most(Tokens::of(request, &*counter).total()) <= 8_000);
        assert_eq!(request.messages[0].text, "do it");
    }
    let last = asked.last().unwrap();
    assert!((1..12).contains(&results(last).len()), "the newest are there: {}", results(last).len());
}

#[tokio::test]
async fn what_is_too_long_for_a_model_is_cut_and_it_is_told_so() {
    let world = World::of([Says::Calls(vec![echo(&"x".repeat(100 << 10))]), Says::Text("long")], 1);
    let run = world.run(AssistantSpec { context_tokens: 1_000_000, ..clerk() }).await;
    assert_eq!(run.state(), AgentState::Completed, "{:?}", run.fault);
    let told = &results(&world.model.asked()[1])[0];
    assert!(told.len() < (64 << 10) + 100 && told.ends_with("more bytes are not shown]"), "{}", told.len());
}
