//! Workflow files as people write them, and what they are told about them.
//!
//! Each broken file is in `tests/workflows`, what is printed for it in `tests/snapshots`.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_agents::workflow::{FILE_BYTES_MAX, Input, Loaded, Quote, Report, Strictness, load, schema};
use proptest::prelude::*;

fn text(name: &str) -> String {
    let path = format!("{}/tests/workflows/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read(name: &str, strictness: Strictness) -> Result<Loaded, Report> {
    load(&format!("{name}.yaml"), &text(name), strictness)
}

/// The report on a file that can't run.
fn refused(name: &str) -> String {
    match read(name, Strictness::Lenient) {
        Ok(loaded) => panic!("{name} was accepted: {loaded:?}"),
        Err(report) => report.to_string(),
    }
}

fn accepted(name: &str) -> Loaded {
    read(name, Strictness::Lenient).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn a_misspelt_input_is_shown_with_the_result_that_was_meant() {
    insta::assert_snapshot!(refused("misspelt_input"));
}

#[test]
fn an_input_from_nowhere_from_below_or_from_itself_is_told_apart() {
    insta::assert_snapshot!(refused("unresolved_inputs"));
}

#[test]
fn an_unknown_agent_is_shown_with_the_known_ones() {
    insta::assert_snapshot!(refused("unknown_names"));
}

#[test]
fn an_unknown_version_type_or_interval_lists_what_is_known() {
    insta::assert_snapshot!(refused("unknown_choices"));
}

#[test]
fn names_that_are_given_twice_point_at_the_first() {
    insta::assert_snapshot!(refused("duplicates"));
}

#[test]
fn values_of_the_wrong_kind_are_all_reported_at_once() {
    insta::assert_snapshot!(refused("wrong_kinds"));
}

#[test]
fn missing_keys_are_reported_where_they_belong() {
    insta::assert_snapshot!(refused("missing_parts"));
}

#[test]
fn a_workflow_without_stages_is_refused() {
    insta::assert_snapshot!(refused("no_stages"));
}

#[test]
fn an_unclosed_quote_is_shown_like_any_other_problem() {
    insta::assert_snapshot!(refused("unclosed_quote"));
}

#[test]
fn a_wrong_indent_is_shown_like_any_other_problem() {
    insta::assert_snapshot!(refused("bad_indent"));
}

#[test]
fn an_empty_file_is_told_what_belongs_in_it() {
    insta::assert_snapshot!(refused("empty"));
}

#[test]
fn unknown_keys_are_warned_of_and_refused_when_strict() {
    insta::assert_snapshot!("unknown_keys_lenient", accepted("unknown_keys").warnings);
    let report = read("unknown_keys", Strictness::Strict).unwrap_err();
    insta::assert_snapshot!("unknown_keys_strict", report);
}

#[test]
fn parts_without_effect_are_warned_of() {
    insta::assert_snapshot!(accepted("useless_parts").warnings);
}

#[test]
fn the_seeds_file_runs_unchanged() {
    let loaded = read("claude-flow", Strictness::Strict).unwrap_or_else(|report| panic!("{report}"));
    let plan = loaded.plan;

    let inputs: Vec<Input> = plan.stages.iter().map(|stage| stage.input).collect();
    assert_eq!(inputs, [Input::Task, Input::Stage(0), Input::Stage(1)]);
    let at_once: Vec<_> = plan.stages.iter().map(|stage| (stage.parallel, stage.max_concurrent)).collect();
    assert_eq!(at_once, [(false, 1), (true, 3), (false, 1)]);
    assert_eq!(plan.coordinator.as_ref().unwrap().name, "planner");
    assert_eq!(plan.checkpoints.as_ref().unwrap().namespace, "checkpoints");
    insta::assert_snapshot!("the_seeds_file_described", plan.describe());
    insta::assert_snapshot!("the_seeds_file_warnings", loaded.warnings);
}

#[test]
fn every_key_reaches_the_plan() {
    let Loaded { plan, warnings, .. } = accepted("every_key");
    assert!(warnings.is_empty(), "{warnings}");
    insta::assert_snapshot!("every_key_described", plan.describe());

    let [planner, executor, _quoter] = plan.agents.as_slice() else { panic!("{:?}", plan.agents) };
    assert_eq!((planner.role.as_deref(), executor.role.as_deref()), (Some("Planner"), Some("Executor")));
    assert_eq!(executor.model.as_deref(), Some("small"), "merged from the anchor");
    assert_eq!(planner.system_prompt.as_deref(), Some("Break the task down.\n"));
    assert_eq!((planner.max_tokens, planner.temperature), (Some(300), Some(0.0)));
    assert_eq!(planner.output_schema.as_ref().unwrap()["properties"]["steps"]["type"], "array");

    let left = &plan.stages[1];
    assert_eq!((left.input, left.input_name.as_deref()), (Input::Stage(0), Some("plan")));
    assert_eq!((left.parallel, left.max_concurrent, left.timeout), (true, 5, Duration::from_secs(90)));
    let labels: Vec<(&str, &str)> = left.place.iter().map(|(label, value)| (&**label, &**value)).collect();
    assert_eq!(labels, [("gpu", "true"), ("zone", "north")]);
    let quotes: Vec<Option<Quote>> = plan.stages.iter().map(|stage| stage.quote).collect();
    assert_eq!(quotes, [None, None, None, Some(Quote::Input), None]);
    assert_eq!(plan.checkpoints, None, "they are not enabled");
}

#[test]
fn the_schema_knows_every_key_that_the_file_may_have() {
    insta::assert_json_snapshot!(schema());
}

#[test]
fn a_file_over_the_limit_is_refused_unread() {
    let report = load("big.yaml", &" ".repeat(FILE_BYTES_MAX + 1), Strictness::Lenient).unwrap_err();
    assert!(report.to_string().starts_with("error: the file has 1048577 bytes; at most 1048576 are read\n"));
}

#[test]
fn an_anchor_that_multiplies_itself_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let one = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [one.as_str(); 9].join(", "));
    }
    let report = load("bomb.yaml", &bomb, Strictness::Lenient).unwrap_err();
    assert_eq!(report.diagnostics().len(), 1, "{report}");
    assert!(report.diagnostics()[0].message.starts_with("can't read the YAML: "), "{report}");
}

