use clap::Parser;

use super::*;
use crate::NodeArgs;

mod document;

fn flags(line: &str) -> Layer {
    NodeArgs::try_parse_from(["mesh-node"].into_iter().chain(line.split_whitespace())).unwrap().layer()
}

fn no_environment(_: &str) -> Option<String> {
    None
}

fn environment<'a>(pairs: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |wanted| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
}

fn of_file(text: &str) -> Result<NodeSettings, Problems> {
    read(Some(("node.toml", text)), no_environment, Layer::default())
}

#[test]
fn nothing_given_means_the_defaults() {
    let settings = read(None, no_environment, Layer::default()).unwrap();
    assert_eq!(settings, NodeSettings::default());
    assert_eq!(settings.validate(), []);
}

#[test]
fn the_command_line_overrules_the_environment_and_that_the_file() {
    let file = "name = \"from-file\"\nlisten = \"127.0.0.1:1\"\njoin_timeout = \"1s\"\n[labels]\ngpu = \"no\"\nzone = \"a\"";
    let variables =
        [("MESH_NAME", "from-env"), ("MESH_LISTEN", "127.0.0.1:2"), ("MESH_LABELS", "gpu=yes, disk=ssd")];
    let settings =
        read(Some(("node.toml", file)), environment(&variables), flags("--name from-flag --label gpu=two"))
            .unwrap();
    assert_eq!(settings.name.as_deref(), Some("from-flag"));
    assert_eq!(settings.listen, Some("127.0.0.1:2".parse().unwrap()));
    assert_eq!(settings.join_timeout, Duration::from_secs(1));
    let labels = [("disk", "ssd"), ("gpu", "two"), ("zone", "a")];
    assert_eq!(settings.labels, labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[test]
fn a_mistake_that_is_overruled_does_not_matter() {
    let settings =
        read(Some(("node.toml", "listen = \"nowhere\"")), no_environment, flags("--listen 127.0.0.1:0"));
    assert_eq!(settings.unwrap().listen, Some("127.0.0.1:0".parse().unwrap()));
}

#[test]
fn the_environment_sets_every_kind_of_key() {
    let variables = [
        ("MESH_JOIN", "a.example:1, b.example:2"),
        ("MESH_LAB_ACTORS", "true"),
        ("MESH_TRANSPORT_PROFILE", "wan"),
        ("MESH_TRANSPORT_KEEP_ALIVE", "500ms"),
        ("MESH_TRANSPORT_MTU_MAX", "6000"),
        ("MESH_ADVERTISE", ""),
        ("MESH_BREAKERS_RESET", "5s"),
        ("MESH_BREAKERS_FAILURE_RATIO", "0.25"),
        ("MESH_BREAKERS_MINIMUM_CALLS", "7"),
        ("MESH_BREAKERS_EXCLUDED", "TIMEOUT, CANCELLED"),
    ];
    let settings = read(None, environment(&variables), Layer::default()).unwrap();
    assert_eq!(settings.join, ["a.example:1", "b.example:2"]);
    assert!(settings.lab_actors);
    assert_eq!(settings.advertise, None);
    let config = settings.transport.config();
    assert_eq!((config.keep_alive, config.mtu_max), (Duration::from_millis(500), 6000));
    assert_eq!(config.idle_timeout, mesh_net::TransportConfig::wan().idle_timeout);
    let breakers = mesh::BreakerConfig {
        reset: Duration::from_secs(5),
        failure_ratio: Some(0.25),
        minimum_calls: Some(7),
        excluded: vec!["TIMEOUT".to_owned(), "CANCELLED".to_owned()],
        ..mesh::BreakerConfig::default()
    };
    assert_eq!(settings.of_node(([127, 0, 0, 1], 0).into()).breakers, breakers);
}

#[test]
fn every_problem_of_every_source_is_listed() {
    let file = r#"
        lisen = "127.0.0.1:1"
        nonsense = 1
        drain_timeout = 30
        down_after = "1ms"
        join = ["seed:7946", "seed"]
        [transport]
        profile = "moon"
        keep_alife = "1s"
        stream_window = "1KiB"
        send_window = "much"
        [breakers]
        failure_threshold = 0
        reset = "0s"
        half_open_probes = 1001
        slow_rato = 0.5
        [approvals]
        patience = "0s"
        [[approvals.policy]]
        patterns = ["pay *"]
        level = "review"
        needed = 2
        approvers = ["ann"]
        [[approvals.policy]]
        patterns = []
        level = "confirm"
        needed = 0
        [[agents]]
        kind = "echo"
        [[agents]]
        kind = ""
        name = "a//b"
        [[agents]]
        kind = "echo"
        name = "e"
        argz = {}
    "#;
    let variables = [
        ("MESH_LAB_ACTORS", "perhaps"),
        ("MESH_TRANSPORT_MTU_MAX", "big"),
        ("MESH_LABELS", "gpu"),
        ("MESH_BREAKERS_FAILURE_RATIO", "half"),
    ];
    let problems = read(
        Some(("node.toml", file)),
        environment(&variables),
        flags("--name Not_A_Name --listen nowhere --label GPU=1 --label plain --advertise alpha"),
    )
    .unwrap_err();
    insta::assert_snapshot!(problems);
}

#[test]
fn a_file_that_is_not_toml_is_shown_where_it_breaks() {
    insta::assert_snapshot!(of_file("name = \"alpha\"\nlisten = 127.0.0.1:7946\n").unwrap_err());
}

#[test]
fn listening_on_every_address_asks_for_the_one_that_others_reach() {
    let problems = read(None, no_environment, flags("--listen 0.0.0.0:7946")).unwrap_err();
    assert_eq!(problems.0.len(), 1);
    assert_eq!(problems.0[0].place, "advertise");
    assert!(problems.0[0].message.contains("--advertise HOST:PORT"), "{problems}");
    assert!(read(None, no_environment, flags("--listen 0.0.0.0:7946 --advertise a.example:7946")).is_ok());
}

#[test]
fn a_host_with_a_port_is_told_from_other_text() {
    for good in ["a:1", "127.0.0.1:65535", "[::1]:7946", "a.example:7946"] {
        assert_eq!(host_and_port(good), Ok(()), "{good}");
    }
    for bad in ["", "a", ":1", "a:", "a:0", "a:65536", "::1:7946", "a:http"] {
        assert!(host_and_port(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_agent_s_arguments_are_json_and_its_labels_choose_its_nodes() {
    let file = r#"
        [[agents]]
        kind = "summarizer"
        name = "s1"
        args = { words_max = 80, strict = true, since = 2026-01-02, tags = ["a"], ratio = 0.5 }
        labels = { gpu = "true" }
    "#;
    let settings = of_file(file).unwrap();
    let agent = &settings.agents[0];
    let args = serde_json::json!({
        "words_max": 80, "strict": true, "since": "2026-01-02", "tags": ["a"], "ratio": 0.5
    });
    assert_eq!(agent.args, args);
    assert!(!agent.is_for(&BTreeMap::new()));
    assert!(
        agent.is_for(&[("gpu".to_owned(), "true".to_owned()), ("zone".to_owned(), "a".to_owned())].into())
    );
}

#[test]
fn two_agents_of_one_name_are_refused() {
    let file = "[[agents]]\nkind = \"a\"\nname = \"x\"\n[[agents]]\nkind = \"b\"\nname = \"x\"";
    let problems = of_file(file).unwrap_err();
    assert_eq!(problems.0[0].place, "node.toml: agents[1].name");
}

#[test]
fn labels_have_the_limits_that_the_mesh_has() {
    let labels = |count: usize, bytes: usize| {
        let label = |index| format!("--label k{index}={} ", "v".repeat(bytes));
        read(None, no_environment, flags(&(0..count).map(label).collect::<String>()))
    };
    let accepted = labels(LABELS_MAX, 50).unwrap();
    let config = mesh::NodeConfig { labels: accepted.labels, ..mesh::NodeConfig::default() };
    assert_eq!(config.problems(), Vec::<String>::new());
    for (problems, said) in [
        (labels(LABELS_MAX + 1, 1).unwrap_err(), "17 labels are given, at most 16"),
        (labels(10, 110).unwrap_err(), "have 1120 bytes, at most 1024"),
    ] {
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert!(problems.to_string().contains(said), "{problems}");
    }
}

#[test]
fn http_for_other_machines_says_under_which_names() {
    let settings = |line: &str| read(None, no_environment, flags(line));
    assert_eq!(settings("").unwrap().http, None);
    let http = settings("--http 127.0.0.1:0").unwrap().http.unwrap();
    assert!(http.ip().is_loopback());
    let problems = settings("--http 0.0.0.0:7980").unwrap_err();
    assert!(problems.to_string().contains("http_hosts"), "{problems}");
    let variables = environment(&[("MESH_HTTP", "0.0.0.0:7980"), ("MESH_HTTP_HOSTS", "mesh.example:443")]);
    assert_eq!(read(None, variables, Layer::default()).unwrap().http_hosts, ["mesh.example:443"]);
}

#[test]
fn a_store_is_named_by_its_url_in_every_source() {
    let settings = read(None, environment(&[("MESH_STORE", "sqlite:a.db")]), Layer::default()).unwrap();
    assert_eq!(settings.store.as_deref(), Some("sqlite:a.db"));
    let settings =
        read(None, environment(&[("MESH_STORE", "sqlite:a.db")]), flags("--store postgres://m@h/m"));
    assert_eq!(settings.unwrap().store.as_deref(), Some("postgres://m@h/m"));
    let problems = read(None, no_environment, flags("--store mysql://x --name a")).unwrap_err();
    assert_eq!(problems.0[0].place, "--store", "{problems}");
    assert!(problems.0[0].message.contains("sqlite:PATH"), "{problems}");
}

#[test]
fn help_is_what_scripts_and_people_rely_on() {
    let help = <NodeArgs as clap::CommandFactory>::command().term_width(100).render_long_help();
    insta::assert_snapshot!(help);
}
