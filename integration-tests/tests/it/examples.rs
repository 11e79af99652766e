//! The examples do what their first lines say.

use std::process::Command;

use integration_tests::{Lab, example, workspace};
use serde_json::json;

/// Runs an example in the project's folder to its end, and gives what it printed.
fn output(name: &str, args: &[&str]) -> String {
    let mut command = Command::new(example(name));
    // An example that thinks does so with its recording.
    for name in ["MESH_MODEL_URL", "MESH_MODEL", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"] {
        command.env_remove(name);
    }
    let output = command.args(args).current_dir(workspace()).output().expect("it can be started");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("an example prints text")
}

#[test]
fn code_analysis_measures_a_folder() {
    let expected = "        1 files
       34 lines of code, 8 of comment, 6 blank
        3 functions

    lines of the longest functions
       15 parse (orders.rs:34)
        8 Order::total (orders.rs:15)
        3 Order::is_free (orders.rs:26)

 ways through the most complex functions
        7 parse (orders.rs:34)
        4 Order::total (orders.rs:15)
        1 Order::is_free (orders.rs:26)

";
    assert_eq!(output("code_analysis", &["examples/fixtures"]), expected);
}

#[test]
fn an_agent_on_a_folder_is_killed_while_it_waits_for_a_person_and_does_the_rest() {
    let expected = r#"the agent works, until it wants to write:
  write_file {"content":"monday.txt: pump loud, new bearing ordered\ntuesday.txt: bearing changed, pump quiet\n","path":"summary.txt"}
its process is killed, and started again; the question is still there:
  write_file is approved
what it did:
  turn list_files {"path":"."}
  tools list_files done
  turn read_file {"path":"monday.txt"}, read_file {"path":"tuesday.txt"}
  tools read_file done, read_file done
  turn write_file {"content":"monday.txt: pump loud, new bearing ordered\ntuesday.txt: bearing changed, pump quiet\n","path":"summary.txt"}
  tools write_file done
  turn summary.txt has a line for each of the two files.
  completed, after it was taken up 2 times
summary.txt:
monday.txt: pump loud, new bearing ordered
tuesday.txt: bearing changed, pump quiet
"#;
    assert_eq!(output("file_agent", &[]), expected);
}

#[test]
fn a_swarm_counts_the_words_of_documents() {
    let expected = "2 documents\n     4 tides\n     2 harbour\n     1 follow\n     1 knows\n     1 nobody\n";
    assert_eq!(output("swarm", &["examples/fixtures/library"]), expected);
}

#[test]
fn an_agent_in_a_binary_of_its_own_is_spawned_and_asked_from_any_node() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let own = example("own_agent");
    let beta = lab.join_own(&own, "beta", &alpha);
    let _gamma = lab.join_own(&own, "gamma", &beta);
    for (node, greeting) in [("beta", "Good day"), ("gamma", "Hullo")] {
        let args = json!({ "greeting": greeting }).to_string();
        let spawned = lab.ctl(&alpha).json(&["actor", "spawn", node, "greeter", "polite", "--args", &args]);
        assert_eq!(spawned, json!({ "path": format!("{node}/polite") }));
        let path = format!("{node}/polite");
        let reply = lab.ctl(&alpha).json(&["ask", &path, "greeter.greet.v1", r#"{"name":"Ada"}"#]);
        assert_eq!(reply, json!(format!("{greeting}, Ada!")));
    }
    let refused = lab.ctl(&beta).refused(&["actor", "spawn", "alpha", "greeter", "polite", "--args", "{}"]);
    assert_eq!(refused["code"], "UNKNOWN_KIND", "alpha does not register it: {refused}");
}
