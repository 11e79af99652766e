//! A report as plain text:
//!
//! ```text
//! error: stage "review" takes `execution_result`, which nothing produces
//!   --> broken.yaml:41:14
//! 41 |       input: "execution_result"
//!    |              ^^^^^^^^^^^^^^^^^^ did you mean `execution_results` (stage "execution")?
//! ```

use std::fmt::{Formatter, Result};

use unicode_width::UnicodeWidthChar;

use super::diagnostic::{Diagnostic, Severity};

/// More than a reader takes in at once; a file of nonsense has thousands.
const PRINTED_MAX: usize = 100;

/// The most of a source line that is shown: prompts are often one very long line.
const CHARS_MAX: usize = 160;

/// How much of a long line is shown before the marked place.
const CHARS_BEFORE: usize = 60;

const TAB: &str = "    ";

pub(super) fn report(f: &mut Formatter<'_>, file: &str, text: &str, found: &[Diagnostic]) -> Result {
    let lines: Vec<&str> = text.lines().collect();
    for (nth, diagnostic) in found.iter().take(PRINTED_MAX).enumerate() {
        if nth > 0 {
            writeln!(f)?;
        }
        one(f, file, &lines, diagnostic)?;
    }
    match found.len().saturating_sub(PRINTED_MAX) {
        0 => Ok(()),
        more => writeln!(f, "\n… and {more} more"),
    }
}

fn one(f: &mut Formatter<'_>, file: &str, lines: &[&str], found: &Diagnostic) -> Result {
    let severity = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let source = (found.line as usize).checked_sub(1).and_then(|nth| lines.get(nth)).copied().unwrap_or("");
    let marked = Marked::new(source, found.column as usize, found.len as usize);
    let gutter = found.line.to_string().len();

    writeln!(f, "{severity}: {}", printable(&found.message))?;
    writeln!(f, "{:gutter$}--> {}:{}:{}", "", printable(file), found.line, found.column)?;
    writeln!(f, "{} | {}", found.line, marked.line)?;
    write!(f, "{:gutter$} | {:indent$}{}", "", "", "^".repeat(marked.carets), indent = marked.indent)?;
    match &found.label {
        Some(label) => writeln!(f, " {}", printable(label))?,
        None => writeln!(f)?,
    }
    match &found.help {
        Some(help) => writeln!(f, "{:gutter$} = help: {}", "", printable(help)),
        None => Ok(()),
    }
}

/// A source line made safe for a terminal, and which of its columns to mark.
struct Marked {
    line: String,
    indent: usize,
    carets: usize,
}

impl Marked {
    /// `column` counts from 1; `len` is cut at the line's end.
    fn new(source: &str, column: usize, len: usize) -> Self {
        let chars = source.chars().count();
        let start = column.saturating_sub(1).min(chars);
        let from = if chars > CHARS_MAX { start.saturating_sub(CHARS_BEFORE) } else { 0 };
        let cells: Vec<String> = source.chars().skip(from).take(CHARS_MAX).map(cell).collect();
        let width = |cells: &[String]| cells.iter().map(|cell| columns(cell)).sum::<usize>();
        let start = start - from;
        let end = start.saturating_add(len).min(cells.len());

        let left = if from > 0 { "…" } else { "" };
        let right = if from + cells.len() < chars { "…" } else { "" };
        let line = format!("{left}{}{right}", cells.concat()).trim_end().to_owned();
        let indent = columns(left) + width(&cells[..start]);
        Self { line, indent, carets: width(&cells[start..end]).max(1) }
    }
}

/// One character as it is shown: a file's escape sequences must not reach a terminal.
fn cell(c: char) -> String {
    match c {
        '\t' => TAB.to_owned(),
        c if is_unprintable(c) => c.escape_debug().to_string(),
        c => c.to_string(),
    }
}

fn columns(cell: &str) -> usize {
    cell.chars().map(|c| c.width().unwrap_or(0)).sum()
}

fn printable(text: &str) -> String {
    text.chars().map(cell).collect()
}

/// Control characters, and those that reorder or break lines in a terminal.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::{Diagnostic, Report};
    use super::super::span::Span;

    fn shown(text: &str, column: u32, len: u32) -> String {
        let found = Diagnostic::error(Span { line: 1, column, len }, "wrong").label("here");
        Report::new("f.yaml", text, vec![found]).to_string()
    }

    #[test]
    fn the_marker_stands_under_wide_characters_and_tabs() {
        assert_eq!(
            shown("a: 計画 x", 4, 2),
            "error: wrong\n --> f.yaml:1:4\n1 | a: 計画 x\n  |    ^^^^ here\n"
        );
        assert_eq!(shown("a:\tx", 4, 1), "error: wrong\n --> f.yaml:1:4\n1 | a:    x\n  |       ^ here\n");
    }

    #[test]
    fn escape_sequences_of_the_file_are_shown_and_not_obeyed() {
        let found =
            Diagnostic::error(Span { line: 1, column: 1, len: 1 }, "agent \"\u{1b}[2J\"").help("\u{202e}x");
        let text = Report::new("f\n.yaml", "\u{1b}[31mred", vec![found]).to_string();

        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert!(text.contains(r#"agent "\u{1b}[2J""#), "{text}");
        assert!(text.contains(r"--> f\n.yaml:1:1"), "{text}");
    }

    #[test]
    fn a_place_past_the_end_is_marked_at_the_end() {
        assert_eq!(shown("ab", 9, 4), "error: wrong\n --> f.yaml:1:9\n1 | ab\n  |   ^ here\n");
        assert_eq!(shown("", 1, 0), "error: wrong\n --> f.yaml:1:1\n1 | \n  | ^ here\n");
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_marked_place() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let shown = shown(&text, 501, 4);
        let lines: Vec<&str> = shown.lines().collect();

        assert_eq!(lines[2], format!("1 | …{}HERE{}…", "a".repeat(60), "b".repeat(96)));
        assert_eq!(lines[3], format!("  | {}^^^^ here", " ".repeat(61)));
    }

    #[test]
    fn a_file_of_nonsense_prints_a_hundred_problems_and_counts_the_rest() {
        let found = vec![Diagnostic::warning(Span::START, "odd"); 250];
        let text = Report::new("f.yaml", "x", found).to_string();

        assert_eq!(text.matches("warning: odd").count(), 100);
        assert!(text.ends_with("\n… and 150 more\n"), "{text}");
    }
}
