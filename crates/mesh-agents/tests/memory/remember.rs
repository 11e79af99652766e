//! What is remembered, found by its words.

use futures::future::join_all;
use mesh_agents::memory::{
    AddMemory, ForgetMemory, GetMemory, ListMemories, MemoryHistory, SearchMemories, UpdateMemory,
};

use crate::home::Home;

fn note(content: &str, metadata: &str) -> AddMemory {
    AddMemory { content: content.to_owned(), metadata: metadata.to_owned(), ..AddMemory::default() }
}

#[tokio::test]
async fn a_thousand_identical_adds_at_once_give_one_memory() {
    let home = Home::new().await;
    let added = join_all((0..1000).map(|_| home.add("the tide comes back at four"))).await;
    assert_eq!(added.iter().filter(|added| added.is_new).count(), 1);
    assert!(added.iter().all(|one| one.id == added[0].id));
    assert_eq!(home.ask("acme", ListMemories::default()).await.unwrap().total, 1);
}

#[tokio::test]
async fn what_is_remembered_is_found_changed_and_forgotten() {
    let home = Home::new().await;
    let id = home.add("The ferry leaves at four.").await.id;
    home.add("The lamps are lit at six.").await;
    let found = home.recall("when does the ferry leave?", None).await;
    assert_eq!((found[0].memory.id.as_str(), found[0].word_rank, found[0].relevance), (&*id, Some(1), None));
    assert!(found[0].explanation.contains("words of the question"), "{}", found[0].explanation);

    let change = UpdateMemory {
        id: id.clone(),
        content: Some("The ferry leaves at five.".to_owned()),
        importance: Some(0.9),
        ..UpdateMemory::default()
    };
    let row = home.ask("acme", change).await.unwrap();
    assert_eq!((row.content.as_str(), row.importance), ("The ferry leaves at five.", 0.9));
    let history = home.ask("acme", MemoryHistory { id: id.clone() }).await.unwrap().changes;
    assert_eq!([&*history[0].what, &*history[1].what], ["added", "updated"]);
    assert_eq!(history[1].before, "The ferry leaves at four.");
    let twice = UpdateMemory {
        id: id.clone(),
        content: Some("The lamps are lit at six.".to_owned()),
        ..UpdateMemory::default()
    };
    assert_eq!(home.ask("acme", twice).await.unwrap_err().code, "MEMORY_DUPLICATE");

    assert!(home.ask("acme", ForgetMemory { id: id.clone() }).await.unwrap().was_there);
    assert!(!home.ask("acme", ForgetMemory { id: id.clone() }).await.unwrap().was_there);
    assert_eq!(home.ask("acme", GetMemory { id: id.clone() }).await.unwrap_err().code, "MEMORY_NOT_FOUND");
    assert_eq!(home.ask("acme", MemoryHistory { id }).await.unwrap_err().code, "MEMORY_NOT_FOUND");
    assert!(home.recall("ferry", None).await.is_empty());
}

#[tokio::test]
async fn metadata_are_searched_by_operators() {
    let home = Home::new().await;
    for (content, metadata) in
        [("a", r#"{"year": 2023, "topic": "tides"}"#), ("b", r#"{"year": 2024}"#), ("c", "")]
    {
        home.ask("acme", note(content, metadata)).await.unwrap();
    }
    let search = |filter: &str| SearchMemories { filter: filter.to_owned(), limit: None };
    let found = home.ask("acme", search(r#"{"year": {"$gte": 2023, "$lt": 2024}}"#)).await.unwrap();
    assert_eq!((found.total, found.memories[0].content.as_str()), (1, "a"));
    assert_eq!(home.ask("acme", search(r#"{"topic": {"$exists": false}}"#)).await.unwrap().total, 2);
    assert_eq!(home.ask("acme", search(r#"{"$where": 1}"#)).await.unwrap_err().code, "MEMORY_INVALID");
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_nothing_is_stored() {
    let home = Home::new().await;
    let plain = || note("x", "");
    for add in [
        note("", ""),
        note("a\0b", ""),
        note(&"x".repeat(17 << 10), ""),
        note("x", "[]"),
        note("x", "{"),
        AddMemory { importance: Some(1.01), ..plain() },
        AddMemory { importance: Some(-0.1), ..plain() },
        AddMemory { importance: Some(f64::NAN), ..plain() },
        AddMemory { ttl_ms: Some(0), ..plain() },
        AddMemory { ttl_ms: Some(u64::MAX), ..plain() },
    ] {
        assert_eq!(home.ask("acme", add).await.unwrap_err().code, "MEMORY_INVALID");
    }
    assert_eq!(home.ask("acme", ListMemories::default()).await.unwrap().total, 0);
}

#[tokio::test]
async fn what_has_a_time_is_gone_when_it_is_over() {
    let home = Home::new().await;
    let short = AddMemory { ttl_ms: Some(1_000), ..note("the ferry is late", "") };
    let id = home.ask("acme", short).await.unwrap().id;
    home.pass(999);
    assert_eq!(home.recall("ferry", None).await.len(), 1);
    home.pass(1);
    assert!(home.recall("ferry", None).await.is_empty());
    assert!(home.ask("acme", GetMemory { id }).await.is_err());
}

#[tokio::test]
async fn a_full_scope_keeps_what_is_worth_most() {
    let home = Home::new().await;
    home.spawn("small", r#"{"capacity": 2}"#).await.unwrap();
    let add = |content: &str, importance| AddMemory { importance: Some(importance), ..note(content, "") };
    let first = home.ask("small", add("a", 0.2)).await.unwrap().id;
    home.ask("small", add("b", 0.9)).await.unwrap();
    let third = home.ask("small", add("c", 0.5)).await.unwrap();
    assert_eq!((third.evicted, third.is_kept), (vec![first], true));
    assert!(!home.ask("small", add("d", 0.1)).await.unwrap().is_kept, "it is worth the least itself");
    let left = home.ask("small", ListMemories::default()).await.unwrap();
    assert_eq!(left.memories.iter().map(|row| &*row.content).collect::<Vec<_>>(), ["b", "c"]);
}
