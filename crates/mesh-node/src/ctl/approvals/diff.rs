//! What changed between two texts, line by line.

/// Longer texts are not compared but shown whole, one after the other: the comparison takes a table of both.
const LINES_MAX: usize = 1000;

/// The lines of both, each behind `+`, `-` or a space.
pub(super) fn diff(before: &str, after: &str) -> Vec<(char, String)> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let all = |sign: char, lines: &[&str]| -> Vec<(char, String)> {
        lines.iter().map(|line| (sign, (*line).to_owned())).collect()
    };
    if before.len() > LINES_MAX || after.len() > LINES_MAX {
        return [all('-', &before), all('+', &after)].concat();
    }
    let common = common(&before, &after);
    let (mut a, mut b, mut shown) = (0, 0, Vec::new());
    while a < before.len() || b < after.len() {
        if a < before.len() && b < after.len() && before[a] == after[b] {
            shown.extend(all(' ', &before[a..=a]));
            (a, b) = (a + 1, b + 1);
        } else if b == after.len() || a < before.len() && common[a + 1][b] >= common[a][b + 1] {
            shown.extend(all('-', &before[a..=a]));
            a += 1;
        } else {
            shown.extend(all('+', &after[b..=b]));
            b += 1;
        }
    }
    shown
}

/// The length of the longest common subsequence of what is behind each pair of places.
fn common(before: &[&str], after: &[&str]) -> Vec<Vec<u32>> {
    let mut common = vec![vec![0; after.len() + 1]; before.len() + 1];
    for a in (0..before.len()).rev() {
        for b in (0..after.len()).rev() {
            common[a][b] = if before[a] == after[b] {
                common[a + 1][b + 1] + 1
            } else {
                common[a + 1][b].max(common[a][b + 1])
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> String {
        diff(before, after).into_iter().map(|(sign, line)| format!("{sign}{line}\n")).collect()
    }

    #[test]
    fn lines_that_stay_are_shown_once() {
        assert_eq!(shown("{\n a\n b\n}", "{\n a\n c\n}"), " {\n  a\n- b\n+ c\n }\n");
        assert_eq!(shown("a", "a"), " a\n");
        assert_eq!(shown("", "a\nb"), "+a\n+b\n");
        assert_eq!(shown("a\nb\nc", "b"), "-a\n b\n-c\n");
    }

    #[test]
    fn long_texts_are_shown_one_after_the_other() {
        let long = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(diff(&long, "x").len(), LINES_MAX + 2);
    }
}
