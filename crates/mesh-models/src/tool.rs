//! Tools that a model may ask for, and its asking.

use serde_json::Value;

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolForm {
    /// What the model calls it by: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// The JSON Schema of its arguments; the top is an object.
    pub schema: Value,
}

impl ToolForm {
    /// A tool that takes arguments of the form `schema`.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>, schema: Value) -> Self {
        Self { name: name.into(), description: description.into(), schema }
    }
}

/// A model's wish that a tool be called. Nothing has been run or checked yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCall {
    /// The provider's name for this call; its result refers to it.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments, as the JSON text that the model wrote, which may be no JSON at all.
    pub args: String,
}

impl ToolCall {
    /// A call of the tool `name`.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, args: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), args: args.into() }
    }
}
