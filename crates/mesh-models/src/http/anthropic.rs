//! Anthropic's Messages API.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dialect::{parse, piece, reported};
use super::schema;
use crate::{ChatRequest, FinishReason, Message, ModelError, ModelEvent, Role, Usage};

/// The API demands a limit; this one fits all its models.
const MAX_TOKENS_DEFAULT: u32 = 4096;

#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: Vec<Turn<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
}

#[derive(Debug, Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Value },
    ToolResult { tool_use_id: &'a str, content: &'a str },
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
}

#[derive(Debug, Serialize)]
struct OutputConfig {
    format: Format,
}

#[derive(Debug, Serialize)]
struct Format {
    r#type: &'static str,
    schema: Value,
}

impl<'a> Body<'a> {
    pub(super) fn new(request: &'a ChatRequest, model: &'a str) -> Self {
        let tools = request.tools.iter().map(|tool| Tool {
            name: &tool.name,
            description: &tool.description,
            input_schema: &tool.schema,
        });
        Self {
            model,
            max_tokens: request.max_tokens.unwrap_or(MAX_TOKENS_DEFAULT),
            messages: turns(&request.messages),
            stream: true,
            tools: tools.collect(),
            system: request.system.as_deref(),
            temperature: request.temperature,
            stop_sequences: &request.stop,
            output_config: request.response_schema.as_ref().map(|form| OutputConfig {
                format: Format {
                    r#type: "json_schema",
                    schema: schema::without_bounds(&schema::closed(&form.schema)),
                },
            }),
        }
    }
}

/// The results of one turn's calls are one turn of the user.
fn turns(messages: &[Message]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    let mut was_tool = false;
    for message in messages {
        let is_tool = message.role == Role::Tool;
        match turns.last_mut() {
            Some(Turn { content: Content::Blocks(blocks), .. }) if is_tool && was_tool => {
                blocks.push(result(message));
            }
            _ => turns.push(turn(message)),
        }
        was_tool = is_tool;
    }
    turns
}

fn turn(message: &Message) -> Turn<'_> {
    match message.role {
        Role::User => Turn { role: "user", content: Content::Text(&message.text) },
        Role::Tool => Turn { role: "user", content: Content::Blocks(vec![result(message)]) },
        Role::Assistant if message.calls.is_empty() => {
            Turn { role: "assistant", content: Content::Text(&message.text) }
        }
        Role::Assistant => {
            // An empty text block is refused.
            let text = Some(&*message.text).filter(|text| !text.is_empty()).map(|text| Block::Text { text });
            let calls = message.calls.iter().map(|call| Block::ToolUse {
                id: &call.id,
                name: &call.name,
                // What the model wrote may be no JSON; it must be told so by the result.
                input: serde_json::from_str(&call.args)
                    .ok()
                    .filter(Value::is_object)
                    .unwrap_or_else(|| json!({})),
            });
            Turn { role: "assistant", content: Content::Blocks(text.into_iter().chain(calls).collect()) }
        }
    }
}

fn result(message: &Message) -> Block<'_> {
    let tool_use_id = message.answers.as_deref().unwrap_or_default();
    Block::ToolResult { tool_use_id, content: &message.text }
}

/// Reads `data` fields up to `message_stop`. The type is in the data too, so the event's name isn't needed.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    tokens: Tokens,
    reason: Option<FinishReason>,
}

impl Decoder {
    pub(super) fn read(
        &mut self,
        data: &str,
        mut on_event: impl FnMut(ModelEvent),
    ) -> Result<(), ModelError> {
        let event: Event = parse(data)?;
        match event.r#type.as_str() {
            "error" => return Err(reported(data)),
            "message_start" => {
                let message = event.message.unwrap_or_default();
                if let Some(model) = piece(message.model) {
                    on_event(ModelEvent::Started { model });
                }
                self.count(message.usage, on_event);
            }
            "content_block_start" => on_block(event.index, event.content_block, on_event),
            "content_block_delta" => on_block(event.index, event.delta, on_event),
            "message_delta" => {
                let reason = event.delta.unwrap_or_default().stop_reason;
                self.reason = reason.map(finish_reason).or(self.reason.take());
                self.count(event.usage, on_event);
            }
            "message_stop" => {
                let reason = self.reason.take().unwrap_or(FinishReason::Unstated);
                on_event(ModelEvent::Finished { reason });
            }
            // `ping`, `content_block_stop`, and types that are yet to come, which the API asks its clients to pass over.
            _ => {}
        }
        Ok(())
    }

    /// The counts are running totals, and a later event leaves out what hasn't changed.
    fn count(&mut self, tokens: Option<Tokens>, mut on_event: impl FnMut(ModelEvent)) {
        let Some(tokens) = tokens else { return };
        let held = self.tokens;
        self.tokens = Tokens {
            input_tokens: tokens.input_tokens.or(held.input_tokens),
            output_tokens: tokens.output_tokens.or(held.output_tokens),
            cache_read_input_tokens: tokens.cache_read_input_tokens.or(held.cache_read_input_tokens),
            cache_creation_input_tokens: tokens
                .cache_creation_input_tokens
                .or(held.cache_creation_input_tokens),
        };
        on_event(ModelEvent::Usage(self.tokens.into()));
    }
}

/// Text, thinking and calls; signatures and citations are no part of the answer's text.
fn on_block(index: Option<u32>, part: Option<Part>, mut on_event: impl FnMut(ModelEvent)) {
    let (index, part) = (index.unwrap_or_default(), part.unwrap_or_default());
    if part.r#type.as_deref() == Some("tool_use")
        && let (Some(id), Some(name)) = (part.id, part.name)
    {
        on_event(ModelEvent::ToolCall { index, id, name });
    }
    if let Some(piece) = piece(part.partial_json) {
        on_event(ModelEvent::ToolArgs { index, piece });
    }
    if let Some(thought) = piece(part.thinking) {
        on_event(ModelEvent::Reasoning(thought));
    }
    if let Some(text) = piece(part.text) {
        on_event(ModelEvent::Text(text));
    }
}

fn finish_reason(reason: String) -> FinishReason {
    match reason.as_str() {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refused,
        _ => FinishReason::Other(reason),
    }
}

#[derive(Debug, Deserialize)]
struct Event {
    r#type: String,
    index: Option<u32>,
    message: Option<Start>,
    content_block: Option<Part>,
    delta: Option<Part>,
    usage: Option<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
struct Start {
    model: Option<String>,
    usage: Option<Tokens>,
}

/// A block, a piece of one, or the end of the message: each has some of the fields.
#[derive(Debug, Default, Deserialize)]
struct Part {
    r#type: Option<String>,
    id: Option<String>,
    name: Option<String>,
    partial_json: Option<String>,
    text: Option<String>,
    thinking: Option<String>,
    stop_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let cache_read = tokens.cache_read_input_tokens.unwrap_or_default();
        let cache_write = tokens.cache_creation_input_tokens.unwrap_or_default();
        // Anthropic counts cached tokens apart, OpenAI as part of the input: `Usage` follows OpenAI.
        let input =
            tokens.input_tokens.unwrap_or_default().saturating_add(cache_read).saturating_add(cache_write);
        Self { input, output: tokens.output_tokens.unwrap_or_default(), cache_read, cache_write }
    }
}
