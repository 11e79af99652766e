//! Fenced blocks, as in Markdown: what stands in them is code and no prose.

/// What a line is to the fences around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Prose,
    Opens,
    Code,
    Closes,
}

/// The lines of a text with their parts. A fence that is never closed reaches to the end: the model ran out of
/// tokens.
pub(super) fn parts(text: &str) -> Vec<(&str, Part)> {
    let mut open: Option<&str> = None;
    let part = |line| {
        let part = match (open, fence(line)) {
            (Some(mark), Some((closing, ""))) if closing.starts_with(mark) => Part::Closes,
            (Some(_), _) => Part::Code,
            (None, Some(_)) => Part::Opens,
            (None, None) => Part::Prose,
        };
        match part {
            Part::Opens => open = fence(line).map(|(mark, _)| mark),
            Part::Closes => open = None,
            Part::Code | Part::Prose => {}
        }
        (line, part)
    };
    text.lines().map(part).collect()
}

/// What stands in each fenced block.
pub(super) fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for (line, part) in parts(text) {
        match (part, blocks.last_mut()) {
            (Part::Opens, _) => blocks.push(String::new()),
            (Part::Code, Some(block)) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// The inside of the one block that is all of the text.
pub(super) fn only_block(text: &str) -> Option<String> {
    let has_prose = parts(text).iter().any(|(line, part)| *part == Part::Prose && !line.trim().is_empty());
    let mut blocks = blocks(text);
    let only = blocks.pop().filter(|_| !has_prose)?;
    blocks.is_empty().then_some(only)
}

/// The fence's mark and what is written after it, as in ```` ```json ````.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mark = ['`', '~'].into_iter().find(|mark| line.starts_with(*mark))?;
    let len = line.chars().take_while(|c| *c == mark).count();
    (len >= 3).then(|| (&line[..len], line[len..].trim()))
}
