//! Who may depend on whom. Arrows go down only, and what is somebody's only is named in one place.

use super::assert_none;
use super::metadata::{Dependency, dependencies, ours, packages};

/// Each crate of ours, and which of ours it may name. Nothing may name mesh-node.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("mesh-proto", &[]),
    ("mesh-resilience", &[]),
    ("mesh-store", &[]),
    ("mesh-actor", &["mesh-resilience"]),
    ("mesh-net", &["mesh-proto"]),
    ("mesh", &["mesh-proto", "mesh-actor", "mesh-net", "mesh-resilience"]),
    ("mesh-models", &["mesh-resilience"]),
    ("mesh-agents", &["mesh", "mesh-store", "mesh-models", "mesh-resilience"]),
    // The one protocol with servers of its own; mesh-agents knows of none.
    ("mesh-mcp", &["mesh", "mesh-agents", "mesh-models"]),
    (
        "mesh-node",
        &[
            "mesh",
            "mesh-proto",
            "mesh-actor",
            "mesh-net",
            "mesh-resilience",
            "mesh-store",
            "mesh-models",
            "mesh-agents",
            "mesh-mcp",
        ],
    ),
    ("mesh-bench", &["mesh", "mesh-actor", "mesh-net", "mesh-proto"]),
    ("decoders", &["mesh", "mesh-net", "mesh-proto"]),
    // What users can write: no more than users can name.
    // A binary of their own is a node, so the library of mesh-node belongs to that.
    ("mesh-examples", &["mesh", "mesh-agents", "mesh-models", "mesh-node", "mesh-resilience", "mesh-store"]),
    (
        "integration-tests",
        &["mesh", "mesh-agents", "mesh-models", "mesh-net", "mesh-proto", "mesh-resilience"],
    ),
];

/// Others' crates that only some of ours may name.
const ONLY: &[(&str, &[&str])] = &[
    ("bincode", &["mesh-proto"]),
    ("foca", &["mesh-proto"]),
    ("ractor", &["mesh-actor", "mesh-bench"]),
    ("quinn", &["mesh-net", "mesh-bench"]),
    ("quinn-proto", &["mesh-net", "mesh-bench"]),
    // mesh-models hands its HTTP client the one provider of cryptography.
    ("rustls", &["mesh-net", "mesh-models", "mesh-bench"]),
    ("rcgen", &["mesh-net", "mesh-bench"]),
    ("rusqlite", &["mesh-store"]),
    ("sqlx", &["mesh-store"]),
    ("tokio-postgres", &["mesh-store"]),
    ("genai", &["mesh-models"]),
    // mesh-agents has the tool that fetches, and mesh-mcp servers far away; both get their TLS from mesh-models.
    ("reqwest", &["mesh-models", "mesh-agents", "mesh-mcp"]),
    ("rmcp", &["mesh-mcp"]),
    ("hyper", &["mesh-mcp", "mesh-node"]),
    ("axum", &["mesh-node"]),
    ("clap", &["mesh-node", "mesh-bench"]),
    ("tracing-subscriber", &["mesh-node"]),
    ("anyhow", &["mesh-node", "mesh-bench", "mesh-examples"]),
];

/// What a test may stand on to see the real thing.
const TESTS_MAY_NAME: &[&str] =
    &["quinn", "quinn-proto", "ractor", "rustls", "rcgen", "axum", "tracing-subscriber"];

/// What a crate must not even know of: no runtime, no sockets, no chance in mesh-proto; no bytes in mesh-actor;
/// no network in mesh-resilience.
const NEVER: &[(&str, &[&str])] = &[
    ("mesh-proto", &["tokio", "socket2", "rand", "getrandom", "tracing"]),
    ("mesh-actor", &["bytes", "serde", "serde_json", "socket2"]),
    ("mesh-resilience", &["bytes", "reqwest", "socket2"]),
    ("mesh-models", &["tonic"]),
    ("mesh-store", &["reqwest"]),
];

fn row<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(key, _)| *key == name).map(|(_, row)| *row)
}

fn problems(ours: &[String], dependencies: &[Dependency]) -> Vec<String> {
    let known = |name: &String| row(MAY_NAME, name).is_some();
    let strangers = ours.iter().filter(|name| !known(name)).map(|name| format!("{name} is not in the table"));
    strangers.chain(dependencies.iter().filter_map(|line| problem(ours, line))).collect()
}

fn problem(ours: &[String], line: &Dependency) -> Option<String> {
    let Dependency { of, on, is_dev } = line;
    let is_ours = ours.contains(on);
    if is_ours && !row(MAY_NAME, of)?.contains(&on.as_str()) {
        return Some(format!("{of} names {on}"));
    }
    let reserved = row(ONLY, on).is_some_and(|owners| !owners.contains(&of.as_str()));
    let excused = (*is_dev || of == "integration-tests") && TESTS_MAY_NAME.contains(&on.as_str());
    if reserved && !excused {
        return Some(format!("{of} names {on}, which belongs to {:?}", row(ONLY, on)?));
    }
    let unknown = row(NEVER, of).is_some_and(|never| never.contains(&on.as_str()));
    (unknown && !is_dev).then(|| format!("{of} must not know {on}"))
}

#[test]
fn arrows_go_down_only() {
    assert_none(&problems(&ours(), &dependencies()));
}

#[test]
fn ractor_comes_without_its_own_network() {
    let packages = packages();
    let ractor =
        packages.iter().find(|package| package.name == "ractor").expect("mesh-actor is built on ractor");
    assert!(!ractor.features.contains(&"cluster".to_owned()), "{:?}", ractor.features);
}

#[test]
fn an_arrow_that_goes_up_or_sideways_is_noticed() {
    let ours = ["mesh-proto", "mesh-resilience", "mesh-net", "mesh-actor", "mesh-agents", "mesh-node"]
        .map(str::to_owned);
    for (of, on, is_dev) in [
        ("mesh-proto", "mesh-net", false),
        ("mesh-actor", "mesh-net", true),
        ("mesh-agents", "mesh-node", false),
        ("mesh-net", "bincode", false),
        ("mesh-net", "bincode", true),
        ("mesh-agents", "quinn", false),
        ("mesh-proto", "tokio", false),
        ("mesh-actor", "bytes", false),
        ("mesh-resilience", "mesh-actor", false),
    ] {
        let line = Dependency { of: of.to_owned(), on: on.to_owned(), is_dev };
        assert_eq!(problems(&ours, &[line]).len(), 1, "{of} on {on}");
    }
    assert_eq!(problems(&["mesh-new".to_owned()], &[]), ["mesh-new is not in the table"]);
}

#[test]
fn a_test_may_name_what_it_measures_against() {
    let line = Dependency { of: "mesh-agents".to_owned(), on: "quinn".to_owned(), is_dev: true };
    assert_none(&problems(&["mesh-agents".to_owned()], &[line]));
}
