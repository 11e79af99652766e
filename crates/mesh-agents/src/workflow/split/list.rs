//! Items in a numbered or bulleted list.

use super::fence::{self, Part};

/// A list of one is prose with a dash, as often as not.
const ITEMS_MIN: usize = 2;

/// Markers this much deeper are still on the same level, so that ` 9.` and `10.` are.
const LEVEL_TOLERANCE: usize = 1;

const TAB_COLUMNS: usize = 4;

/// The items of the list in the text, or nothing if it has none.
pub(super) fn items(text: &str) -> Option<Vec<String>> {
    let inside = fence::only_block(text);
    let lines: Vec<Line<'_>> =
        fence::parts(inside.as_deref().unwrap_or(text)).into_iter().map(Line::from).collect();
    let level = Level::of(&lines)?;

    let mut items: Vec<Vec<&str>> = Vec::new();
    let mut is_open = false;
    let mut has_prose = false;
    let mut after_blank = false;
    for line in &lines {
        let is_blank = line.text.trim().is_empty();
        if let Some(marker) = line.marker().filter(|marker| level.has(line, marker)) {
            items.push(vec![marker.rest]);
            is_open = true;
        } else if is_open && (is_blank || level.continues(line, after_blank)) {
            items.last_mut().expect("an open item has been pushed").push(line.text);
        } else if !is_blank {
            is_open = false;
            has_prose = true;
        }
        after_blank = is_blank;
    }

    let items: Vec<String> = items.iter().map(|lines| item(lines)).filter(|item| !item.is_empty()).collect();
    let is_list = items.len() >= ITEMS_MIN || (items.len() == 1 && !has_prose);
    is_list.then_some(items)
}

/// The markers that begin an item: those of one kind at the smallest indent.
struct Level {
    indent: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Bullet,
}

impl Level {
    fn of(lines: &[Line<'_>]) -> Option<Self> {
        let markers: Vec<(usize, Kind)> =
            lines.iter().filter_map(|line| Some((line.indent, line.marker()?.kind))).collect();
        let top = markers.iter().map(|(indent, _)| *indent).min()?;
        let count = |kind| {
            let is_top = |(indent, of): &&(usize, Kind)| *of == kind && *indent <= top + LEVEL_TOLERANCE;
            markers.iter().filter(is_top).count()
        };
        let is_numbered = count(Kind::Number) >= ITEMS_MIN || count(Kind::Bullet) == 0;
        let kind = if is_numbered { Kind::Number } else { Kind::Bullet };
        let indent = markers.iter().filter(|(_, of)| *of == kind).map(|(indent, _)| *indent).min()?;
        Some(Self { indent, kind })
    }

    fn has(&self, line: &Line<'_>, marker: &Marker<'_>) -> bool {
        marker.kind == self.kind && line.indent <= self.indent + LEVEL_TOLERANCE
    }

    /// Whether a line that begins no item belongs to the item above it. As in Markdown, prose at the margin does
    /// so only without a blank line between.
    fn continues(&self, line: &Line<'_>, after_blank: bool) -> bool {
        let is_detail =
            self.kind == Kind::Number && line.marker().is_some_and(|marker| marker.kind == Kind::Bullet);
        let is_lazy = !after_blank && !line.text.trim_start().starts_with('#');
        line.indent > self.indent || line.is_fenced || is_detail || is_lazy
    }
}

/// An item's text without its marker, its other lines moved to the margin together.
fn item(lines: &[&str]) -> String {
    let Some((first, others)) = lines.split_first() else { return String::new() };
    let written = others.iter().filter(|line| !line.trim().is_empty());
    let shift = written.map(|line| indent(line)).min().unwrap_or(0);
    let mut text = without_checkbox(first.trim()).to_owned();
    for line in others {
        text.push('\n');
        // Not a format width: more than 65,535 columns there are a panic, and a model may write as many.
        text.push_str(&" ".repeat(indent(line).saturating_sub(shift)));
        text.push_str(line.trim());
    }
    text.trim().to_owned()
}

/// `[ ] buy milk` is the task to buy milk.
fn without_checkbox(text: &str) -> &str {
    ["[ ] ", "[x] ", "[X] "]
        .into_iter()
        .find_map(|checkbox| text.strip_prefix(checkbox))
        .unwrap_or(text)
        .trim()
}

fn indent(line: &str) -> usize {
    let spaces = line.chars().take_while(|c| matches!(c, ' ' | '\t'));
    spaces.map(|c| if c == '\t' { TAB_COLUMNS } else { 1 }).sum()
}

struct Line<'t> {
    text: &'t str,
    indent: usize,
    is_fenced: bool,
}

impl<'t> From<(&'t str, Part)> for Line<'t> {
    fn from((text, part): (&'t str, Part)) -> Self {
        Self { text, indent: indent(text), is_fenced: part != Part::Prose }
    }
}

struct Marker<'t> {
    kind: Kind,
    rest: &'t str,
}

impl<'t> Line<'t> {
    fn marker(&self) -> Option<Marker<'t>> {
        if self.is_fenced {
            return None;
        }
        let line = self.text.trim_start();
        bullet(line).or_else(|| number(line))
    }
}

fn bullet(line: &str) -> Option<Marker<'_>> {
    let rest = line.strip_prefix(['-', '*', '+', '•'])?;
    // `- - -` and `* * *` are rules across the page.
    let is_rule = line.chars().filter(|c| !c.is_whitespace()).count() >= 3
        && line.chars().all(|c| c.is_whitespace() || line.starts_with(c));
    (begins_apart(rest) && !is_rule).then_some(Marker { kind: Kind::Bullet, rest })
}

/// Up to three digits, so that `1815. The battle …` stays prose.
fn number(line: &str) -> Option<Marker<'_>> {
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let rest = line[digits..].strip_prefix(['.', ')'])?;
    ((1..=3).contains(&digits) && begins_apart(rest)).then_some(Marker { kind: Kind::Number, rest })
}

fn begins_apart(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(char::is_whitespace)
}
