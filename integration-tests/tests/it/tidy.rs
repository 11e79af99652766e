//! The rules of the tree, each with a sample that breaks it: what holds only by good will does not hold.

mod dependencies;
mod documents;
mod files;
mod layers;
mod metadata;
mod rust;
mod seed_map;
mod sleeps;
mod source;
mod spawns;
mod wire;

/// Fails with all of the problems, one a line.
#[track_caller]
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
