//! What people type next.

use std::path::Path;

use crate::config::NodeSettings;

/// What starts another node of this mesh on this machine, from whatever folder.
pub(super) fn join_command(addr: &str, state: &Path) -> String {
    let join = format!("mesh-node --join {addr}");
    if state == NodeSettings::default().state {
        return join;
    }
    let state = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    let state = state.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@:,".contains(c);
    if state.chars().all(is_plain) {
        format!("{join} --state {state}")
    } else {
        format!("{join} --state '{}'", state.replace('\'', r"'\''"))
    }
}
