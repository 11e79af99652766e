//! Variables of the environment that are meant for the mesh and that nobody reads: usually a slip of the pen.

use std::fmt;

use crate::config::{self, nearest};
use crate::{args, ctl, model};

/// A variable that is called as ours are, and is none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) variable: String,
    /// The one that is spelt most like it, if any is.
    pub(crate) nearest: Option<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set, and nothing reads it", self.variable)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// Those of this process. Both programs know the variables of both, which share one environment.
pub(crate) fn unknown() -> Vec<Unknown> {
    let names = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    unknown_of(names.filter_map(|(name, _)| name.into_string().ok()))
}

const PREFIX: &str = "MESH_";

/// Variables that `make` hands to tests, and so to the programs that these start.
const OF_TESTS: [&str; 2] = ["MESH_KILLS", "MESH_SOAK_SECONDS"];

fn unknown_of(names: impl Iterator<Item = String>) -> Vec<Unknown> {
    let settings = config::variables();
    let others = [&args::VARIABLES[..], &ctl::VARIABLES, &model::VARIABLES, &OF_TESTS].concat();
    let known: Vec<&str> = settings.iter().map(String::as_str).chain(others).collect();
    // What all have in common would make all of them alike.
    let known: Vec<&str> = known.into_iter().filter_map(|name| name.strip_prefix(PREFIX)).collect();
    let unknown = |variable: String| {
        let name = variable.strip_prefix(PREFIX).filter(|name| !known.contains(name))?;
        let nearest = nearest(name, &known).map(|nearest| format!("{PREFIX}{nearest}"));
        Some(Unknown { variable, nearest })
    };
    let mut unknown: Vec<Unknown> = names.filter_map(unknown).collect();
    unknown.sort_by(|a, b| a.variable.cmp(&b.variable));
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|&name| name.to_owned());
        unknown_of(names).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_one_that_was_meant() {
        let told = said(&["MESH_MODLE_URL", "PATH", "MESH_LISTN", "MESH_ZZZ"]);
        let expected = [
            "MESH_LISTN is set, and nothing reads it; did you mean MESH_LISTEN?",
            "MESH_MODLE_URL is set, and nothing reads it; did you mean MESH_MODEL_URL?",
            "MESH_ZZZ is set, and nothing reads it",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn every_variable_that_is_read_is_known() {
        let read = [
            "MESH_NAME",
            "MESH_LISTEN",
            "MESH_LABELS",
            "MESH_TRANSPORT_KEEP_ALIVE",
            "MESH_CONFIG",
            "MESH_STATE",
            "MESH_NODE",
            "MESH_MODEL",
            "MESH_MODEL_URL",
            "MESH_MODEL_KEY",
            "MESH_HTTP",
            "MESH_JOIN_TOKEN",
            "MESH_KILLS",
        ];
        assert_eq!(said(&read), [""; 0]);
        // Tables cannot be written in a variable, which the nearest one must not hide.
        assert_eq!(said(&["MESH_AGENTS"]).len(), 1);
    }
}
