//! Embeddings over real HTTP.

use mesh_models::{Embedder, HttpEmbedder, ModelError, ModelSettings, Timeouts};
use serde_json::json;

use crate::server::{Answer, Server, key};

fn embedder(server: &Server) -> HttpEmbedder {
    let settings = ModelSettings::openai_compatible(server.url(), "minilm").with_api_key(key());
    HttpEmbedder::new(settings, Timeouts::default()).unwrap()
}

fn reply(body: &str) -> Answer {
    Answer::refusal("200 OK", "content-type: application/json\r\n", body)
}

async fn embed(body: &str) -> Result<Vec<Vec<f32>>, ModelError> {
    let server = Server::start(reply(body)).await;
    let embedder = embedder(&server);
    let vectors = embedder.embed(vec!["a".to_owned(), "b".to_owned()]).await;
    server.request().await;
    vectors
}

#[tokio::test]
async fn each_text_gets_its_vector_whatever_order_they_come_in() {
    let server = Server::start(reply(
        r#"{"object":"list","data":[{"index":1,"embedding":[0,1]},{"index":0,"embedding":[0.5,0]}],"model":"x"}"#,
    ))
    .await;
    let embedder = embedder(&server);
    let vectors = embedder.embed(vec!["a".to_owned(), "b".to_owned()]).await.unwrap();
    assert_eq!(vectors, [vec![0.5, 0.0], vec![0.0, 1.0]]);
    let request = server.request().await;
    assert!(request.head.starts_with("post /v1/embeddings "), "{}", request.head);
    assert!(request.head.contains("authorization: bearer sk-test-key"));
    assert_eq!(request.body, json!({"model": "minilm", "input": ["a", "b"], "encoding_format": "float"}));
}

#[tokio::test]
async fn a_zero_embedding_is_an_error_and_no_embedding() {
    let refused = embed(r#"{"data":[{"index":0,"embedding":[0,0]},{"index":1,"embedding":[1,0]}]}"#).await;
    assert!(matches!(refused, Err(ModelError::BadReply { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_reply_that_is_not_one_vector_for_each_text_is_refused() {
    for body in [
        r#"{"data":[{"index":0,"embedding":[1]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#,
        r#"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}"#,
        r#"{"error":"no"}"#,
        "",
    ] {
        assert!(matches!(embed(body).await, Err(ModelError::BadReply { .. })), "{body}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_without_the_key() {
    let body = r#"{"error":{"message":"bad key sk-test-key"}}"#;
    let server = Server::start(Answer::refusal("401 Unauthorized", "", body)).await;
    let refused = embedder(&server).embed(vec!["a".to_owned()]).await.unwrap_err();
    assert!(matches!(refused, ModelError::Status { status: 401, .. }), "{refused}");
    assert!(!refused.to_string().contains("sk-test"), "{refused}");
}
