//! `meshctl tools`, and the tools of a node that its settings name.

use std::fs;
use std::time::Duration;

use integration_tests::{Lab, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn the_tools_of_a_node_are_listed_and_called_through_another() {
    let lab = Lab::new();
    let (folder, config) = (lab.path("workspace"), lab.path("tools.toml"));
    fs::create_dir_all(&folder).expect("the lab's folder takes one more");
    let settings = format!(
        "[tools]\noffer = [\"read_file\", \"write_file\", \"list_files\"]\nfolder = {:?}\n",
        folder.display().to_string()
    );
    fs::write(&config, settings).expect("the lab's folder takes a file");
    let alpha = lab.start_with("alpha", &["--config", &config.display().to_string()]);
    let beta = lab.join("beta", &alpha);
    let ctl = lab.ctl(&beta);

    let tools = eventually("three tools", SOON, || {
        let tools = ctl.try_json(&["tools", "list"])?;
        if tools.as_array().is_some_and(|tools| tools.len() == 3) {
            Ok(tools)
        } else {
            Err(tools.to_string())
        }
    });
    assert_eq!(tools[0]["name"], "list_files");
    assert_eq!((&tools[2]["node"], &tools[2]["path"]), (&json!("alpha"), &json!("alpha/tools/write_file")));
    assert_eq!(tools[1]["schema"]["properties"]["path"]["type"], "string");
    assert_eq!(
        (&tools[2]["policy"], &tools[2]["annotations"]["destructive"]),
        (&json!("idempotent"), &json!(true))
    );

    let args = r#"{"path": "a.txt", "content": "from beta"}"#;
    assert_eq!(ctl.json(&["tools", "call", "write_file", args]), json!({"bytes": 9}));
    assert_eq!(fs::read_to_string(folder.join("a.txt")).expect("it was written"), "from beta");
    let read = ctl.json(&["tools", "call", "read_file", r#"{"path": "a.txt"}"#]);
    assert_eq!(read["text"], "from beta");

    let code = |args: &[&str]| -> Value { ctl.refused(args)["code"].clone() };
    assert_eq!(code(&["tools", "call", "read_file", r#"{"path": "../tools.toml"}"#]), "BAD_PATH");
    assert_eq!(code(&["tools", "call", "read_file", r#"{"file": "a.txt"}"#]), "BAD_ARGUMENTS");
    assert_eq!(code(&["tools", "call", "fly", "{}"]), "UNKNOWN_TOOL");
}

#[test]
fn a_node_offers_no_tool_unless_it_is_told_to() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    assert_eq!(lab.ctl(&alpha).json(&["tools", "list"]), json!([]));
}
