//! What a server answers, as the answer of a tool.

use mesh_agents::tools::ToolError;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::{Map, Value, json};

/// Of text in one answer.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// Of images, sounds and files in one answer, as they are written: base64.
const DATA_BYTES_MAX: usize = 512 << 10;

/// Of what the server gives as JSON.
const STRUCTURED_BYTES_MAX: usize = 128 << 10;

/// Parts that are listed.
const PARTS_MAX: usize = 64;

/// Of what is told of a failure.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// What a server answered: `{"text": …}`, with `"structured"` where it gave JSON too, `"parts"` for all that is no text, each
/// with its `"type"`, and `"is_cut": true` where something was left out for its size.
///
/// # Errors
/// `EXECUTION_ERROR` with its text, where the server says that the tool failed.
pub(super) fn of(result: CallToolResult) -> Result<Value, ToolError> {
    let failed = result.is_error == Some(true);
    let mut answer = Answer::default();
    for block in result.content {
        answer.take(block);
    }
    if failed {
        let text = if answer.text.is_empty() { "the server says that it failed" } else { &answer.text };
        return Err(ToolError::failed(crate::cut(text, MESSAGE_BYTES_MAX).0));
    }
    Ok(answer.written(result.structured_content))
}

#[derive(Default)]
struct Answer {
    text: String,
    parts: Vec<Value>,
    data_bytes: usize,
    is_cut: bool,
}

impl Answer {
    fn take(&mut self, block: ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.say(&text.text),
            ContentBlock::Image(image) => self.data("image", Some(&image.mime_type), None, &image.data),
            ContentBlock::Audio(audio) => self.data("audio", Some(&audio.mime_type), None, &audio.data),
            ContentBlock::Resource(embedded) => match &embedded.resource {
                ResourceContents::TextResourceContents { text, .. } => self.say(text),
                ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                    self.data("resource", mime_type.as_deref(), Some(uri), blob);
                }
                _ => self.is_cut = true,
            },
            ContentBlock::ResourceLink(link) => {
                let part =
                    json!({"type": "resource_link", "uri": short(&link.uri), "name": short(&link.name)});
                self.part(part);
            }
            // A later kind of content, which nothing here could show.
            _ => self.is_cut = true,
        }
    }

    fn say(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let room = TEXT_BYTES_MAX.saturating_sub(self.text.len());
        let (kept, is_cut) = crate::cut(text, room);
        self.text.push_str(kept);
        self.is_cut |= is_cut;
    }

    fn data(&mut self, kind: &str, mime_type: Option<&str>, uri: Option<&str>, data: &str) {
        let mut part = Map::new();
        part.insert("type".to_owned(), kind.into());
        part.extend(mime_type.map(|mime_type| ("mime_type".to_owned(), short(mime_type).into())));
        part.extend(uri.map(|uri| ("uri".to_owned(), short(uri).into())));
        if self.data_bytes + data.len() <= DATA_BYTES_MAX {
            self.data_bytes += data.len();
            part.insert("data".to_owned(), data.into());
        } else {
            part.insert("left_out_bytes".to_owned(), (data.len() / 4 * 3).into());
            self.is_cut = true;
        }
        self.part(Value::Object(part));
    }

    fn part(&mut self, part: Value) {
        if self.parts.len() < PARTS_MAX { self.parts.push(part) } else { self.is_cut = true }
    }

    fn written(mut self, structured: Option<Value>) -> Value {
        let mut answer = Map::new();
        let structured = structured.filter(|value| {
            let fits = value.to_string().len() <= STRUCTURED_BYTES_MAX;
            self.is_cut |= !fits;
            fits
        });
        answer.insert("text".to_owned(), self.text.into());
        answer.extend(structured.map(|value| ("structured".to_owned(), value)));
        if !self.parts.is_empty() {
            answer.insert("parts".to_owned(), self.parts.into());
        }
        if self.is_cut {
            answer.insert("is_cut".to_owned(), true.into());
        }
        Value::Object(answer)
    }
}

fn short(text: &str) -> &str {
    crate::cut(text, 1024).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_and_json_stands_beside_them() {
        let content = vec![ContentBlock::text("one"), ContentBlock::text("two")];
        let mut result = CallToolResult::success(content);
        assert_eq!(of(result.clone()), Ok(json!({"text": "one\ntwo"})));
        result.structured_content = Some(json!({"n": 1}));
        assert_eq!(of(result), Ok(json!({"text": "one\ntwo", "structured": {"n": 1}})));
    }

    #[test]
    fn what_a_server_calls_an_error_is_one() {
        let error = of(CallToolResult::error(vec![ContentBlock::text("no such city")])).unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("EXECUTION_ERROR", "no such city"));
        assert!(error.may_have_run && !error.in_doubt);
        let long = of(CallToolResult::error(vec![ContentBlock::text("x".repeat(1 << 20))])).unwrap_err();
        assert_eq!(long.message.len(), MESSAGE_BYTES_MAX);
    }

    #[test]
    fn an_answer_is_never_larger_than_a_tool_s_may_be() {
        let (large, larger) = ("x".repeat(TEXT_BYTES_MAX - 1), "y".repeat(DATA_BYTES_MAX + 1));
        let mut content = vec![ContentBlock::image("aGk=", "image/png"), ContentBlock::text(large)];
        content.extend((0..200).map(|_| ContentBlock::text("more")));
        content.push(ContentBlock::image(larger, "image/png"));
        content.extend((0..200).map(|_| ContentBlock::audio("aGk=", "m".repeat(5000))));
        let mut result = CallToolResult::success(content);
        result.structured_content = Some("z".repeat(1 << 20).into());
        let answer = of(result).unwrap();
        assert_eq!(answer["parts"][0], json!({"type": "image", "mime_type": "image/png", "data": "aGk="}));
        assert!(answer["parts"][1]["left_out_bytes"].is_u64(), "{}", answer["parts"][1]);
        assert_eq!((&answer["is_cut"], answer.get("structured")), (&json!(true), None));
        assert!(answer.to_string().len() < (1 << 20) - (16 << 10), "{}", answer.to_string().len());
    }
}
