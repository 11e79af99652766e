//! What a tool of the mesh answers, in the words of MCP.

use mesh_agents::tools::ToolError;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

/// The answer of a tool. An object is given as JSON, too; its `text`, if there is one, is what a model reads; images and sounds
/// among its `parts` are given as what they are.
pub(super) fn of(answer: Result<Value, ToolError>) -> CallToolResult {
    match answer {
        Ok(Value::Object(object)) => of_object(object),
        Ok(Value::String(text)) => CallToolResult::success(vec![ContentBlock::text(text)]),
        Ok(value) => CallToolResult::success(vec![ContentBlock::text(value.to_string())]),
        Err(error) => failed(&error),
    }
}

fn of_object(mut object: Map<String, Value>) -> CallToolResult {
    let text = object.get("text").and_then(Value::as_str).map(str::to_owned);
    let parts = match object.remove("parts") {
        Some(Value::Array(parts)) => parts,
        Some(other) => {
            object.insert("parts".to_owned(), other);
            Vec::new()
        }
        None => Vec::new(),
    };
    let (media, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| medium(part).is_some());
    if !rest.is_empty() {
        object.insert("parts".to_owned(), rest.into());
    }
    let structured = Value::Object(object);
    let mut content = vec![ContentBlock::text(text.unwrap_or_else(|| structured.to_string()))];
    content.extend(media.iter().filter_map(medium));
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(structured);
    result
}

fn medium(part: &Value) -> Option<ContentBlock> {
    let text = |key: &str| part.get(key).and_then(Value::as_str);
    let (data, mime_type) = (text("data")?, text("mime_type")?);
    match text("type")? {
        "image" => Some(ContentBlock::image(data, mime_type)),
        "audio" => Some(ContentBlock::audio(data, mime_type)),
        _ => None,
    }
}

fn failed(error: &ToolError) -> CallToolResult {
    let ToolError { code, message, may_have_run, .. } = error;
    let mut result = CallToolResult::error(vec![ContentBlock::text(format!("{code}: {message}"))]);
    result.structured_content =
        Some(json!({"code": code, "message": message, "retry": error.retry, "may_have_run": may_have_run}));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_text_for_models_and_json_for_programs() {
        let result = of(Ok(json!({"text": "hi", "bytes": 2})));
        assert_eq!(result.content[0].as_text().unwrap().text, "hi");
        assert_eq!(result.structured_content, Some(json!({"text": "hi", "bytes": 2})));
        let result = of(Ok(json!({"bytes": 2})));
        assert_eq!(result.content[0].as_text().unwrap().text, r#"{"bytes":2}"#);
        let result = of(Ok(json!([1])));
        assert_eq!((result.content.len(), result.structured_content), (1, None));
    }

    #[test]
    fn images_are_images_again() {
        let image = json!({"type": "image", "mime_type": "image/png", "data": "aGk="});
        let link = json!({"type": "resource_link", "uri": "a:b", "name": "b"});
        let result = of(Ok(json!({"text": "", "parts": [image, link]})));
        assert_eq!(result.content.len(), 2);
        assert_eq!(result.content[1], ContentBlock::image("aGk=", "image/png"));
        assert_eq!(result.structured_content, Some(json!({"text": "", "parts": [link]})));
    }

    #[test]
    fn a_failure_says_whether_it_may_have_run() {
        let result = of(Err(ToolError::refused("DENIED", "no")));
        assert_eq!(
            (result.is_error, result.content[0].as_text().unwrap().text.as_str()),
            (Some(true), "DENIED: no")
        );
        let told = result.structured_content.unwrap();
        assert_eq!((&told["code"], &told["may_have_run"]), (&json!("DENIED"), &json!(false)));
    }
}
