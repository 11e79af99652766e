//! Tables and colours for people.

use unicode_width::UnicodeWidthStr;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(pub(crate) bool);

/// A meaning that has a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
    Faint,
    Head,
}

impl Paint {
    /// Colours only on a terminal, and not where `NO_COLOR` is set to anything (no-color.org).
    pub(crate) fn for_stream(is_terminal: bool) -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(is_terminal && !is_unwanted)
    }

    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "1;31",
            Tone::Faint => "2",
            Tone::Head => "1",
            Tone::Plain => return text.to_owned(),
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text that a terminal cannot take for a command, whoever wrote it.
    pub(crate) fn new(text: &str, tone: Tone) -> Self {
        let text = if text.is_empty() { "–".to_owned() } else { printable(text) };
        Self { text, tone }
    }

    /// Nothing at all.
    pub(crate) fn blank() -> Self {
        Self { text: String::new(), tone: Tone::Plain }
    }

    pub(crate) fn plain(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Control characters are shown as what they are.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// A column's heading, and whether its values are numbers, which stand at the right.
pub(crate) type Column = (&'static str, bool);

/// Lays rows out under their headings; each line ends with a line feed.
pub(crate) fn table<const N: usize>(columns: [Column; N], rows: &[[Cell; N]], paint: Paint) -> String {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].text.width());
        cells.chain([columns[at].0.width()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[Cell; N]| {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[at] - cell.text.width());
            let painted = paint.text(cell.tone, &cell.text);
            let gap = if at == 0 { "" } else { "  " };
            let is_number = columns[at].1;
            line += &if is_number {
                format!("{gap}{padding}{painted}")
            } else {
                format!("{gap}{painted}{padding}")
            };
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    };
    let head = columns.map(|(name, _)| Cell::new(name, Tone::Head));
    std::iter::once(&head).chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            [Cell::plain("alpha"), Cell::new("alive", Tone::Good), Cell::plain("9")],
            [Cell::plain("日本"), Cell::plain(""), Cell::plain("1024")],
        ];
        let columns = [("NAME", false), ("STATE", false), ("ACTORS", true)];
        insta::assert_snapshot!(table(columns, &rows, Paint(false)), @r"
        NAME   STATE  ACTORS
        alpha  alive       9
        日本   –        1024
        ");
    }

    #[test]
    fn colours_come_on_request_only() {
        assert_eq!(Paint(false).text(Tone::Bad, "x"), "x");
        assert_eq!(Paint(true).text(Tone::Bad, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(Paint(true).text(Tone::Plain, "x"), "x");
        assert_eq!(Paint::for_stream(false), Paint(false));
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(Cell::plain("a\x1b[2Jb").text, "a\\u{1b}[2Jb");
    }
}
