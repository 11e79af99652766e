//! "Did you mean": the known word nearest to a mistyped one.

/// The candidate that is a small slip away from `word`, if there is one.
///
/// A slip is at most one edit (insert, delete, replace, swap neighbours) for each three letters; case doesn't count.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The words as `` `a`, `b`, `c` ``; a long list is cut and its rest counted.
pub(super) fn listed<'c>(words: impl IntoIterator<Item = &'c str>) -> String {
    const LISTED_MAX: usize = 12;
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.len().saturating_sub(LISTED_MAX) {
        0 => words.join(", "),
        more => format!("{} and {more} more", words[..LISTED_MAX].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{listed, nearest};

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let known = ["planner", "executor", "reviewer"];
        for (word, expected) in [
            ("executr", Some("executor")),
            ("Planner", Some("planner")),
            ("reveiwer", Some("reviewer")),
            ("exec", None),
            ("oracle", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("ax", ["ay", "ax"]), Some("ax"));
    }

    #[test]
    fn a_long_list_is_cut() {
        let many: Vec<String> = (0..14).map(|n| n.to_string()).collect();
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert!(listed(many.iter().map(String::as_str)).ends_with("`11` and 2 more"));
    }
}
