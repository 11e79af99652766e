//! Tools: told, asked for, and answered, in both protocols.

use mesh_models::{ChatRequest, Collected, Message, Provider, ToolCall, ToolForm};
use serde_json::json;

use crate::server::{Answer, Server};

fn conversation() -> ChatRequest {
    let calls = [ToolCall::new("c1", "read", "{\"path\":\"a\"}"), ToolCall::new("c2", "list", "no JSON")];
    ChatRequest::conversation([
        Message::user("What is in it?"),
        Message::calling("", calls),
        Message::tool("c1", "forty-two"),
        Message::tool("c2", "arguments are not JSON"),
    ])
    .with_tool(ToolForm::new("read", "Reads a file.", json!({"type": "object"})))
}

const OPENAI: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":\"function\",\
     \"function\":{\"name\":\"read\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"path\\\":\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"y\",\"function\":{\"name\":\"list\",\
     \"arguments\":\"{}\"}},{\"index\":0,\"function\":{\"arguments\":\"\\\"b\\\"}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: [DONE]\n\n",
);

const ANTHROPIC: &str = concat!(
    "data: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"x\",\
     \"name\":\"read\",\"input\":{}}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\
     \"partial_json\":\"{\\\"path\\\":\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\
     \"partial_json\":\"\\\"b\\\"}\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"y\",\
     \"name\":\"list\",\"input\":{}}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
);

fn asks_for_two(answer: &Collected) {
    let wanted = [ToolCall::new("x", "read", "{\"path\":\"b\"}"), ToolCall::new("y", "list", "{}")];
    assert_eq!(answer.calls, wanted);
}

#[tokio::test]
async fn openai_is_told_of_tools_and_their_results_and_asks_for_more() {
    let server = Server::start(Answer::events(OPENAI)).await;
    let answer = server.openai().stream(conversation()).await.unwrap().collected().await.unwrap();
    asks_for_two(&answer);
    let body = server.request().await.body;
    let parameters = json!({"type": "object"});
    assert_eq!(
        body["tools"],
        json!([{"type": "function", "function":
            {"name": "read", "description": "Reads a file.", "parameters": parameters}}])
    );
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{\"path\":\"a\"}"}},
            {"id": "c2", "type": "function", "function": {"name": "list", "arguments": "no JSON"}}]})
    );
    assert_eq!(body["messages"][2], json!({"role": "tool", "tool_call_id": "c1", "content": "forty-two"}));
}

#[tokio::test]
async fn anthropic_is_told_of_tools_and_their_results_and_asks_for_more() {
    let server = Server::start(Answer::events(ANTHROPIC)).await;
    let answer = server.anthropic().stream(conversation()).await.unwrap().collected().await.unwrap();
    asks_for_two(&answer);
    let body = server.request().await.body;
    assert_eq!(
        body["tools"],
        json!([{"name": "read", "description": "Reads a file.", "input_schema": {"type": "object"}}])
    );
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": "What is in it?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "read", "input": {"path": "a"}},
                {"type": "tool_use", "id": "c2", "name": "list", "input": {}}]},
            // All results of one turn are in one turn of the user.
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "forty-two"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "arguments are not JSON"}]},
        ])
    );
}

#[tokio::test]
async fn a_request_without_tools_says_nothing_of_them() {
    for is_anthropic in [false, true] {
        let server = Server::start(Answer::events(if is_anthropic { ANTHROPIC } else { OPENAI })).await;
        let provider = if is_anthropic { server.anthropic() } else { server.openai() };
        provider.stream(ChatRequest::user("hi")).await.unwrap().collected().await.unwrap();
        let body = server.request().await.body.to_string();
        assert!(!body.contains("tool"), "{body}");
    }
}
