//! Items in JSON.

use serde_json::{Deserializer, Value};

use super::fence;

/// The keys of an object that hold its items, the first array counts.
const KEYS: [&str; 3] = ["steps", "tasks", "items"];

/// The items of the first JSON in the text that has any, or nothing if there is none.
pub(super) fn items(text: &str) -> Option<Vec<String>> {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return elements(value).map(texts);
    }
    let fenced = fence::blocks(text).iter().find_map(|block| elements(serde_json::from_str(block).ok()?));
    fenced.or_else(|| in_prose(text)).map(texts)
}

/// JSON that begins a line and has the rest of its last line for itself. An array has to hold texts or objects, since
/// `[1]` on a line of prose is a footnote.
fn in_prose(text: &str) -> Option<Vec<Value>> {
    let mut from = 0;
    while from < text.len() {
        let rest = &text[from..];
        let line_len = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let mut taken = line_len;
        if rest[..line_len].trim_start().starts_with(['[', '{']) {
            let mut values = Deserializer::from_str(rest).into_iter::<Value>();
            if let Some(Ok(value)) = values.next() {
                let end = values.byte_offset();
                let line_end = rest[end..].find('\n').map_or(rest.len(), |newline| end + newline);
                let is_alone = rest[end..line_end].trim().is_empty();
                match elements(value) {
                    Some(found)
                        if is_alone && found.iter().all(|item| item.is_string() || item.is_object()) =>
                    {
                        return Some(found);
                    }
                    // What is inside of this value is no list of its own.
                    _ => taken = line_end.max(line_len),
                }
            }
        }
        from += taken;
    }
    None
}

fn elements(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(elements) => Some(elements),
        Value::Object(mut object) => KEYS.into_iter().find_map(|key| match object.remove(key)? {
            Value::Array(elements) => Some(elements),
            _ => None,
        }),
        _ => None,
    }
}

fn texts(elements: Vec<Value>) -> Vec<String> {
    let text = |element| match element {
        Value::String(text) => text,
        other => other.to_string(),
    };
    elements.into_iter().map(text).collect()
}
