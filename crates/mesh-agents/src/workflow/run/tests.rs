use proptest::prelude::*;

use super::*;
use crate::workflow::{Strictness, load};

const SEED: &str = include_str!("../../../tests/workflows/claude-flow.yaml");

fn plan(text: &str) -> Plan {
    load("test.yaml", text, Strictness::Strict).unwrap_or_else(|report| panic!("{report}")).plan
}

/// A plan of stages that all have one agent; each is given as the inside of a YAML flow mapping.
fn stages(kind: &str, stages: &[&str]) -> Plan {
    let stages: String = stages.iter().map(|stage| format!("    - {{agent: a, {stage}}}\n")).collect();
    plan(&format!("version: \"1.0\"\nagents:\n  a: {{}}\nworkflow:\n  type: {kind}\n  stages:\n{stages}"))
}

/// Answers the coordinator's question, if there is one.
fn consult(run: &mut Run, answer: &str) -> Option<Consult> {
    let consult = run.next_consult()?;
    assert!(run.next_item().is_none(), "no stage begins before the coordinator has decided");
    assert!(run.on_consult(consult.stage, ok(answer)));
    Some(consult)
}

fn goes_on(run: &mut Run) {
    assert!(consult(run, r#"{"decision": "continue"}"#).is_some());
}

fn decisions(run: &mut Run) -> Vec<Decision> {
    let decision = |event| match event {
        Event::CoordinatorDecided { decision, .. } => Some(decision),
        _ => None,
    };
    events(run).into_iter().filter_map(decision).collect()
}

fn starts(run: &mut Run) -> Vec<(usize, usize, String)> {
    let items = std::iter::from_fn(|| run.next_item());
    items.map(|item| (item.stage, item.index, item.input.to_string())).collect()
}

fn events(run: &mut Run) -> Vec<Event> {
    std::iter::from_fn(|| run.next_event()).collect()
}

fn ok(text: &str) -> Result<String, ItemError> {
    Ok(text.to_owned())
}

fn failed(text: &str) -> Result<String, ItemError> {
    Err(ItemError::new("EXECUTION_ERROR", text))
}

#[test]
fn the_seeds_workflow_runs_from_its_task_to_its_review() {
    let mut run = Run::new(plan(SEED), "tidy the attic");
    assert_eq!(starts(&mut run), [(0, 0, "tidy the attic".to_owned())]);

    run.on_item(0, 0, ok("1. sort\n2. sweep\n3. close\n4. rest"));
    goes_on(&mut run);
    assert_eq!(starts(&mut run).len(), 3, "max_concurrent is 3");
    run.on_item(1, 2, ok("closed"));
    assert_eq!(starts(&mut run), [(1, 3, "rest".to_owned())]);
    run.on_item(1, 3, ok("rested"));
    run.on_item(1, 0, ok("sorted"));
    run.on_item(1, 1, failed("no broom"));
    goes_on(&mut run);

    let sections = "## item 1: sort\n\nsorted\n\n## item 2: sweep\n\nfailed: no broom\n\n\
                    ## item 3: close\n\nclosed\n\n## item 4: rest\n\nrested";
    assert_eq!(starts(&mut run), [(2, 0, sections.to_owned())]);
    run.on_item(2, 0, ok("good, but sweep"));
    assert_eq!(run.outcome(), None);
    goes_on(&mut run);
    assert_eq!(run.outcome(), Some(&Outcome::Completed { result: "good, but sweep".to_owned() }));
    assert_eq!(starts(&mut run), []);
}

#[test]
fn a_coordinator_is_told_each_result_before_the_next_stage_begins() {
    let mut run = Run::new(plan(SEED), "tidy the attic");
    starts(&mut run);
    assert_eq!(run.next_consult(), None, "nothing has finished");
    run.on_item(0, 0, ok("1. sort\n2. sweep"));
    let told = consult(&mut run, r#"{"decision": "continue"}"#).unwrap();
    for said in [
        "tidy the attic",
        "1. sort\n2. sweep",
        "\"planning\" (1 of 3, by planner)",
        "- \"execution\" by executor, which",
    ] {
        assert!(told.input.contains(said), "no {said:?} in {}", told.input);
    }
    assert_eq!((told.stage, told.open.as_slice()), (0, &["execution".to_owned()][..]));
    assert!(!run.on_consult(0, ok("again")), "a late or double decision changes nothing");
    assert_eq!(starts(&mut run).len(), 2);
}

#[test]
fn a_coordinator_gives_a_later_stage_other_items_once_unless_told_otherwise() {
    let replan = r#"{"decision": "replan", "items": ["dust", "paint", "rest"], "reason": "it is dirty"}"#;
    let twice = SEED.replace("  coordinator: \"planner\"", "  coordinator: \"planner\"\n  max_replans: 2");
    for (text, open_later) in [(SEED.to_owned(), 0), (twice, 1)] {
        let more = "    - {name: \"again\", agent: \"executor\", input: \"task_plan\", parallel: true}\n      \ncheckpoints:";
        let mut run = Run::new(plan(&text.replace("      \ncheckpoints:", more)), "tidy the attic");
        starts(&mut run);
        run.on_item(0, 0, ok("1. sort\n2. sweep"));
        consult(&mut run, replan).unwrap();
        let items: Vec<String> = starts(&mut run).into_iter().map(|(_, _, input)| input).collect();
        assert_eq!(items, ["dust", "paint", "rest"]);
        (0..3).for_each(|index| assert!(run.on_item(1, index, ok("done"))));
        let told = consult(&mut run, replan).unwrap();
        assert_eq!(told.open.len(), open_later);
        let seen = decisions(&mut run);
        assert!(
            matches!(&seen[0], Decision::Replan { stage, items } if stage == "execution" && items.len() == 3)
        );
        assert_eq!(matches!(&seen[1], Decision::Replan { stage, .. } if stage == "again"), open_later == 1);
        assert_eq!(matches!(&seen[1], Decision::Continue { problem: Some(_) }), open_later == 0);
    }
}

#[test]
fn a_coordinator_without_an_answer_does_not_end_the_run() {
    let mut run = Run::new(plan(SEED), "tidy the attic");
    starts(&mut run);
    run.on_item(0, 0, ok("1. sort\n2. sweep"));
    let asked = run.next_consult().unwrap();
    assert!(run.on_consult(asked.stage, failed("the model is gone")));
    let problem = Some("it gave no answer: the model is gone".to_owned());
    assert_eq!(decisions(&mut run), [Decision::Continue { problem }]);
    assert_eq!(starts(&mut run).len(), 2);
}

#[test]
fn only_a_coordinator_is_asked_and_only_in_a_hierarchy() {
    for kind in ["hierarchical", "pipeline", "mesh", "graph"] {
        let mut run = Run::new(stages(kind, &["name: p", "name: q, input: p"]), "go");
        starts(&mut run);
        run.on_item(0, 0, ok("p"));
        assert_eq!(run.next_consult(), None);
        assert_eq!(starts(&mut run).len(), 1);
    }
}

#[test]
fn events_tell_the_run_in_order_and_read_well_as_json() {
    let mut run = Run::new(stages("pipeline", &["name: s, parallel: true"]), "- x\n- y");
    starts(&mut run);
    run.on_item(0, 1, failed("late"));
    run.on_item(0, 0, ok("X"));

    let events: Vec<String> =
        events(&mut run).iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    assert_eq!(
        events,
        [
            r#"{"stage_started":{"stage":"s","agent":"a","items":2}}"#,
            r#"{"item_started":{"stage":"s","index":0}}"#,
            r#"{"item_started":{"stage":"s","index":1}}"#,
            r#"{"item_finished":{"stage":"s","index":1,"outcome":{"failed":{"code":"EXECUTION_ERROR","message":"late"}}}}"#,
            r#"{"item_finished":{"stage":"s","index":0,"outcome":{"answered":"X"}}}"#,
            r###"{"stage_finished":{"stage":"s","result":{"items":[{"input":"x","outcome":{"answered":"X"}},{"input":"y","outcome":{"failed":{"code":"EXECUTION_ERROR","message":"late"}}}]}}}"###,
            r###"{"run_finished":{"outcome":{"completed":{"result":"## item 1: x\n\nX\n\n## item 2: y\n\nfailed: late"}}}}"###,
        ]
    );
}

#[test]
fn a_stage_whose_items_all_fail_fails_the_run_under_its_name() {
    let mut run = Run::new(stages("pipeline", &["name: dig in, parallel: true", "name: after"]), "- x\n- y");
    starts(&mut run);
    run.on_item(0, 1, failed("second"));
    assert_eq!(run.outcome(), None);
    run.on_item(0, 0, failed("first"));

    let error = ItemError::new("EXECUTION_ERROR", "all 2 items failed, the first with: first");
    let outcome =
        Outcome::Failed { stage: "dig in".to_owned(), code: "STAGE_DIG_IN_FAILED".to_owned(), error };
    assert_eq!(run.outcome(), Some(&outcome));
    assert_eq!(starts(&mut run), []);
    assert_eq!(events(&mut run).last(), Some(&Event::RunFinished { outcome }));
}

#[test]
fn a_parallel_stage_after_a_parallel_one_gets_its_answers_one_by_one() {
    let plan = stages("pipeline", &["name: p, parallel: true", "name: q, input: p, parallel: true"]);
    let mut run = Run::new(plan, r#"["x", "y", "z"]"#);
    starts(&mut run);
    run.on_item(0, 0, ok("- not\n- split"));
    run.on_item(0, 1, failed("gone"));
    run.on_item(0, 2, ok("Z"));
    assert_eq!(starts(&mut run), [(1, 0, "- not\n- split".to_owned()), (1, 1, "Z".to_owned())]);
}

#[test]
fn the_one_answer_of_a_parallel_stage_is_split_again() {
    let plan = stages("pipeline", &["name: p, parallel: true", "name: q, input: p, parallel: true"]);
    let mut run = Run::new(plan, "think");
    starts(&mut run);
    run.on_item(0, 0, ok("- x\n- y"));
    assert_eq!(starts(&mut run), [(1, 0, "x".to_owned()), (1, 1, "y".to_owned())]);
}

#[test]
fn an_empty_list_leaves_a_stage_with_nothing_to_do() {
    let mut run = Run::new(stages("pipeline", &["name: p, parallel: true", "name: q, input: p"]), "[]");
    assert_eq!(starts(&mut run), [(1, 0, "(no items)".to_owned())]);
    run.on_item(1, 0, ok("nothing to say"));
    assert_eq!(run.outcome(), Some(&Outcome::Completed { result: "nothing to say".to_owned() }));
}

#[test]
fn an_endless_list_fails_its_stage() {
    let list = "- again\n".repeat(ITEMS_MAX + 1);
    let mut run = Run::new(stages("pipeline", &["name: p, parallel: true"]), list.as_str());
    assert_eq!(starts(&mut run), []);
    let Some(Outcome::Failed { code, error, .. }) = run.outcome() else { panic!("{:?}", run.outcome()) };
    assert_eq!((code.as_str(), error.code.as_str()), ("STAGE_P_FAILED", "TOO_MANY_ITEMS"));
}

#[test]
fn branches_of_a_graph_run_side_by_side_and_stages_of_a_pipeline_do_not() {
    let forked =
        ["name: root", "name: left, input: root", "name: right, input: root", "name: end, input: left"];
    for (kind, after_root, after_left) in [
        ("graph", vec![1, 2], vec![3]),
        ("mesh", vec![1, 2], vec![3]),
        ("pipeline", vec![1], vec![2]),
        ("hierarchical", vec![1], vec![2]),
    ] {
        let mut run = Run::new(stages(kind, &forked), "go");
        let started = |run: &mut Run| starts(run).into_iter().map(|(stage, ..)| stage).collect::<Vec<_>>();
        assert_eq!(started(&mut run), [0], "{kind}");
        run.on_item(0, 0, ok("r"));
        assert_eq!(started(&mut run), after_root, "{kind}");
        run.on_item(1, 0, ok("l"));
        assert_eq!(started(&mut run), after_left, "{kind}");
    }
}

#[test]
fn a_late_double_or_foreign_answer_changes_nothing() {
    let mut run = Run::new(stages("pipeline", &["name: p, parallel: true, max_concurrent: 1"]), "- x\n- y");
    assert!(!run.on_item(0, 0, ok("before its start")));
    starts(&mut run);
    assert!(!run.on_item(0, 1, ok("not started")));
    assert!(!run.on_item(0, 9, ok("no such item")));
    assert!(!run.on_item(9, 0, ok("no such stage")));
    assert!(run.on_item(0, 0, ok("X")));
    assert!(!run.on_item(0, 0, ok("again")));
    starts(&mut run);
    assert!(run.on_item(0, 1, ok("Y")));
    assert!(!run.on_item(0, 1, ok("again")));
    assert_eq!(run.result(0).unwrap().answers().collect::<Vec<_>>(), ["X", "Y"]);
}

#[test]
fn a_cancelled_run_starts_nothing_and_names_what_to_stop() {
    let mut run = Run::new(stages("graph", &["name: p, parallel: true", "name: q"]), "- x\n- y");
    assert_eq!(starts(&mut run).len(), 3);
    run.on_item(0, 0, ok("X"));
    run.cancel("changed my mind");
    run.cancel("and again");

    assert_eq!(run.in_flight(), [(0, 1), (1, 0)]);
    assert!(!run.on_item(1, 0, ok("late")));
    assert_eq!(starts(&mut run), []);
    assert_eq!(run.outcome(), Some(&Outcome::Cancelled { reason: "changed my mind".to_owned() }));
    let ends = events(&mut run).into_iter().filter(|event| matches!(event, Event::RunFinished { .. }));
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_long_item_is_cut_in_its_heading() {
    let item = |input: &str| ItemResult { input: input.to_owned(), outcome: ok("done").into() };
    let result = StageResult { items: vec![item(&"é".repeat(100)), item("\n first \nsecond")] };
    let expected = format!("## item 1: {}…\n\ndone\n\n## item 2: first\n\ndone", "é".repeat(80));
    assert_eq!(result.text(), expected);
}

/// Stages with random inputs, of which some split, some at a low limit.
fn any_plan() -> impl Strategy<Value = Plan> {
    let kind = prop::sample::select(vec!["hierarchical", "mesh", "pipeline", "graph"]);
    let stage = (any::<prop::sample::Index>(), any::<bool>(), 1..4_u32);
    (kind, prop::collection::vec(stage, 1..7)).prop_map(|(kind, drawn)| {
        let lines: Vec<String> = drawn
            .iter()
            .enumerate()
            .map(|(nth, (input, parallel, most))| {
                // Index 0 is the task, and n is the stage before n.
                let input = match input.index(nth + 1) {
                    0 => String::new(),
                    giver => format!(", input: s{}", giver - 1),
                };
                let limit = if *parallel {
                    format!(", parallel: true, max_concurrent: {most}")
                } else {
                    String::new()
                };
                format!("name: s{nth}{input}{limit}")
            })
            .collect();
        stages(kind, &lines.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

proptest! {
    /// Whatever the order of the answers: never more at once than allowed, every item exactly once, results in the
    /// order of the input, and an end.
    #[test]
    fn a_run_keeps_its_promises_in_any_order(
        plan in any_plan(),
        task_items in 1..8_usize,
        choices in prop::collection::vec((any::<prop::sample::Index>(), 0..10_u8, 1..4_usize), 400),
    ) {
        let task: String = (0..task_items).map(|nth| format!("- task {nth}\n")).collect();
        let mut run = Run::new(plan, task);
        let mut open: Vec<Item> = Vec::new();
        let mut started = std::collections::HashSet::new();
        let mut answers = std::collections::HashMap::new();
        let mut choices = choices.into_iter().cycle();

        while run.outcome().is_none() {
            while let Some(item) = run.next_item() {
                prop_assert!(started.insert((item.stage, item.index)), "{item:?} was started twice");
                open.push(item);
                let stage = &run.plan().stages[open.last().unwrap().stage];
                let at_once = open.iter().filter(|item| run.plan().stages[item.stage].name == stage.name).count();
                prop_assert!(at_once <= stage.max_concurrent as usize);
            }
            let mut in_flight: Vec<_> = open.iter().map(|item| (item.stage, item.index)).collect();
            in_flight.sort_unstable();
            prop_assert_eq!(run.in_flight(), in_flight);
            prop_assert!(!open.is_empty(), "the run is stuck");

            let (which, fate, lines) = choices.next().unwrap();
            let item = open.swap_remove(which.index(open.len()));
            let text: String = (0..lines).map(|n| format!("- {} {} {n}\n", item.stage, item.index)).collect();
            let answer = if fate == 0 { failed("drawn") } else { Ok(text.clone()) };
            answers.insert((item.stage, item.index), (item.input.to_string(), ItemOutcome::from(answer.clone())));
            prop_assert!(run.on_item(item.stage, item.index, answer));
        }

        for nth in 0..run.plan().stages.len() {
            let Some(result) = run.result(nth) else { continue };
            for (index, item) in result.items.iter().enumerate() {
                let (input, outcome) = answers.remove(&(nth, index)).expect("every item was answered");
                prop_assert_eq!((&item.input, &item.outcome), (&input, &outcome));
            }
        }
        let is_complete = matches!(run.outcome(), Some(Outcome::Completed { .. }));
        prop_assert!(!is_complete || answers.is_empty(), "answers without a place: {answers:?}");
        let events = events(&mut run);
        let is_end = |event: &Event| matches!(event, Event::RunFinished { .. });
        prop_assert!(events.iter().position(is_end) == Some(events.len() - 1));
        prop_assert!(events.len() <= 2 * started.len() + 2 * run.plan().stages.len() + 1);
    }
}
