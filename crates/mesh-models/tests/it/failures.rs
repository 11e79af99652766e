//! What goes wrong, and that it is told apart.

use std::time::Duration;

use mesh_models::{HttpProvider, ModelError, ModelSettings, Provider, Retry, Timeouts};
use tokio::net::TcpListener;

use crate::server::{Answer, Server, hi, key, run, text};

const HALF: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";

async fn refusal(answer: Answer) -> ModelError {
    let server = Server::start(answer).await;
    let error = server.openai().stream(hi()).await.unwrap_err();
    server.request().await;
    error
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back() {
    let error = refusal(Answer::refusal(
        "429 Too Many Requests",
        "retry-after: 7\r\n",
        r#"{"error":{"type":"rate_limit_error","message":"slow down, sk-test-key"}}"#,
    ))
    .await;
    let pause = Duration::from_secs(7);
    let message = "slow down, [key]".to_owned();
    assert_eq!(error, ModelError::Status { status: 429, message, retry_after: Some(pause) });
    assert_eq!((error.retry(), error.code()), (Retry::After(pause), "MODEL_RATE_LIMITED"));
}

#[tokio::test]
async fn a_servers_own_fault_may_be_tried_again() {
    let error = refusal(Answer::refusal("500 Internal Server Error", "", "")).await;
    let message = "Internal Server Error".to_owned();
    assert_eq!(error, ModelError::Status { status: 500, message, retry_after: None });
    assert_eq!(error.retry(), Retry::Backoff);
}

#[tokio::test]
async fn a_wrong_request_is_not_tried_again() {
    let error =
        refusal(Answer::refusal("404 Not Found", "", r#"{"error":"model 'qwen-max' not found"}"#)).await;
    assert_eq!(error.to_string(), "the model server answered 404: model 'qwen-max' not found");
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn an_endless_explanation_is_cut() {
    let body = "x".repeat(1 << 20);
    let error = refusal(Answer::refusal("400 Bad Request", "", &body)).await;
    let ModelError::Status { status: 400, message, .. } = error else { panic!("{error:?}") };
    assert_eq!(message.len(), 500);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("location: http://{}/v1\r\n", elsewhere.local_addr().unwrap());
    let error = refusal(Answer::refusal("307 Temporary Redirect", &location, "")).await;
    let ModelError::Status { status: 307, message, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains("redirects to http://127.0.0.1"), "{message}");
    assert_eq!(error.retry(), Retry::Never);
    assert!(futures::FutureExt::now_or_never(elsewhere.accept()).is_none(), "somebody connected");
}

#[tokio::test]
async fn a_web_page_is_no_answer() {
    let error = refusal(Answer::refusal("200 OK", "content-type: text/html\r\n", "<html>")).await;
    let ModelError::BadReply { reason } = &error else { panic!("{error:?}") };
    assert!(reason.contains("text/html"), "{reason}");
}

#[tokio::test]
async fn a_refused_connection_is_told_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = ModelSettings::openai_compatible(&url, "m").with_api_key(key());
    let error = HttpProvider::new(settings, Timeouts::default()).unwrap().stream(hi()).await.unwrap_err();
    let ModelError::Unreachable { url: shown, reason } = &error else { panic!("{error:?}") };
    assert_eq!(*shown, format!("{url}/v1/chat/completions"));
    assert!(reason.contains("refused"), "{reason}");
    assert_eq!(error.retry(), Retry::Backoff);
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_a_cut() {
    let error = refusal(Answer::Raw(String::new())).await;
    assert!(matches!(error, ModelError::Truncated { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_error_wherever_it_is_cut() {
    let whole = format!(
        "{HALF}data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
    );
    for at in 1..whole.len() {
        let beginning = vec![whole.as_bytes()[..at].to_vec()];
        // A proxy may end the HTTP message properly although the model's answer isn't complete.
        for answer in [Answer::Cut(beginning.clone()), Answer::Events(beginning)] {
            let server = Server::start(answer).await;
            let events = run(&server.openai()).await;
            assert!(matches!(events.last(), Some(Err(ModelError::Truncated { .. }))), "at {at}: {events:?}");
            assert_eq!(events.contains(&Ok(text("half"))), at >= HALF.len(), "at {at}: {events:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_inside_the_stream_is_told() {
    for failure in [
        "data: {\"error\":{\"type\":\"server_error\",\"message\":\"lost, sk-test-key\"}}\n\n",
        "event: error\ndata: {\"type\":\"server_error\",\"message\":\"lost, sk-test-key\"}\n\n",
    ] {
        let server = Server::start(Answer::events(&format!("{HALF}{failure}data: [DONE]\n\n"))).await;
        let events = run(&server.openai()).await;
        let [_, Ok(words), Err(error)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(*words, text("half"));
        let (kind, message) = ("server_error".to_owned(), "lost, [key]".to_owned());
        assert_eq!(*error, ModelError::Reported { kind, message });
    }
}

#[tokio::test]
async fn an_event_that_is_no_json_ends_the_answer() {
    let server =
        Server::start(Answer::events(&format!("{HALF}data: {{\"choices\":\n\ndata: [DONE]\n\n"))).await;
    let events = run(&server.openai()).await;
    assert!(matches!(events[..], [_, Ok(_), Err(ModelError::BadReply { .. })]), "{events:?}");
}

#[tokio::test]
async fn https_to_a_server_without_tls_is_told_as_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let settings = ModelSettings::openai_compatible(url, "m");
    // A machine without any certificates can't speak https at all, and must say so.
    let provider = match HttpProvider::new(settings, Timeouts::default()) {
        Ok(provider) => provider,
        Err(error) => return assert!(error.to_string().contains("ca-certificates"), "{error}"),
    };
    let hang_up = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let error = provider.stream(hi()).await.unwrap_err();
    assert!(matches!(error, ModelError::Unreachable { .. }), "{error:?}");
    hang_up.await.unwrap();
}
