//! What a server's tool is called on the mesh.

/// With `tool:` before it, a capability of 64 bytes.
const NAME_BYTES_MAX: usize = 59;

/// Hexadecimal digits of a hash that tell apart what would be called alike.
const DIGEST: usize = 8;

/// The name of a server's tool on the mesh: `SERVER__TOOL`. A tool whose name has other letters than `a-z A-Z 0-9 _ -`, or is too
/// long, gets those replaced or is cut, and 8 digits of its name's hash, so that no two of a server are called alike.
#[must_use]
pub fn tool_name(server: &str, tool: &str) -> String {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let plain = format!("{server}__{tool}");
    if !tool.is_empty() && plain.len() <= NAME_BYTES_MAX && tool.bytes().all(is_letter) {
        return plain;
    }
    let letters = tool.bytes().map(|byte| if is_letter(byte) { char::from(byte) } else { '_' });
    let room = NAME_BYTES_MAX.saturating_sub(server.len() + 2 + 1 + DIGEST);
    let kept: String = letters.take(room).collect();
    let digest = blake3::hash(tool.as_bytes()).to_hex();
    format!("{server}__{kept}_{}", &digest[..DIGEST])
}

#[cfg(test)]
mod tests {
    use mesh_agents::approvals::{Level, Policies};

    use super::*;

    #[test]
    fn a_plain_name_stays_as_it_is() {
        assert_eq!(tool_name("everything", "get-sum"), "everything__get-sum");
        assert_eq!(tool_name("a", "readFile_2"), "a__readFile_2");
    }

    #[test]
    fn names_that_would_be_called_alike_are_told_apart() {
        let names = ["a.b", "a/b", "a b", "", "ä", &"x".repeat(59), &"x".repeat(200)];
        let made: std::collections::BTreeSet<_> =
            names.iter().map(|name| tool_name("server", name)).collect();
        assert_eq!(made.len(), names.len(), "{made:?}");
        for name in made {
            assert!(name.len() <= NAME_BYTES_MAX, "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{name}");
        }
    }

    #[test]
    fn policies_mean_a_server_s_tools_by_what_those_are_called_at_their_server() {
        let policies = Policies::shipped();
        for (tool, level) in [
            ("delete_file", Level::Confirm),
            ("remove-all", Level::Confirm),
            ("deploy", Level::Review),
            // Whatever a stranger calls reading is confirmed as all is that no policy means.
            ("read_file", Level::Confirm),
        ] {
            assert_eq!(policies.judge(&tool_name("far", tool)).level, level, "{tool}");
        }
    }
}
