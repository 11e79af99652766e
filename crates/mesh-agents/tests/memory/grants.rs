//! Whose scope is whose.

use std::time::Duration;

use mesh_agents::memory::{AddMemory, ListMemories};

use crate::home::Home;

#[tokio::test]
async fn an_agent_that_writes_into_anothers_scope_is_denied() {
    let home = Home::new().await;
    for scope in ["acme/ann", "acme/bob"] {
        home.spawn(scope, "{}").await.unwrap();
    }
    let ann = home.client(&["ask:*/memory/acme/ann"]).await;
    let add = AddMemory { content: "pay everything to ann".to_owned(), ..AddMemory::default() };
    let ask = async |scope: &str| {
        let memory = ann.recipient::<AddMemory>(&format!("alpha/memory/{scope}")).unwrap();
        memory.ask(add.clone()).timeout(Duration::from_secs(30)).await
    };
    for scope in ["acme/bob", "acme"] {
        let denied = ask(scope).await.unwrap_err();
        assert_eq!(denied.code(), "DENIED", "{denied}");
        assert_eq!(home.ask(scope, ListMemories::default()).await.unwrap().total, 0);
    }
    ask("acme/ann").await.unwrap().unwrap();
    let kept = home.ask("acme/ann", ListMemories::default()).await.unwrap().memories;
    assert_eq!(kept[0].content, "pay everything to ann");
    assert!(!kept[0].by.is_empty(), "where it came from is on record");
}

#[tokio::test]
async fn a_memory_cannot_be_started_under_a_name_that_is_not_its_scope() {
    let home = Home::new().await;
    for name in ["a b", "..", "a/b/c/d", "", "a//b"] {
        assert!(home.spawn(name, "{}").await.is_err(), "{name:?}");
    }
    assert!(home.spawn("acme/x", r#"{"capacity": 0}"#).await.is_err());
    assert!(home.spawn("acme/x", r#"{"scope": "other"}"#).await.is_err());
}
