//! What is remembered, found by what it means.

use std::sync::Arc;

use mesh_agents::memory::{AddMemory, ListMemories};
use mesh_models::{BoxFuture, Embedder, ModelError};

use crate::home::{Home, Subjects};

#[tokio::test]
async fn a_memory_is_found_without_any_of_its_words() {
    let home = Home::with(Subjects("m")).await;
    home.add("The ferry leaves at four.").await;
    home.add("The light is on.").await;
    let found = home.recall("Any boat?", None).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].memory.content, "The ferry leaves at four.");
    assert!(found[0].relevance.unwrap() > 0.99 && found[0].explanation.contains("cosine"));
    assert_eq!(found[0].memory.accesses, 1, "it was used");
}

#[tokio::test]
async fn a_min_relevance_of_zero_is_zero_and_not_the_default() {
    let home = Home::with(Subjects("m")).await;
    home.add("The ferry carries a lamp.").await;
    home.add("A lamp.").await;
    assert_eq!(home.recall("ship", None).await.len(), 1, "the default is 0.7");
    let mut relevance: Vec<f64> =
        home.recall("ship", Some(0.0)).await.iter().filter_map(|found| found.relevance).collect();
    relevance.sort_by(f64::total_cmp);
    assert!(relevance.len() == 2 && relevance[0] < 0.7, "{relevance:?}");
    assert!(home.recall("ship", Some(1.0)).await.is_empty());
}

#[tokio::test]
async fn a_zero_embedding_is_refused_and_never_stored() {
    #[derive(Debug)]
    struct Zero;
    impl Embedder for Zero {
        fn model(&self) -> &'static str {
            "zero"
        }
        fn embed(&self, texts: Vec<String>) -> BoxFuture<Result<Vec<Vec<f32>>, ModelError>> {
            Box::pin(async move { Ok(texts.iter().map(|_| vec![0.0; 1536]).collect()) })
        }
    }
    let home = Home::with(Zero).await;
    let add = AddMemory { content: "anything".to_owned(), ..AddMemory::default() };
    assert_eq!(home.ask("acme", add).await.unwrap_err().code, "EMBEDDING_INVALID");
    assert_eq!(home.ask("acme", ListMemories::default()).await.unwrap().total, 0);
}

#[tokio::test]
async fn embeddings_of_another_model_are_a_mismatch_and_no_comparison() {
    let home = Home::with(Subjects("m-1")).await;
    home.add("The ferry leaves at four.").await;
    let other = home.beside(Some(Arc::new(Subjects("m-2")))).await;
    let add = AddMemory { content: "A boat.".to_owned(), ..AddMemory::default() };
    let refused = other.ask("acme", add).await.unwrap_err();
    assert_eq!(refused.code, "EMBEDDING_MISMATCH", "{refused}");
    assert!(refused.message.contains("m-1") && refused.message.contains("m-2"), "{refused}");
    // The same model goes on where the last one stopped.
    let same = home.beside(Some(Arc::new(Subjects("m-1")))).await;
    assert_eq!(same.recall("ship", None).await.len(), 1);
}
