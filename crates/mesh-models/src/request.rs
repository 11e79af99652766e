//! What one asks of a model.

use serde_json::Value;
use tokio::time::Instant;

use crate::{ToolCall, ToolForm};

/// One call of a model: the conversation so far and how to go on.
///
/// ```
/// use mesh_models::ChatRequest;
///
/// let request = ChatRequest::user("Name three tides.").with_system("Answer in one line.").with_max_tokens(40);
/// assert_eq!(request.messages.len(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The model's name; `None` takes the one of the provider's settings.
    pub model: Option<String>,
    /// Instructions that stand above the conversation.
    pub system: Option<String>,
    /// Tools that the model may ask for.
    pub tools: Vec<ToolForm>,
    /// The conversation, oldest first; at least one message.
    pub messages: Vec<Message>,
    /// Most tokens to write. `None` leaves it to the server; for Anthropic, which demands a number, it means 4096.
    pub max_tokens: Option<u32>,
    /// 0 for the likeliest words, up to 2 (Anthropic: 1) for the most varied; `None` leaves it to the server.
    pub temperature: Option<f32>,
    /// Texts at which the model stops; the text itself is not part of the answer. OpenAI takes at most 4.
    pub stop: Vec<String>,
    /// The answer must be a JSON document of this form.
    pub response_schema: Option<JsonSchema>,
    /// When the whole call must be over. The provider's own limits hold besides; the earlier one counts.
    pub deadline: Option<Instant>,
}

impl ChatRequest {
    /// A request with one message of the user.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::conversation([Message::user(text)])
    }

    /// A request that goes on from `messages`, oldest first.
    #[must_use]
    pub fn conversation(messages: impl IntoIterator<Item = Message>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    /// Names the model, instead of the one of the provider's settings.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets the instructions that stand above the conversation.
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }

    /// Adds a tool that the model may ask for.
    #[must_use]
    pub fn with_tool(mut self, tool: ToolForm) -> Self {
        self.tools.push(tool);
        self
    }

    /// Limits the answer's length, in tokens.
    #[must_use]
    pub fn with_max_tokens(mut self, max_tokens: u32) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Sets the sampling temperature, 0 to 2.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Adds a text at which the model stops.
    #[must_use]
    pub fn with_stop(mut self, stop: impl Into<String>) -> Self {
        self.stop.push(stop.into());
        self
    }

    /// Demands an answer that is a JSON document of the form `schema`.
    #[must_use]
    pub fn with_response_schema(mut self, schema: JsonSchema) -> Self {
        self.response_schema = Some(schema);
        self
    }

    /// Sets when the whole call must be over.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; for a tool, its result.
    pub text: String,
    /// The tools that the model wants to be called; only the model's turns have any.
    pub calls: Vec<ToolCall>,
    /// The id of the call whose result this is; only a tool's turns have one.
    pub answers: Option<String>,
}

impl Message {
    /// A turn of the user.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into(), calls: Vec::new(), answers: None }
    }

    /// A turn of the model.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, ..Self::user(text) }
    }

    /// A turn in which the model asks for tools. Each call must be answered by a [`tool`](Self::tool) turn before the
    /// next turn of somebody else; providers refuse a conversation in which one is missing.
    #[must_use]
    pub fn calling(text: impl Into<String>, calls: impl IntoIterator<Item = ToolCall>) -> Self {
        Self { calls: calls.into_iter().collect(), ..Self::assistant(text) }
    }

    /// The result of the call with the id `call`.
    #[must_use]
    pub fn tool(call: impl Into<String>, result: impl Into<String>) -> Self {
        Self { role: Role::Tool, answers: Some(call.into()), ..Self::user(result) }
    }
}

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// A tool that the model asked for.
    Tool,
}

/// The form of a JSON answer.
///
/// Providers differ in what they take. All take objects, arrays, strings, numbers, `enum` and `const`. Hosted ones
/// want every property to be required and every object closed (`"additionalProperties": false`). Bounds on lengths
/// and numbers are left out for Anthropic, which refuses them, so check the answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JsonSchema {
    /// A name for the form: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// The JSON Schema; the top is an object for hosted providers.
    pub schema: Value,
}

impl JsonSchema {
    /// The form `schema` under a name.
    #[must_use]
    pub fn new(name: impl Into<String>, schema: Value) -> Self {
        Self { name: name.into(), schema }
    }
}
