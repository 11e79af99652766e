//! The whole answer, put together from its pieces.

use serde::de::DeserializeOwned;

use crate::{FinishReason, ModelError, ModelEvent, ToolCall, Usage};

/// More than any model writes in one answer; a server that goes on for ever must not fill the memory.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// What a call costs at least, so that empty ones are not free.
const CALL_BYTES: usize = 64;

/// A model's answer so far: push each event, or take all at once from
/// [`ModelStream::collected`](crate::ModelStream::collected).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// The model's name as the server gave it; empty before [`ModelEvent::Started`].
    pub model: String,
    /// The answer.
    pub text: String,
    /// The model's thinking, where the server showed it.
    pub reasoning: String,
    /// The tools that the model asks for, in its order.
    pub calls: Vec<ToolCall>,
    /// Tokens of the call; zero where the server doesn't count.
    pub usage: Usage,
    /// Why the model stopped; `None` until it has.
    pub reason: Option<FinishReason>,
    /// The server's numbers of `calls`.
    indices: Vec<u32>,
}

impl Collected {
    /// Adds the next event. Kinds of event that this type has no place for are passed over.
    ///
    /// # Errors
    /// [`ModelError::BadReply`] when text, thinking and calls together exceed 4 MiB, or arguments belong to no call; the
    /// event is not added.
    pub fn push(&mut self, event: ModelEvent) -> Result<(), ModelError> {
        if self.len_bytes() + len_bytes(&event) > ANSWER_BYTES_MAX {
            return Err(ModelError::BadReply { reason: "the answer is longer than 4 MiB".to_owned() });
        }
        match event {
            ModelEvent::Started { model } => self.model = model,
            ModelEvent::Text(piece) => self.text.push_str(&piece),
            ModelEvent::Reasoning(piece) => self.reasoning.push_str(&piece),
            ModelEvent::ToolCall { index, id, name } => {
                self.indices.push(index);
                self.calls.push(ToolCall { id, name, args: String::new() });
            }
            ModelEvent::ToolArgs { index, piece } => self.args(index)?.push_str(&piece),
            ModelEvent::Usage(usage) => self.usage = usage,
            ModelEvent::Finished { reason } => self.reason = Some(reason),
        }
        Ok(())
    }

    fn args(&mut self, index: u32) -> Result<&mut String, ModelError> {
        let at = self.indices.iter().rposition(|known| *known == index);
        let at =
            at.ok_or_else(|| ModelError::BadReply { reason: "arguments without a tool's name".to_owned() })?;
        Ok(&mut self.calls[at].args)
    }

    fn len_bytes(&self) -> usize {
        let calls = self.calls.iter().map(|call| CALL_BYTES + call.args.len()).sum::<usize>();
        self.text.len() + self.reasoning.len() + calls
    }

    /// The answer as the type that the request's schema describes.
    ///
    /// # Errors
    /// [`ModelError::BadReply`] when the answer was cut at its token limit, or is not such a document.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ModelError> {
        serde_json::from_str(&self.text).map_err(|error| {
            let reason = match self.reason {
                Some(FinishReason::Length) => "the answer was cut at its token limit".to_owned(),
                _ => format!("the answer does not fit its schema: {error}"),
            };
            ModelError::BadReply { reason }
        })
    }
}

fn len_bytes(event: &ModelEvent) -> usize {
    match event {
        ModelEvent::Text(piece) | ModelEvent::Reasoning(piece) | ModelEvent::ToolArgs { piece, .. } => {
            piece.len()
        }
        ModelEvent::ToolCall { id, name, .. } => CALL_BYTES + id.len() + name.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_answer_and_the_last_count_holds() {
        let mut answer = Collected::default();
        for event in [
            ModelEvent::Started { model: "m-1".to_owned() },
            ModelEvent::Reasoning("hm".to_owned()),
            ModelEvent::Usage(Usage::new(3, 1)),
            ModelEvent::Text("a".to_owned()),
            ModelEvent::Text("b".to_owned()),
            ModelEvent::Usage(Usage::new(3, 2)),
            ModelEvent::Finished { reason: FinishReason::Stop },
        ] {
            answer.push(event).unwrap();
        }
        assert_eq!(
            (answer.model.as_str(), answer.text.as_str(), answer.reasoning.as_str()),
            ("m-1", "ab", "hm")
        );
        assert_eq!((answer.usage, answer.reason), (Usage::new(3, 2), Some(FinishReason::Stop)));
    }

    #[test]
    fn an_endless_answer_is_refused_before_it_fills_the_memory() {
        let mut answer = Collected::default();
        let mebibyte = || ModelEvent::Text("x".repeat(1 << 20));
        for _ in 0..4 {
            answer.push(mebibyte()).unwrap();
        }
        assert!(matches!(answer.push(mebibyte()), Err(ModelError::BadReply { .. })));
        assert_eq!(answer.text.len(), 4 << 20);
    }

    #[test]
    fn calls_that_come_in_turns_are_put_together_by_their_numbers() {
        let begin = |index, name: &str| ModelEvent::ToolCall {
            index,
            id: format!("c{index}"),
            name: name.to_owned(),
        };
        let args = |index, piece: &str| ModelEvent::ToolArgs { index, piece: piece.to_owned() };
        let mut answer = Collected::default();
        for event in [begin(0, "read"), args(0, "{\"a\""), begin(3, "list"), args(3, "{}"), args(0, ":1}")] {
            answer.push(event).unwrap();
        }
        assert_eq!(
            answer.calls,
            [ToolCall::new("c0", "read", "{\"a\":1}"), ToolCall::new("c3", "list", "{}")]
        );
        assert!(matches!(answer.push(args(7, "{")), Err(ModelError::BadReply { .. })));
    }

    #[test]
    fn a_cut_document_is_told_from_a_wrong_one() {
        let mut answer = Collected { text: "[\"a\", \"b".to_owned(), ..Collected::default() };
        let wrong = answer.json::<Vec<String>>().unwrap_err().to_string();
        assert!(wrong.contains("does not fit"), "{wrong}");
        answer.reason = Some(FinishReason::Length);
        let cut = answer.json::<Vec<String>>().unwrap_err().to_string();
        assert!(cut.contains("token limit"), "{cut}");
        answer.text.push_str("\"]");
        assert_eq!(answer.json::<Vec<String>>().unwrap(), ["a", "b"]);
    }
}
