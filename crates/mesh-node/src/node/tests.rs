use std::path::Path;

use super::*;
use crate::config::AgentSettings;

fn agent(kind: &str, labels: &[(&str, &str)]) -> AgentSettings {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    AgentSettings { kind: kind.to_owned(), name: "a".to_owned(), args: serde_json::json!({}), labels }
}

#[tokio::test]
async fn an_agent_of_an_unknown_kind_is_a_mistake_in_the_settings_with_the_kinds_there_are() {
    let agents =
        vec![agent("agnet", &[]), agent("agent", &[]), agent("other", &[("gpu", "true")]), agent("x", &[])];
    let state = std::path::PathBuf::from("/nonexistent/never-made");
    let node = Node::new(NodeSettings { agents, state, ..NodeSettings::default() })
        .register::<mesh_agents::Agent>("zebra")
        .register::<mesh_agents::Agent>("agent");
    let node = Node { file: Some("node.toml".to_owned()), ..node };
    let error = node.run().await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    insta::assert_snapshot!(error, @r#"
    2 settings cannot be used
      node.toml: agents[0].kind: this node has no kind "agnet"; there are: agent, zebra
      node.toml: agents[3].kind: this node has no kind "x"; there are: agent, zebra
    "#);
}

#[test]
fn the_command_to_join_with_can_be_pasted() {
    let join = |state: &str| join_command("127.0.0.1:7946", Path::new(state));
    assert_eq!(join(".mesh"), "mesh-node --join 127.0.0.1:7946");
    assert_eq!(join("/tmp/a-b"), "mesh-node --join 127.0.0.1:7946 --state /tmp/a-b");
    assert_eq!(join("/tmp/it's here"), r"mesh-node --join 127.0.0.1:7946 --state '/tmp/it'\''s here'");
    let relative = join("other");
    assert!(relative.contains(" --state /") && relative.ends_with("/other"), "{relative}");
}
