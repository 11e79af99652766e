//! What we are built from: under which licences, from where, in how many versions. `deny.toml` holds the lists, for
//! cargo-deny where it is installed, and for these tests everywhere.

use std::collections::BTreeMap;

use spdx::{Expression, LicenseReq};
use toml::{Table, Value};

use super::assert_none;
use super::metadata::{PLATFORM, Package, deny, packages};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Other sources of cryptography than `ring`: with two of them in one process rustls' default does not know which to
/// take, and panics.
const OTHER_CRYPTO: &[&str] = &["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls", "boring"];

fn rows<'a>(deny: &'a Table, table: &str, key: &str) -> &'a [Value] {
    deny.get(table).and_then(|table| table.get(key)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word<'a>(row: &'a Value, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn licence_problems(deny: &Table, packages: &[Package]) -> Vec<String> {
    let allowed: Vec<&str> = rows(deny, "licenses", "allow").iter().filter_map(Value::as_str).collect();
    // What one crate alone may be under.
    let excused = |package: &Package, wanted: &str| {
        rows(deny, "licenses", "exceptions").iter().filter(|row| word(row, "crate") == package.name).any(
            |row| {
                row.get("allow")
                    .and_then(Value::as_array)
                    .is_some_and(|allow| allow.contains(&Value::from(wanted)))
            },
        )
    };
    let refused = |package: &&Package| {
        let is_allowed = |wanted: &LicenseReq| {
            let wanted = wanted.to_string();
            allowed.contains(&wanted.as_str()) || excused(package, &wanted)
        };
        match Expression::parse_mode(&package.license, spdx::ParseMode::LAX) {
            Ok(expression) => !expression.evaluate(is_allowed),
            Err(_) => true,
        }
    };
    let refused = packages.iter().filter(refused);
    refused
        .map(|package| format!("{} {}: licence {:?}", package.name, package.version, package.license))
        .collect()
}

fn source_problems(packages: &[Package]) -> Vec<String> {
    let foreign =
        packages.iter().filter(|package| package.source.as_ref().is_some_and(|source| source != CRATES_IO));
    foreign.map(|package| format!("{} comes from {:?}", package.name, package.source)).collect()
}

fn crypto_problems(packages: &[Package]) -> Vec<String> {
    let second = packages.iter().filter(|package| OTHER_CRYPTO.contains(&package.name.as_str()));
    second.map(|package| format!("{} is a second provider of cryptography", package.name)).collect()
}

fn duplicate_problems(deny: &Table, packages: &[Package]) -> Vec<String> {
    let skipped: Vec<(&str, &str)> =
        rows(deny, "bans", "skip").iter().filter_map(|row| word(row, "crate").split_once('@')).collect();
    let is_skipped = |package: &Package| {
        let matches = |&&(name, version): &&(&str, &str)| {
            name == package.name && format!("{}.", package.version).starts_with(&format!("{version}."))
        };
        skipped.iter().any(|skip| matches(&skip))
    };
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let known = versions.entry(&package.name).or_default();
        if !is_skipped(package) {
            known.push(&package.version);
        }
    }
    let twice = versions.iter().filter(|(_, versions)| versions.len() > 1);
    let twice = twice.map(|(name, versions)| format!("{name} in {} versions: {versions:?}", versions.len()));
    let idle = skipped
        .iter()
        .filter(|(name, _)| packages.iter().filter(|package| package.name == *name).count() < 2);
    twice
        .chain(idle.map(|(name, _)| format!("{name} is skipped in deny.toml, and is there once or never")))
        .collect()
}

fn excuse_problems(deny: &Table) -> Vec<String> {
    let excuses = rows(deny, "advisories", "ignore").iter().chain(rows(deny, "bans", "skip"));
    excuses.filter(|row| word(row, "reason").is_empty()).map(|row| format!("no reason: {row}")).collect()
}

#[test]
fn every_licence_is_allowed_and_every_source_is_known() {
    let (deny, packages) = (deny(), packages());
    assert_none(&licence_problems(&deny, &packages));
    assert_none(&source_problems(&packages));
}

#[test]
fn one_provider_of_cryptography_is_built_in() {
    assert_none(&crypto_problems(&packages()));
}

#[test]
fn nothing_is_built_in_two_versions_without_a_reason() {
    let deny = deny();
    assert_none(&duplicate_problems(&deny, &packages()));
    assert_none(&excuse_problems(&deny));
    assert_eq!(rows(&deny, "graph", "targets"), [Value::from(PLATFORM)], "both look at the same tree");
}

#[test]
fn what_deny_toml_does_not_allow_is_noticed() {
    let deny: Table =
        "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"c\", allow = [\"MPL-2.0\"] }]\n[bans]\nskip = [{ crate = \"b@1\", reason = \"\" }]".parse().unwrap();
    let package = |name: &str, version: &str, license: &str, source: &str| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        license: license.to_owned(),
        source: Some(source.to_owned()),
        features: Vec::new(),
    };
    let tree = |rows: &[(&str, &str)]| -> Vec<Package> {
        rows.iter().map(|(name, version)| package(name, version, "MIT OR Apache-2.0", CRATES_IO)).collect()
    };
    assert_none(&licence_problems(&deny, &tree(&[("a", "1.0.0")])));
    assert_none(&licence_problems(&deny, &[package("c", "1.0.0", "MPL-2.0", CRATES_IO)]));
    for refused in ["GPL-3.0", "MPL-2.0", "MIT AND GPL-3.0", "", "nonsense"] {
        assert_eq!(
            licence_problems(&deny, &[package("a", "1.0.0", refused, CRATES_IO)]).len(),
            1,
            "{refused}"
        );
    }
    assert_eq!(source_problems(&[package("a", "1.0.0", "MIT", "git+https://example.org/a")]).len(), 1);
    assert_eq!(crypto_problems(&tree(&[("aws-lc-rs", "1.0.0"), ("ring", "0.17.0")])).len(), 1);
    assert_none(&duplicate_problems(&deny, &tree(&[("b", "1.2.0"), ("b", "2.0.0")])));
    assert_eq!(duplicate_problems(&deny, &tree(&[("b", "10.0.0"), ("b", "2.0.0")])).len(), 1);
    assert_eq!(duplicate_problems(&deny, &tree(&[("b", "2.0.0")])).len(), 1, "an idle exception");
    assert_eq!(excuse_problems(&deny).len(), 1);
}
