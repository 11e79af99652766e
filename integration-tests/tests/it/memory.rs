//! `meshctl memory`, and what is left of it when its node was killed.

use integration_tests::Lab;
use serde_json::json;

#[test]
fn what_is_remembered_on_one_node_is_recalled_from_another_and_after_a_kill() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let beta = lab.join("beta", &alpha);
    let ctl = lab.ctl(&alpha);
    let ferry = "The ferry to Lund leaves at four.";
    let add = |text: &str, metadata: &str| {
        ctl.json(&[
            "memory",
            "add",
            "acme/planner",
            text,
            "--metadata",
            metadata,
            "--importance",
            "0.9",
            "--on",
            "beta",
        ])
    };
    let added = add(ferry, r#"{"topic": "travel"}"#);
    assert_eq!((&added["is_new"], &added["is_kept"]), (&json!(true), &json!(true)), "{added}");
    assert_eq!(add(ferry, r#"{"asked": 2}"#)["id"], added["id"], "it is remembered once");
    add("The lamps are lit at six.", "{}");

    let recall =
        |at: &str| ctl.json(&["memory", "recall", "acme/planner", "When does the ferry leave?", "--on", at]);
    let found = recall("beta");
    assert_eq!(found["memories"][0]["memory"]["content"], ferry, "{found}");
    let search = ctl.json(&["memory", "search", "acme/planner", r#"{"topic": "travel"}"#, "--on", "beta"]);
    let metadata = search["memories"][0]["metadata"].as_str().unwrap_or_default();
    assert_eq!(metadata, r#"{"asked":2,"topic":"travel"}"#);
    assert_eq!(recall("alpha")["memories"], json!([]), "each node has a store of its own");
    let table = ctl.text(&["memory", "recall", "acme/planner", "ferry", "--on", "beta"]);
    assert!(table.contains("SCORE") && table.contains(ferry), "{table}");

    beta.kill9();
    let beta = lab.join("beta", &alpha);
    let ctl = lab.ctl(&beta);
    let list = ctl.json(&["memory", "list", "acme/planner"]);
    assert_eq!((&list["total"], &list["memories"][0]["content"]), (&json!(2), &json!(ferry)), "{list}");
    let id = added["id"].as_str().unwrap_or_default();
    assert_eq!(ctl.json(&["memory", "forget", "acme/planner", id])["was_there"], json!(true));
    assert_eq!(ctl.json(&["memory", "list", "acme/planner"])["total"], json!(1));
    assert_eq!(ctl.refused(&["memory", "add", "acme/../x", "text"])["code"], "BAD_PATH");
}
