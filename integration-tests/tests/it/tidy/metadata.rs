//! What cargo knows of the workspace and of everything that it is built from.

use std::env;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use integration_tests::workspace;
use serde_json::Value;

/// The tree is resolved for one platform, whichever one the tests run on, so that its list of versions is one list.
/// `deny.toml` names the same.
pub(super) const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// A package that is built.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: String,
    /// `None` for our own.
    pub(super) source: Option<String>,
    pub(super) features: Vec<String>,
}

/// One line of the `[dependencies]` of one of our crates.
pub(super) struct Dependency {
    pub(super) of: String,
    pub(super) on: String,
    pub(super) is_dev: bool,
}

fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--filter-platform", PLATFORM])
            .current_dir(workspace())
            .output()
            .expect("cargo can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Everything that is built, ours and others'.
pub(super) fn packages() -> Vec<Package> {
    let nodes = list(&metadata()["resolve"]["nodes"]);
    let node = |package: &Value| nodes.iter().find(|node| node["id"] == package["id"]);
    let resolved = list(&metadata()["packages"]).iter().filter_map(|package| Some((package, node(package)?)));
    resolved
        .map(|(package, node)| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            license: text(&package["license"]),
            source: package["source"].as_str().map(str::to_owned),
            features: list(&node["features"]).iter().map(text).collect(),
        })
        .collect()
}

/// The names of our crates.
pub(super) fn ours() -> Vec<String> {
    packages().into_iter().filter(|package| package.source.is_none()).map(|package| package.name).collect()
}

/// What the manifests of our crates name.
pub(super) fn dependencies() -> Vec<Dependency> {
    let members = list(&metadata()["packages"]).iter().filter(|package| package["source"].is_null());
    let lines =
        members.flat_map(|package| list(&package["dependencies"]).iter().map(move |line| (package, line)));
    lines
        .map(|(package, line)| Dependency {
            of: text(&package["name"]),
            on: text(&line["name"]),
            is_dev: line["kind"] == "dev",
        })
        .collect()
}

/// `deny.toml`, which cargo-deny reads too.
pub(super) fn deny() -> toml::Table {
    let text = fs::read_to_string(workspace().join("deny.toml")).expect("there is a deny.toml");
    text.parse().expect("deny.toml is TOML")
}
