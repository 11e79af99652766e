//! OpenAI's chat completions, as llama.cpp and its like speak them.

use mesh_models::{ChatRequest, FinishReason, JsonSchema, Message, ModelEvent, Provider, Usage};
use serde_json::json;

use crate::server::{Answer, Server, complete, hi, text};

/// With a role-only chunk, a sign of life, a character of three bytes, and usage after the finish reason.
const ANSWER: &str = concat!(
    "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\r\n\r\n",
    ": still there\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"4 \"},\"finish_reason\":null}],\"usage\":null}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"€\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\
     \"prompt_tokens_details\":{\"cached_tokens\":4}}}\r\n\r\n",
    "data: [DONE]\r\n\r\n",
);

fn is_the_answer(events: &[ModelEvent]) {
    let [started, four, euro, ModelEvent::Usage(usage), finished] = events else { panic!("{events:?}") };
    assert_eq!(*started, ModelEvent::Started { model: "m-1".to_owned() });
    assert_eq!([four, euro], [&text("4 "), &text("€")]);
    assert_eq!((usage.input, usage.output, usage.cache_read, usage.cache_write), (9, 3, 4, 0));
    assert_eq!(*finished, ModelEvent::Finished { reason: FinishReason::Stop });
}

#[tokio::test]
async fn an_answer_comes_as_events_in_order() {
    let server = Server::start(Answer::events(ANSWER)).await;
    is_the_answer(&complete(&server.openai()).await);
}

#[tokio::test]
async fn an_answer_split_anywhere_is_the_same_answer() {
    for line_end in ["\r\n", "\n", "\r"] {
        let bytes = ANSWER.replace("\r\n", line_end).into_bytes();
        for at in 1..bytes.len() {
            let (left, right) = bytes.split_at(at);
            let server = Server::start(Answer::Events(vec![left.to_vec(), right.to_vec()])).await;
            is_the_answer(&complete(&server.openai()).await);
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_the_same_answer() {
    let bytes = ANSWER.bytes().map(|byte| vec![byte]).collect();
    let server = Server::start(Answer::Events(bytes)).await;
    is_the_answer(&complete(&server.openai()).await);
}

#[tokio::test]
async fn thinking_is_told_from_the_answer() {
    let server = Server::start(Answer::events(
        "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n\
         data: {\"choices\":[{\"delta\":{\"reasoning\":\"so\",\"content\":\"yes\"},\"finish_reason\":\"length\"}]}\n\n\
         data: [DONE]\n\n",
    ))
    .await;
    let events = complete(&server.openai()).await;
    let thought = |text: &str| ModelEvent::Reasoning(text.to_owned());
    let finished = ModelEvent::Finished { reason: FinishReason::Length };
    assert_eq!(events[1..], [thought("hm"), thought("so"), text("yes"), finished]);
}

#[tokio::test]
async fn an_end_without_a_reason_is_still_an_end() {
    let server = Server::start(Answer::events("data: {\"choices\":[]}\n\ndata: [DONE]\n\n")).await;
    let events = complete(&server.openai()).await;
    assert_eq!(events.last(), Some(&ModelEvent::Finished { reason: FinishReason::Unstated }));
}

#[tokio::test]
async fn the_whole_answer_is_collected() {
    let server = Server::start(Answer::events(ANSWER)).await;
    let answer = server.openai().stream(hi()).await.unwrap().collected().await.unwrap();
    assert_eq!((answer.model.as_str(), answer.text.as_str()), ("m-1", "4 €"));
    assert_eq!((answer.usage.input, answer.usage.output), (9, 3));
    assert_ne!(answer.usage, Usage::new(9, 3), "cached tokens are kept");
    assert_eq!(answer.reason, Some(FinishReason::Stop));
}

#[tokio::test]
async fn the_request_says_what_was_asked_and_nothing_else() {
    let server = Server::start(Answer::events(ANSWER)).await;
    complete(&server.openai()).await;
    let request = server.request().await;
    assert!(request.head.starts_with("post /v1/chat/completions http/1.1"), "{}", request.head);
    assert!(request.head.contains("authorization: bearer sk-test-key"), "{}", request.head);
    // The name is sent as it stands, although `-max` looks like an option to some.
    let expected = json!({
        "model": "qwen-max",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn every_option_reaches_the_server() {
    let server = Server::start(Answer::events(ANSWER)).await;
    let schema = json!({"type": "object", "properties": {"steps": {"type": "array", "maxItems": 3}}});
    let turns = [Message::user("a"), Message::assistant("b"), Message::user("c")];
    let request = ChatRequest::conversation(turns)
        .with_model("other")
        .with_system("be brief")
        .with_max_tokens(20)
        .with_temperature(0.2)
        .with_stop("END")
        .with_response_schema(JsonSchema::new("plan", schema));
    server.openai().stream(request).await.unwrap().collected().await.unwrap();
    let expected = json!({
        "model": "other",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "max_tokens": 20,
        "temperature": 0.2,
        "stop": ["END"],
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "plan",
            "strict": true,
            "schema": {
                "type": "object",
                "properties": {"steps": {"type": "array", "maxItems": 3}},
                "additionalProperties": false,
            },
        }},
    });
    assert_eq!(server.request().await.body, expected);
}
