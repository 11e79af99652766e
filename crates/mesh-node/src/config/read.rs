//! Layers become settings, or a list of everything that is wrong with them.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::NodeSettings;
use super::key::{Shape, keys, nearest};
use super::layer::{Given, Layer};
use super::problem::{Problem, Problems};

/// Reads the settings from their three sources; `file` is its name and its text.
///
/// # Errors
/// [`Problems`] with everything that is wrong in any of them.
pub(crate) fn read(
    file: Option<(&str, &str)>,
    environment: impl Fn(&str) -> Option<String>,
    flags: Layer,
) -> Result<NodeSettings, Problems> {
    let file = file.map(|(name, text)| Layer::of_file(name, text)).unwrap_or_default();
    let layers = [file, Layer::of_environment(environment), flags];
    let mut problems = Vec::new();
    // A key that two sources give counts as the later one says, and the earlier one's mistakes do not matter.
    let mut merged: BTreeMap<Vec<String>, Given> = BTreeMap::new();
    for layer in layers {
        problems.extend(layer.problems);
        merged.extend(layer.given.into_iter().map(|given| (given.path.clone(), given)));
    }
    merged.retain(|_, given| {
        let wrong = given_problems(given);
        let is_usable = wrong.is_empty();
        problems.extend(wrong);
        is_usable
    });
    let mut table = Table::new();
    for given in merged.values() {
        insert(&mut table, &given.path, given.value.clone());
    }
    // Each key was accepted alone, so all of them are together.
    match table.try_into::<NodeSettings>() {
        Ok(settings) => {
            problems.extend(settings.validate().into_iter().map(|problem| located(problem, &merged)));
            if problems.is_empty() { Ok(settings) } else { Err(Problems(problems)) }
        }
        Err(error) => {
            problems.push(Problem::new("settings", error.message()));
            Err(Problems(problems))
        }
    }
}

/// What is wrong with one key alone: it does not exist, or its value has the wrong shape.
fn given_problems(given: &Given) -> Vec<Problem> {
    if let Some(problem) = unknown(given) {
        return vec![problem];
    }
    // The tables of a list are judged one by one, so that each is told about.
    let is_list_of_tables = keys().iter().any(|key| key.path == given.path && key.shape == Shape::Tables);
    match &given.value {
        Value::Array(items) if is_list_of_tables => {
            let item = |(index, item): (usize, &Value)| {
                let wrong = refusal(&given.path, Value::Array(vec![item.clone()]))?;
                Some(Problem::new(format!("{}[{index}]", given.place), wrong))
            };
            items.iter().enumerate().filter_map(item).collect()
        }
        value => refusal(&given.path, value.clone())
            .map(|wrong| Problem::new(given.place.clone(), wrong))
            .into_iter()
            .collect(),
    }
}

/// Why settings with this one key are refused.
fn refusal(path: &[String], value: Value) -> Option<String> {
    let mut table = Table::new();
    insert(&mut table, path, value);
    table.try_into::<NodeSettings>().err().map(|error| error.message().to_owned())
}

fn unknown(given: &Given) -> Option<Problem> {
    let keys = keys();
    let is_key = |key: &super::key::Key| {
        key.path == given.path || (key.shape == Shape::Map && given.path.starts_with(&key.path))
    };
    if keys.iter().any(is_key) {
        return None;
    }
    let (name, section) = given.path.split_last()?;
    let mut known: Vec<&str> = keys
        .iter()
        .filter_map(|key| key.path.split_last().filter(|(_, of)| *of == section))
        .map(|(name, _)| name.as_str())
        .collect();
    let hint = match nearest(name, &known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            known.sort_unstable();
            format!("there are {}", known.join(", "))
        }
    };
    Some(Problem::new(given.place.clone(), format!("no such setting; {hint}")))
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            table.insert(name.clone(), value);
        }
        [section, rest @ ..] => {
            let entry = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// Puts the place that a setting was written at before what is wrong with it.
fn located(problem: Problem, merged: &BTreeMap<Vec<String>, Given>) -> Problem {
    let place = |given: &Given| {
        let path = given.path.join(".");
        let rest = problem.place.strip_prefix(&path)?;
        // `--join` stands for all of its values; the index says which of them.
        (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{}{rest}", given.place))
    };
    match merged.values().rev().find_map(place) {
        Some(place) => Problem { place, ..problem },
        None => problem,
    }
}
