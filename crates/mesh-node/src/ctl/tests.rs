use std::path::Path;

use super::*;

struct Seen {
    stdout: String,
    result: Result<(), CtlError>,
}

fn meshctl(line: &[&str]) -> Seen {
    let args = CtlArgs::try_parse_from(["meshctl"].iter().chain(line)).unwrap();
    let mut stdout = Vec::new();
    let output = Output { is_json: args.json, paint: Paint(false), is_terminal: false, to: &mut stdout };
    let result = run(&args, output);
    Seen { stdout: String::from_utf8(stdout).unwrap(), result }
}

fn usage_error(line: &[&str]) -> String {
    let error = CtlArgs::try_parse_from(["meshctl"].iter().chain(line)).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line:?}");
    error.to_string()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const GOOD: &str = "version: \"1.0\"\nagents:\n  a: {system_prompt: \"x\"}\nworkflow:\n  type: pipeline\n  stages:\n    - {name: one, agent: a}\n";

#[test]
fn help_is_what_scripts_and_people_rely_on() {
    let mut all = String::new();
    let mut command = CtlArgs::command().term_width(100);
    command.build();
    describe(&mut command, &mut all);
    insta::assert_snapshot!(all);
}

fn describe(command: &mut clap::Command, all: &mut String) {
    *all += &format!(
        "$ {} --help\n{}\n",
        command.get_bin_name().unwrap_or("meshctl").to_owned(),
        command.render_help()
    );
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        describe(sub, all);
    }
}

#[test]
fn what_is_not_served_is_not_a_command() {
    for command in ["top", "approvals", "dead-letters", "frobnicate"] {
        assert!(usage_error(&[command]).contains("unrecognized subcommand"), "{command}");
    }
}

#[test]
fn a_message_that_a_shell_has_mangled_is_a_usage_error_with_its_place() {
    assert!(usage_error(&["ask", "beta/echo", "lab.echo.v1", "{text:hi}"]).contains("column 2"));
    assert!(usage_error(&["tell", "beta/echo", "lab.echo.v1", "{"]).contains("not JSON"));
    assert!(usage_error(&["ask", "beta//echo", "lab.echo.v1", "{}"]).contains("path"));
    assert!(usage_error(&["ask", "beta/echo", "lab.echo.v1", "{}", "--timeout", "5"]).contains("duration"));
    for timeout in ["0", "0s", "0ms"] {
        let said = usage_error(&["ask", "beta/echo", "lab.echo.v1", "{}", "--timeout", timeout]);
        assert!(said.contains("leaves no time"), "{said}");
    }
    assert!(usage_error(&["--node", "nowhere", "nodes"]).contains("HOST:PORT"));
    assert!(usage_error(&["ask", "beta/echo"]).contains("KIND"));
}

#[test]
fn global_options_stand_anywhere() {
    let before = CtlArgs::try_parse_from(["meshctl", "--json", "--node", "a:1", "ps", "beta"]).unwrap();
    let after = CtlArgs::try_parse_from(["meshctl", "ps", "beta", "--node", "a:1", "--json"]).unwrap();
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
}

#[test]
fn a_message_may_begin_with_a_dash() {
    let args =
        CtlArgs::try_parse_from(["meshctl", "tell", "beta/slow", "lab.work.v1", "-", "--timeout", "60s"])
            .unwrap();
    assert!(matches!(args.command, Command::Tell(args) if args.body == "-"));
}

#[test]
fn without_an_identity_no_node_is_reachable() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("none");
    let seen = meshctl(&["--state", state.to_str().unwrap(), "nodes"]);
    assert!(
        matches!(&seen.result, Err(CtlError::NoNode(reason)) if reason.contains("start a node")),
        "{:?}",
        seen.result
    );
}

#[test]
fn an_identity_that_is_no_folder_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nobody");
    let seen = meshctl(&["--identity", missing.to_str().unwrap(), "nodes"]);
    assert!(
        matches!(&seen.result, Err(CtlError::Usage(reason)) if reason.contains("nobody is no folder")),
        "{:?}",
        seen.result
    );
}

#[test]
fn a_workflow_is_checked_without_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "good.yaml", GOOD);
    let seen = meshctl(&["workflow", "check", &file]);
    assert!(seen.result.is_ok(), "{:?}", seen.result);
    assert!(seen.stdout.contains("pipeline workflow: 1 stage, 1 agent"), "{}", seen.stdout);
    let seen = meshctl(&["--json", "workflow", "check", &file]);
    assert_eq!(seen.stdout, "{\"problems\":[]}\n");
}

#[test]
fn a_broken_workflow_is_refused_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "broken.yaml", &GOOD.replace("agent: a}", "agent: b, input: nothing}"));
    let Err(error) = meshctl(&["workflow", "check", &file]).result else { panic!("it was accepted") };
    assert_eq!(error.exit_code(), ExitCode::from(2));
    let text = error.report(false, Paint(false), Default::default()).unwrap();
    assert!(text.contains("broken.yaml:7:"), "{text}");
    let document: serde_json::Value =
        serde_json::from_str(&error.report(true, Paint(false), Default::default()).unwrap()).unwrap();
    assert_eq!(document["code"], "BAD_WORKFLOW");
    assert_eq!(document["details"]["problems"].as_array().unwrap().len(), 2, "{document}");
}

#[test]
fn a_workflow_that_cannot_be_read_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.yaml");
    let seen = meshctl(&["workflow", "check", missing.to_str().unwrap()]);
    assert!(
        matches!(&seen.result, Err(CtlError::Usage(reason)) if reason.contains("missing.yaml")),
        "{:?}",
        seen.result
    );
}

#[test]
fn the_schema_and_completions_are_printed() {
    assert!(meshctl(&["workflow", "schema"]).stdout.contains("\"$schema\""));
    assert!(meshctl(&["completions", "bash"]).stdout.contains("complete -F _meshctl"));
}
