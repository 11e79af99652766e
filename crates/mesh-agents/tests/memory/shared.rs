//! Two processes with one store.

use futures::future::join;
use mesh_agents::memory::ListMemories;

use crate::home::Home;

#[tokio::test]
async fn two_who_share_a_store_see_each_others_memories_and_make_no_duplicates() {
    let one = Home::new().await;
    let other = one.beside(None).await;
    let both = async |content: String| join(one.add(&content), other.add(&content)).await;
    for at in 0..50 {
        let (a, b) = both(format!("note {at}")).await;
        assert_eq!(a.id, b.id);
        assert_ne!(a.is_new, b.is_new);
    }
    for home in [&one, &other] {
        assert_eq!(home.ask("acme", ListMemories::default()).await.unwrap().total, 50);
    }
    assert_eq!(other.recall("note 7", None).await[0].memory.content, "note 7");
}
