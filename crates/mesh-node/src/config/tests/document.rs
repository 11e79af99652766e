//! config/node.toml is what the fields' documentation says, and nothing else.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::super::key::{Key, Shape, keys};
use super::*;

const HEAD: &str = "\
# The settings of a node, each with its default: mesh-node --config config/node.toml
#
# A key that is commented out has no fixed default and shows an example. Durations are written \"250ms\", \"10s\" or
# \"2min\", sizes \"64KiB\" or \"4MiB\". Every key is also an environment variable (MESH_LISTEN,
# MESH_TRANSPORT_PROFILE; lists and labels are separated by commas there). The first of these that gives a key counts:
# command line, environment, this file, default.
";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/node.toml")
}

fn rendered() -> String {
    let mut text = HEAD.to_owned();
    let declared = serde_json::to_string(&NodeSettings::default()).unwrap();
    let mut keys = keys();
    // The schema's keys are sorted by name, the struct's by what matters first.
    keys.sort_by_key(|key| declared.find(&format!("\"{}\":", key.path.last().unwrap())));
    for key in keys {
        text.push('\n');
        text.push_str(&comment(&key.schema));
        text.push_str(&lines_of(&key));
    }
    text
}

fn lines_of(key: &Key) -> String {
    let name = key.path.last().unwrap();
    let default = &key.schema["default"];
    match key.shape {
        Shape::Section => format!("[{name}]\n"),
        Shape::Tables => format!("# [[{}]]\n{}", key.path.join("."), table_lines(key)),
        _ if default.is_null() => format!("# {name} = {}\n", key.schema["examples"][0]),
        Shape::Map => format!("{name} = {{}}\n"),
        _ => format!("{name} = {default}\n"),
    }
}

fn table_lines(key: &Key) -> String {
    let agent = [("kind", "\"summarizer\""), ("name", "\"summarizer-1\""), ("args", "{}"), ("labels", "{}")];
    let policy = [
        ("patterns", "[\"pay*\", \"refund*\"]"),
        ("level", "\"review\""),
        ("patience", "\"1h\""),
        ("needed", "2"),
        ("approvers", "[\"ann\", \"bob\", \"cy\"]"),
    ];
    let assistant = [
        ("name", "\"clerk\""),
        ("role", "\"keeper of the notes\""),
        ("system_prompt", "\"Answer briefly.\""),
        ("model", "\"claude-sonnet-4-5\""),
        ("tools", "[\"read_file\", \"write_file\"]"),
        ("memory", "\"acme/clerk\""),
        ("output_schema", "'{\"type\": \"object\"}'"),
        ("turns_max", "20"),
        ("tokens_max", "200000"),
        ("money_max", "\"0.50\""),
        ("prices", "\"prices.json\""),
        ("context_tokens", "50000"),
        ("max_tokens", "2000"),
        ("call_timeout", "\"1h\""),
        ("labels", "{}"),
    ];
    let mcp = [
        ("name", "\"files\""),
        ("command", "[\"npx\", \"-y\", \"@modelcontextprotocol/server-filesystem\", \"/srv/files\"]"),
        ("env", "[\"PATH\", \"HOME\"]"),
        ("folder", "\".\""),
        ("url", "\"https://mcp.example/mcp\""),
        ("headers", "{ Authorization = \"env:MCP_AUTHORIZATION\" }"),
        ("timeout", "\"30s\""),
        ("connect_timeout", "\"30s\""),
        ("trust_hints", "false"),
    ];
    let (schema, fields) = match key.path.join(".").as_str() {
        "agents" => (schemars::schema_for!(AgentSettings).to_value(), &agent[..]),
        "assistants" => (schemars::schema_for!(AssistantSettings).to_value(), &assistant[..]),
        "approvals.policy" => (schemars::schema_for!(PolicySettings).to_value(), &policy[..]),
        "mcp" => (schemars::schema_for!(McpSettings).to_value(), &mcp[..]),
        other => panic!("{other} has no example"),
    };
    assert_eq!(schema["properties"].as_object().unwrap().len(), fields.len());
    let line = |(name, example): &(&str, &str)| {
        let comment = comment(&schema["properties"][*name]).replace("# ", "#   ");
        format!("{comment}# {name} = {example}\n")
    };
    fields.iter().map(line).collect()
}

fn comment(schema: &Value) -> String {
    let text = schema["description"].as_str().expect("every key is documented");
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.len() + 1 + word.len() > 110 {
            lines.push(format!("# {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// After a change of the settings: `INSTA_UPDATE=always cargo test -p mesh-node` writes the file anew.
#[test]
fn the_documented_file_is_the_fields_documentation() {
    if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
        crate::state::replace(&path(), rendered().as_bytes(), 0o644).unwrap();
    }
    assert_eq!(fs::read_to_string(path()).unwrap(), rendered());
}

#[test]
fn the_documented_file_says_the_defaults() {
    let settings = of_file(&fs::read_to_string(path()).unwrap()).unwrap();
    assert_eq!(settings, NodeSettings::default());
}

#[test]
fn the_examples_in_the_documented_file_are_settings_too() {
    let text = fs::read_to_string(path()).unwrap();
    let uncommented = text.lines().map(|line| match line.strip_prefix("# ") {
        // An MCP server has a command or a URL.
        Some(rest) if rest.starts_with("url = ") || rest.starts_with("headers = ") => line,
        Some(rest) if rest.starts_with("[[") || is_assignment(rest) => rest,
        _ => line,
    });
    let settings = of_file(&uncommented.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(settings.name.as_deref(), Some("alpha"));
    assert_eq!(settings.agents.len(), 1);
    assert_eq!(settings.assistants[0].tools, ["read_file", "write_file"]);
    assert_eq!(settings.mcp[0].command.len(), 4);
    assert_eq!(settings.approvals.policy[0].needed, 2);
    // The examples of the transport are the defaults of its default profile.
    assert_eq!(settings.transport.config(), mesh_net::TransportConfig::lan());
    let breakers = settings.breakers.config();
    assert_eq!((breakers.failure_ratio, breakers.minimum_calls), (Some(0.5), Some(5)));
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ")
        .is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}
