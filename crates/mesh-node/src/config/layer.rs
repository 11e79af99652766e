//! One source of settings: which keys it gives, and where each of them was written.

use toml::{Table, Value};

use super::key::{Key, Shape, keys};
use super::problem::Problem;

/// A value that was given for one key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Given {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    /// How people find it: `--listen`, `MESH_LISTEN`, `node.toml: listen`.
    pub(super) place: String,
}

impl Given {
    pub(crate) fn new(path: &[&str], place: &str, value: Value) -> Self {
        Self { path: path.iter().map(|&key| key.to_owned()).collect(), value, place: place.to_owned() }
    }
}

/// The keys that one source gives, and what it gives that cannot be a key's value.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(super) given: Vec<Given>,
    pub(super) problems: Vec<Problem>,
}

impl Layer {
    pub(crate) fn extend(&mut self, given: Option<Given>) {
        self.given.extend(given);
    }

    /// Takes `KEY=VALUE`.
    pub(crate) fn label(&mut self, place: &str, text: &str) {
        match text.split_once('=') {
            Some((key, value)) => {
                self.given.push(Given::new(&["labels", key], place, Value::String(value.to_owned())));
            }
            None => self
                .problems
                .push(Problem::new(place, format!("{text:?} is not KEY=VALUE, for example gpu=true"))),
        }
    }

    /// What `MESH_*` variables say. Lists are separated by commas; an empty variable counts as absent.
    pub(super) fn of_environment(read: impl Fn(&str) -> Option<String>) -> Self {
        let mut layer = Self::default();
        for key in keys() {
            let variable = key.variable();
            if let Some(text) = read(&variable).filter(|text| !text.is_empty()) {
                layer.take_variable(&key, &variable, &text);
            }
        }
        layer
    }

    fn take_variable(&mut self, key: &Key, variable: &str, text: &str) {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let value = match key.shape {
            Shape::Text => Some(Value::String(text.to_owned())),
            Shape::List => Some(Value::Array(items().map(|item| Value::String(item.to_owned())).collect())),
            Shape::Flag => match text {
                "1" | "true" | "yes" => Some(Value::Boolean(true)),
                "0" | "false" | "no" => Some(Value::Boolean(false)),
                _ => None,
            },
            Shape::Integer => text.parse().ok().map(Value::Integer),
            Shape::Number => text.parse().ok().map(Value::Float),
            Shape::Map => return items().for_each(|item| self.label(variable, item)),
            Shape::Tables | Shape::Section => return,
        };
        match value {
            Some(value) => {
                self.given.push(Given { path: key.path.clone(), value, place: variable.to_owned() });
            }
            None if key.shape == Shape::Flag => {
                self.problems.push(Problem::new(variable, format!("{text:?} is neither true nor false")));
            }
            None if key.shape == Shape::Number => {
                self.problems.push(Problem::new(variable, format!("{text:?} is not a number")));
            }
            None => self.problems.push(Problem::new(variable, format!("{text:?} is not a whole number"))),
        }
    }

    /// What a file says.
    pub(super) fn of_file(name: &str, text: &str) -> Self {
        let mut layer = Self::default();
        match text.parse::<Table>() {
            Ok(table) => layer.take_table(name, &[], table),
            // The parser's text draws the line and what is wrong in it.
            Err(error) => {
                layer.problems.push(Problem::new(name, format!("not TOML\n{}", error.to_string().trim_end())))
            }
        }
        layer
    }

    /// A table of settings is taken key by key, so that each is overruled and judged on its own.
    fn take_table(&mut self, file: &str, path: &[String], table: Table) {
        let sections = keys().into_iter().filter(|key| matches!(key.shape, Shape::Section | Shape::Map));
        let sections: Vec<_> = sections.map(|key| key.path).collect();
        for (name, value) in table {
            let path = [path, &[name]].concat();
            match value {
                Value::Table(inner) if sections.contains(&path) => self.take_table(file, &path, inner),
                value => {
                    let place = format!("{file}: {}", path.join("."));
                    self.given.push(Given { path, value, place });
                }
            }
        }
    }
}