#[test]
fn the_problems_are_also_data() {
    let report = read("misspelt_input", Strictness::Lenient).unwrap_err();
    let json = serde_json::to_value(report.diagnostics()).unwrap();
    let expected = serde_json::json!([{
        "severity": "error",
        "message": "stage \"review\" takes `execution_result`, which nothing produces",
        "line": 21,
        "column": 14,
        "len": 18,
        "label": "did you mean `execution_results` (stage \"execution\")?",
        "help": null
    }]);
    assert_eq!(json, expected);
}

#[test]
fn every_file_of_the_folder_is_used_here() {
    let folder = format!("{}/tests/workflows", env!("CARGO_MANIFEST_DIR"));
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let source = include_str!("workflow_files.rs");
    let unused: BTreeSet<String> =
        names.filter(|name| !source.contains(&format!("(\"{}\"", name.trim_end_matches(".yaml")))).collect();
    assert_eq!(unused, BTreeSet::new());
}

proptest! {
    /// Whatever is cut out of a file, it is accepted or there is a report that can be printed.
    #[test]
    fn a_mutilated_file_is_accepted_or_reported(
        from in any::<prop::sample::Index>(),
        len in 0..80_usize,
        instead in "[ \\-:\\[\\]{}&*!|>'\"#%@`a\\n\\té0]{0,6}",
    ) {
        let mut chars: Vec<char> = text("every_key").chars().collect();
        let from = from.index(chars.len());
        let to = (from + len).min(chars.len());
        chars.splice(from..to, instead.chars());
        let text: String = chars.into_iter().collect();
        match load("cut.yaml", &text, Strictness::Lenient) {
            Ok(loaded) => prop_assert!(!loaded.plan.stages.is_empty() && !loaded.warnings.has_errors()),
            Err(report) => prop_assert!(report.has_errors() && report.to_string().starts_with(['e', 'w'])),
        }
    }
}
