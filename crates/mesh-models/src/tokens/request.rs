//! What a whole request is, part by part.

use super::TokenCounter;
use crate::{ChatRequest, Message, ToolForm};

/// What a provider's own form adds to the texts of a request, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Once, if only one word is sent.
    pub request: u64,
    /// For each message, the system's included: its role and its ends.
    pub message: u64,
    /// Once, if there is any tool: what the provider tells the model about tools.
    pub tools: u64,
    /// For each tool.
    pub tool: u64,
    /// For each call of a tool and each result.
    pub call: u64,
}

impl Framing {
    /// OpenAI's: three tokens and the role for each message, and three with which the answer begins (OpenAI's cookbook,
    /// "How to count tokens with tiktoken", sections 6 and 7).
    pub const OPENAI: Self = Self { request: 3, message: 4, tools: 12, tool: 12, call: 8 };

    /// Anthropic's: 346 tokens about tools (its documentation on pricing, "Tool use pricing", for `auto`). What a message
    /// or a tool adds is not published: that is a guess, which a calibrated counter corrects.
    pub const ANTHROPIC: Self = Self { request: 3, message: 5, tools: 346, tool: 16, call: 16 };
}

/// The tokens of a request, by its parts. Each of them has the framing of what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tokens {
    /// Instructions above the conversation.
    pub system: u64,
    /// Tools: names, descriptions and schemas.
    pub tools: u64,
    /// The conversation.
    pub messages: u64,
    /// The form that the answer must have.
    pub schema: u64,
    /// What belongs to the request as a whole.
    pub framing: u64,
}

impl Tokens {
    /// Counts everything of `request` that is sent to the model.
    pub fn of(request: &ChatRequest, counter: &(impl TokenCounter + ?Sized)) -> Self {
        let framing = counter.framing();
        let schema = request.response_schema.as_ref();
        Self {
            system: request.system.as_ref().map_or(0, |text| framing.message + counter.count(text)),
            tools: of_tools(&request.tools, counter),
            messages: request.messages.iter().map(|message| of_message(message, counter)).sum(),
            schema: schema
                .map_or(0, |form| counter.count(&form.name) + counter.count(&form.schema.to_string())),
            framing: framing.request,
        }
    }

    /// The sum of all parts.
    #[must_use]
    pub fn total(self) -> u64 {
        self.system + self.tools + self.messages + self.schema + self.framing
    }
}

pub(crate) fn of_message(message: &Message, counter: &(impl TokenCounter + ?Sized)) -> u64 {
    let framing = counter.framing();
    let calls = message.calls.iter().map(|call| {
        framing.call + counter.count(&call.id) + counter.count(&call.name) + counter.count(&call.args)
    });
    let answers = message.answers.as_ref().map_or(0, |id| framing.call + counter.count(id));
    framing.message + counter.count(&message.text) + calls.sum::<u64>() + answers
}

fn of_tools(tools: &[ToolForm], counter: &(impl TokenCounter + ?Sized)) -> u64 {
    let framing = counter.framing();
    let each = tools.iter().map(|tool| {
        let schema = counter.count(&tool.schema.to_string());
        framing.tool + counter.count(&tool.name) + counter.count(&tool.description) + schema
    });
    if tools.is_empty() { 0 } else { framing.tools + each.sum::<u64>() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Bpe, JsonSchema, ToolCall};

    #[test]
    fn a_message_costs_its_text_and_four_and_the_answer_three() {
        let request = ChatRequest::user("boil the ocean").with_system("Translate.");
        let counter = Bpe::o200k();
        let texts = counter.count("Translate.") + counter.count("boil the ocean");
        assert_eq!(Tokens::of(&request, &counter).total(), texts + 2 * (3 + 1) + 3);
    }

    #[test]
    fn nothing_that_is_sent_is_free() {
        let counter = Bpe::o200k();
        let total = |request: &ChatRequest| Tokens::of(request, &counter).total();
        let plain = ChatRequest::user("hi");
        let schema = json!({"type": "object"});
        for more in [
            plain.clone().with_system(""),
            plain.clone().with_tool(ToolForm::new("read", "", schema.clone())),
            plain.clone().with_response_schema(JsonSchema::new("form", schema)),
            ChatRequest::conversation([Message::user("hi"), Message::assistant("")]),
            ChatRequest::conversation([
                Message::user("hi"),
                Message::calling("", [ToolCall::new("1", "a", "")]),
            ]),
        ] {
            assert!(total(&more) > total(&plain), "{more:?}");
        }
        let result = ChatRequest::conversation([Message::tool("call_1", "hi")]);
        assert!(total(&result) > total(&plain));
    }
}
