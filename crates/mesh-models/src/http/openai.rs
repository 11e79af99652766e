//! OpenAI's chat completions, as OpenAI, llama.cpp, vLLM and Ollama speak them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dialect::{parse, piece, reported};
use super::schema;
use crate::{ChatRequest, FinishReason, Message, ModelError, ModelEvent, Role, Usage};

#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Debug, Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: CalledFunction<'a>,
}

#[derive(Debug, Serialize)]
struct CalledFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

impl<'a> Turn<'a> {
    fn system(text: &'a str) -> Self {
        Self { role: "system", content: text, tool_calls: Vec::new(), tool_call_id: None }
    }

    fn of(message: &'a Message) -> Self {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let calls = message.calls.iter().map(|call| Call {
            id: &call.id,
            r#type: "function",
            function: CalledFunction { name: &call.name, arguments: &call.args },
        });
        Self {
            role,
            content: &message.text,
            tool_calls: calls.collect(),
            tool_call_id: message.answers.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: NamedSchema<'a>,
}

#[derive(Debug, Serialize)]
struct NamedSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: Value,
}

impl<'a> Body<'a> {
    pub(super) fn new(request: &'a ChatRequest, model: &'a str, has_completion_limit: bool) -> Self {
        let system = request.system.iter().map(|text| Turn::system(text));
        let turns = request.messages.iter().map(Turn::of);
        let tools = request.tools.iter().map(|tool| Tool {
            r#type: "function",
            function: Function { name: &tool.name, description: &tool.description, parameters: &tool.schema },
        });
        Self {
            model,
            messages: system.chain(turns).collect(),
            tools: tools.collect(),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: request.max_tokens.filter(|_| !has_completion_limit),
            max_completion_tokens: request.max_tokens.filter(|_| has_completion_limit),
            temperature: request.temperature,
            stop: &request.stop,
            response_format: request.response_schema.as_ref().map(|form| ResponseFormat {
                r#type: "json_schema",
                json_schema: NamedSchema {
                    name: &form.name,
                    strict: true,
                    schema: schema::closed(&form.schema),
                },
            }),
        }
    }
}

/// Reads `data` fields up to `[DONE]`. The finish reason comes before the usage, so it is held back.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    reason: Option<FinishReason>,
}

impl Decoder {
    pub(super) fn read(
        &mut self,
        data: &str,
        mut on_event: impl FnMut(ModelEvent),
    ) -> Result<(), ModelError> {
        if data == "[DONE]" {
            on_event(ModelEvent::Finished { reason: self.reason.take().unwrap_or(FinishReason::Unstated) });
            return Ok(());
        }
        let chunk: Chunk = parse(data)?;
        if chunk.error.is_some() {
            return Err(reported(data));
        }
        // Every chunk names the model; the first one counts.
        if let Some(model) = piece(chunk.model) {
            on_event(ModelEvent::Started { model });
        }
        // Only one choice was asked for.
        if let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() {
            let delta = choice.delta.unwrap_or_default();
            // The name depends on the server and its version.
            if let Some(thought) = piece(delta.reasoning_content).or_else(|| piece(delta.reasoning)) {
                on_event(ModelEvent::Reasoning(thought));
            }
            if let Some(text) = piece(delta.content).or_else(|| piece(delta.refusal)) {
                on_event(ModelEvent::Text(text));
            }
            for call in delta.tool_calls.unwrap_or_default() {
                on_call(call, &mut on_event);
            }
            if let Some(reason) = choice.finish_reason {
                self.reason = Some(finish_reason(reason));
            }
        }
        if let Some(usage) = chunk.usage {
            on_event(ModelEvent::Usage(usage.into()));
        }
        Ok(())
    }
}

/// The first piece of a call names it; some servers send the whole call as one piece, without a number.
fn on_call(call: CallPiece, mut on_event: impl FnMut(ModelEvent)) {
    let index = call.index.unwrap_or_default();
    let function = call.function.unwrap_or_default();
    if let (Some(id), Some(name)) = (piece(call.id), piece(function.name)) {
        on_event(ModelEvent::ToolCall { index, id, name });
    }
    if let Some(piece) = piece(function.arguments) {
        on_event(ModelEvent::ToolArgs { index, piece });
    }
}

fn finish_reason(reason: String) -> FinishReason {
    match reason.as_str() {
        "stop" => FinishReason::Stop,
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::Refused,
        _ => FinishReason::Other(reason),
    }
}

// Servers write `null` as freely as they leave a field out, hence the options around lists.
#[derive(Debug, Deserialize)]
struct Chunk {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Tokens>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Debug, Deserialize)]
struct CallPiece {
    index: Option<u32>,
    id: Option<String>,
    function: Option<FunctionPiece>,
}

#[derive(Debug, Default, Deserialize)]
struct FunctionPiece {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptTokens>,
}

#[derive(Debug, Deserialize)]
struct PromptTokens {
    cached_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input: tokens.prompt_tokens.unwrap_or_default(),
            output: tokens.completion_tokens.unwrap_or_default(),
            cache_read: tokens.prompt_tokens_details.and_then(|part| part.cached_tokens).unwrap_or_default(),
            cache_write: 0,
        }
    }
}
