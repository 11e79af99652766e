use bytes::Bytes;
use mesh_store::{Memory, MemoryChanges, MemoryEvent, MemoryScope, Store, StoreError};

use crate::place::Place;
use crate::words::NOW;

fn scope(text: &str) -> MemoryScope {
    text.parse().unwrap()
}

async fn put(store: &Store, scope: &MemoryScope, put: Vec<Memory>) -> u64 {
    let seen = store.memory_state(scope).await.unwrap().version;
    store.change_memories(scope, MemoryChanges { seen, put, ..MemoryChanges::default() }).await.unwrap()
}

async fn found(store: &Store, scope: &MemoryScope, words: &str) -> Vec<String> {
    let mut contents = Vec::new();
    for found in store.find_memories(scope, words, 10).await.unwrap() {
        assert!(found.score_micros > 0, "{found:?}");
        contents.push(store.memory(scope, found.id).await.unwrap().content);
    }
    contents
}

pub(super) async fn a_memory_is_what_was_put_until_it_is_forgotten(place: &Place) {
    let (store, scope) = (place.open().await, scope("acme/planner"));
    assert_eq!(store.memory_state(&scope).await.unwrap().version, 0);
    let mut memory = Memory::new("The ferry leaves at four.", "alpha", NOW);
    memory.vector = Bytes::from_static(&[0, 0, 128, 63]);
    memory.expires_ms = Some(NOW + 5);
    let event = |what: &str, before: &str| MemoryEvent {
        memory: memory.id,
        at_ms: NOW,
        by: "alpha".to_owned(),
        what: what.to_owned(),
        before: before.to_owned(),
    };
    let model = Some(("m".to_owned(), 1));
    let changes = MemoryChanges {
        put: vec![memory.clone()],
        events: vec![event("added", "")],
        model,
        ..MemoryChanges::default()
    };
    assert_eq!(store.change_memories(&scope, changes).await, Ok(1));
    store.close().await;

    let store = place.open().await;
    assert_eq!(store.memory(&scope, memory.id).await.unwrap(), memory);
    assert_eq!(store.memories(&scope, None, 10).await.unwrap(), [memory.clone()]);
    let state = store.memory_state(&scope).await.unwrap();
    assert_eq!((state.version, state.model.as_str(), state.dimensions), (1, "m", 1));
    let before = std::mem::replace(&mut memory.content, "The ferry leaves at five.".to_owned());
    for seen in 1..=60 {
        let (put, events) = (vec![memory.clone()], vec![event("updated", &before)]);
        store
            .change_memories(&scope, MemoryChanges { seen, put, events, ..Default::default() })
            .await
            .unwrap();
    }
    assert_eq!(store.memory(&scope, memory.id).await.unwrap(), memory);
    let events = store.memory_events(&scope, memory.id).await.unwrap();
    assert_eq!(
        (events.len(), events[0].what.as_str(), events[49].before.as_str()),
        (50, "updated", &*before)
    );

    let forget = MemoryChanges { seen: 61, forget: vec![memory.id], ..MemoryChanges::default() };
    store.change_memories(&scope, forget).await.unwrap();
    assert!(matches!(store.memory(&scope, memory.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.memory_events(&scope, memory.id).await, Err(StoreError::NotFound { .. })));
    assert!(found(&store, &scope, "ferry").await.is_empty());
}

pub(super) async fn of_two_who_saw_the_same_one_decides_again(place: &Place) {
    let (store, scope) = (place.open().await, scope("acme"));
    let change = |text: &str| {
        let changes = MemoryChanges { put: vec![Memory::new(text, "a", NOW)], ..MemoryChanges::default() };
        let (store, scope) = (store.clone(), scope.clone());
        tokio::spawn(async move { store.change_memories(&scope, changes).await })
    };
    let results = [change("one"), change("two"), change("three")];
    let mut won = 0;
    for result in results {
        match result.await.unwrap() {
            Ok(version) => won += version,
            Err(error) => assert!(matches!(error, StoreError::Conflict { .. }), "{error}"),
        }
    }
    assert_eq!((won, store.memories(&scope, None, 10).await.unwrap().len()), (1, 1));
}

pub(super) async fn a_scope_sees_nothing_of_another(place: &Place) {
    let store = place.open().await;
    let (mine, theirs) = (scope("acme/a"), scope("acme/b"));
    let memory = Memory::new("the harbour", "a", NOW);
    put(&store, &mine, vec![memory.clone()]).await;
    assert!(store.memories(&theirs, None, 10).await.unwrap().is_empty());
    assert!(found(&store, &theirs, "harbour").await.is_empty());
    assert!(matches!(store.memory(&theirs, memory.id).await, Err(StoreError::NotFound { .. })));
    // Somebody else's id leads to nothing that could be changed or deleted.
    let stolen = Memory { content: "the tower".to_owned(), ..memory.clone() };
    put(&store, &theirs, vec![stolen]).await;
    let forget = MemoryChanges { seen: 1, forget: vec![memory.id], ..MemoryChanges::default() };
    store.change_memories(&theirs, forget).await.unwrap();
    assert_eq!(store.memory(&mine, memory.id).await.unwrap(), memory);
    assert!(store.memories(&scope("acme"), None, 10).await.unwrap().is_empty());
}

pub(super) async fn a_memory_is_found_by_its_words_as_they_are_now(place: &Place) {
    let (store, scope) = (place.open().await, scope("acme"));
    let mut tide = Memory::new("The tide comes back at four, says the harbour master.", "a", NOW);
    let others =
        ["The lamps are lit at six.", "Die Überfahrt ist teuer."].map(|text| Memory::new(text, "a", NOW));
    put(&store, &scope, [vec![tide.clone()], others.to_vec()].concat()).await;
    assert_eq!(found(&store, &scope, "when is TIDE, harbour?").await, [tide.content.as_str()]);
    assert_eq!(found(&store, &scope, "Überfahrt").await, ["Die Überfahrt ist teuer."]);
    assert_eq!(found(&store, &scope, "lamps tide harbour").await[0], tide.content, "two words before one");
    tide.content = "The ebb.".to_owned();
    put(&store, &scope, vec![tide]).await;
    assert!(found(&store, &scope, "tide").await.is_empty());
    assert_eq!(found(&store, &scope, "ebb").await, ["The ebb."]);
}

pub(super) async fn words_of_a_question_are_never_operators(place: &Place) {
    let (store, scope) = (place.open().await, scope("acme"));
    put(&store, &scope, vec![Memory::new("a NOT b", "a", NOW)]).await;
    for text in [
        "",
        "\"",
        "' | 'x",
        "a AND",
        "content : a",
        "NEAR(a b)",
        "a*",
        "-a",
        "(",
        "\\",
        "^a",
        "a & !b",
        "é\0",
    ] {
        store.find_memories(&scope, text, 10).await.unwrap();
    }
    assert_eq!(found(&store, &scope, "NOT").await, ["a NOT b"]);
    let long = "word ".repeat(10_000) + &"x".repeat(100_000);
    assert!(found(&store, &scope, &long).await.is_empty());
}

pub(super) async fn a_damaged_memory_is_not_believed(place: &Place) {
    let (store, scope) = (place.open().await, scope("acme"));
    let memory = Memory::new("pay 10", "a", NOW);
    put(&store, &scope, vec![memory.clone()]).await;
    place.tamper("UPDATE memories SET content = 'pay 90'").await;
    assert!(matches!(store.memory(&scope, memory.id).await, Err(StoreError::Corrupt { .. })));
    place.tamper("UPDATE memory_scopes SET version = 0").await;
    assert!(matches!(store.memory_state(&scope).await, Err(StoreError::Corrupt { .. })));
}

pub(super) async fn memories_are_in_a_backup_and_found_again(place: &Place) {
    let (store, scope) = (place.open().await, scope("acme"));
    let memory = Memory::new("The tide comes back.", "a", NOW);
    put(&store, &scope, vec![memory.clone()]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    store.backup(&file).await.unwrap();
    let another = place.another();
    let restored = another.open().await;
    restored.restore(&file).await.unwrap();
    assert_eq!(restored.memory(&scope, memory.id).await.unwrap(), memory);
    assert_eq!(found(&restored, &scope, "tide").await, ["The tide comes back."]);
}
