//! Paths from outside: their parts, or a refusal.

use crate::tools::ToolError;

/// As of Linux.
const PATH_BYTES_MAX: usize = 4095;
const PART_BYTES_MAX: usize = 255;

/// Characters that look like a dot or a slash and are none: who sees the path takes it for another.
const LOOKALIKES: [char; 14] = [
    '\u{2024}', '\u{2025}', '\u{2026}', '\u{fe52}', '\u{ff0e}', '\u{3002}', '\u{ff61}', '\u{2044}',
    '\u{2215}', '\u{29f8}', '\u{ff0f}', '\u{ff3c}', '\u{fe68}', '\\',
];

/// The parts of a path that leads down from a folder; none is the folder itself.
pub(super) fn parts(path: &str) -> Result<Vec<&str>, ToolError> {
    let refused = |why: &str| {
        let shown: String = path.chars().take(80).collect();
        Err(ToolError::refused("BAD_PATH", format!("{shown:?}: {why}")))
    };
    if path.len() > PATH_BYTES_MAX {
        return refused("a path has at most 4095 bytes");
    }
    if path.is_empty() || path.starts_with('/') {
        return refused("a path is relative to the folder of the tool");
    }
    if path.chars().any(|letter| letter.is_control() || LOOKALIKES.contains(&letter)) {
        return refused("there is a character in it that paths do not have here");
    }
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return refused("it must not lead up");
    }
    if parts.iter().any(|part| part.len() > PART_BYTES_MAX) {
        return refused("a name has at most 255 bytes");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_lead_elsewhere_is_refused() {
        let long = "a/".repeat(2100);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../../x",
            "a/../b",
            "a/..",
            "a\0b",
            "a\nb",
            &long,
            &"a".repeat(256),
            "\u{2025}/x",
            "\u{2024}\u{2024}/x",
            "\u{ff0e}\u{ff0e}/x",
            "a\\..\\b",
            "a\u{2215}b",
            "a\u{ff0f}b",
        ] {
            let error = parts(bad).unwrap_err();
            assert_eq!((error.code.as_str(), error.may_have_run), ("BAD_PATH", false), "{bad:?}");
        }
        assert_eq!(parts("a/b.txt"), Ok(vec!["a", "b.txt"]));
        assert_eq!(parts("./a//..b/...").unwrap(), ["a", "..b", "..."]);
        assert_eq!(parts(".").unwrap(), [""; 0]);
    }
}
