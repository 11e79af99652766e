//! Anthropic's Messages API.

use mesh_models::{ChatRequest, FinishReason, JsonSchema, ModelError, ModelEvent, Provider, Retry};
use serde_json::json;

use crate::server::{Answer, Server, complete, run, text};

/// With thinking and its signature, a ping, a citation, an event type of the future, and counts that come in parts.
const ANSWER: &str = concat!(
    "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-1\",\"usage\":\
     {\"input_tokens\":5,\"cache_read_input_tokens\":3,\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\r\n\r\n",
    "event: content_block_start\r\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":\
     {\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\r\n\r\n",
    "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
     {\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\r\n\r\n",
    "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
     {\"type\":\"signature_delta\",\"signature\":\"abc\"}}\r\n\r\n",
    "event: content_block_stop\r\ndata: {\"type\":\"content_block_stop\",\"index\":0}\r\n\r\n",
    "event: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\n",
    "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":\
     {\"type\":\"text_delta\",\"text\":\"4 €\"}}\r\n\r\n",
    "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":\
     {\"type\":\"citations_delta\",\"citation\":{\"type\":\"char_location\"}}}\r\n\r\n",
    "event: tomorrow\r\ndata: {\"type\":\"tomorrow\",\"news\":1}\r\n\r\n",
    "event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\
     \"stop_sequence\":null},\"usage\":{\"output_tokens\":7}}\r\n\r\n",
    "event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n",
);

fn is_the_answer(events: &[ModelEvent]) {
    let [started, ModelEvent::Usage(_), thought, words, ModelEvent::Usage(usage), finished] = events else {
        panic!("{events:?}")
    };
    assert_eq!(*started, ModelEvent::Started { model: "claude-1".to_owned() });
    assert_eq!([thought, words], [&ModelEvent::Reasoning("hm".to_owned()), &text("4 €")]);
    assert_eq!((usage.input, usage.output, usage.cache_read, usage.cache_write), (10, 7, 3, 2));
    assert_eq!(*finished, ModelEvent::Finished { reason: FinishReason::Stop });
}

#[tokio::test]
async fn an_answer_split_anywhere_is_the_same_answer() {
    for line_end in ["\r\n", "\n"] {
        let bytes = ANSWER.replace("\r\n", line_end).into_bytes();
        for at in 0..bytes.len() {
            let pieces = bytes.split_at(at);
            let pieces = [pieces.0, pieces.1].into_iter().filter(|piece| !piece.is_empty());
            let server = Server::start(Answer::Events(pieces.map(<[u8]>::to_vec).collect())).await;
            is_the_answer(&complete(&server.anthropic()).await);
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_the_same_answer() {
    let bytes = ANSWER.bytes().map(|byte| vec![byte]).collect();
    let server = Server::start(Answer::Events(bytes)).await;
    is_the_answer(&complete(&server.anthropic()).await);
}

#[tokio::test]
async fn an_answer_without_its_beginning_starts_with_the_model_asked_for() {
    let (_, rest) = ANSWER.split_once("\r\n\r\n").unwrap();
    let server = Server::start(Answer::events(rest)).await;
    let events = complete(&server.anthropic()).await;
    assert_eq!(events[0], ModelEvent::Started { model: "claude".to_owned() });
    assert_eq!(events[1], ModelEvent::Reasoning("hm".to_owned()));
}

#[tokio::test]
async fn a_failure_inside_the_stream_follows_what_came_before_it() {
    let (beginning, _) = ANSWER.split_once("event: tomorrow").unwrap();
    let failure = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
                   \"message\":\"Overloaded, sk-test-key\"}}\n\n";
    let server = Server::start(Answer::events(&format!("{beginning}{failure}"))).await;
    let events = run(&server.anthropic()).await;
    let [.., Ok(words), Err(error)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*words, text("4 €"));
    let message = "Overloaded, [key]".to_owned();
    assert_eq!(*error, ModelError::Reported { kind: "overloaded_error".to_owned(), message });
    assert_eq!(error.retry(), Retry::Backoff);
}

#[tokio::test]
async fn every_option_reaches_the_server() {
    let server = Server::start(Answer::events(ANSWER)).await;
    let schema = json!({"type": "object", "properties": {"steps": {"type": "array", "maxItems": 3}}});
    let request = ChatRequest::user("hi")
        .with_system("be brief")
        .with_temperature(0.2)
        .with_stop("END")
        .with_response_schema(JsonSchema::new("plan", schema));
    server.anthropic().stream(request).await.unwrap().collected().await.unwrap();
    let request = server.request().await;
    assert!(request.head.starts_with("post /v1/messages http/1.1"), "{}", request.head);
    assert!(request.head.contains("x-api-key: sk-test-key"), "{}", request.head);
    assert!(request.head.contains("anthropic-version: 2023-06-01"), "{}", request.head);
    let expected = json!({
        "model": "claude",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": true,
        "system": "be brief",
        "temperature": 0.2,
        "stop_sequences": ["END"],
        "output_config": {"format": {"type": "json_schema", "schema": {
            "type": "object",
            "properties": {"steps": {"type": "array"}},
            "additionalProperties": false,
        }}},
    });
    assert_eq!(request.body, expected);
}
