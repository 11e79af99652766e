//! A node that remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mesh::{
    Authority, Client, ClientConfig, GrantSet, Mesh, Message, Node, NodeConfig, Runtimes, Spawn, WireMessage,
};
use mesh_agents::memory::{
    AddMemory, AddedMemory, Memories, Memory, MemoryRefusal, RecallMemories, Recalled,
};
use mesh_models::{BoxFuture, Embedder, ModelError};
use mesh_store::{SqliteOptions, Store};
use tokio::time::timeout;

/// Every wait of a test ends.
const LIMIT: Duration = Duration::from_secs(60);
const NOW: i64 = 1_800_000_000_000;

pub(crate) struct Home {
    folder: Arc<tempfile::TempDir>,
    pub(crate) authority: Authority,
    pub(crate) node: Node,
    clock: Arc<AtomicI64>,
}

impl Home {
    pub(crate) async fn new() -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()), None).await
    }

    pub(crate) async fn with(embedder: impl Embedder) -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()), Some(Arc::new(embedder))).await
    }

    /// Another mesh with another process' view of the same file.
    pub(crate) async fn beside(&self, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self::in_folder(Arc::clone(&self.folder), embedder).await
    }

    async fn in_folder(folder: Arc<tempfile::TempDir>, embedder: Option<Arc<dyn Embedder>>) -> Self {
        let authority = Authority::create("test").unwrap();
        let identity = authority.issue_node("alpha").unwrap();
        let store =
            Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await.unwrap();
        let clock = Arc::new(AtomicI64::new(NOW));
        let reading = Arc::clone(&clock);
        let memories = Memories::new(store).with_clock(Arc::new(move || reading.load(Ordering::SeqCst)));
        let memories = match embedder {
            Some(embedder) => memories.with_embedder(embedder),
            None => memories,
        };
        let config = NodeConfig { listen: ([127, 0, 0, 1], 0).into(), ..NodeConfig::default() };
        let builder = Node::builder(config).register::<Memory>(Memory::KIND).extension(Arc::new(memories));
        let node = builder.start(identity, Runtimes::current()).await.unwrap();
        let home = Self { folder, authority, node, clock };
        home.spawn("acme", "{}").await.unwrap();
        home
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn spawn(&self, scope: &str, args: &str) -> Result<(), String> {
        let own = self.node.mesh().recipient::<Spawn>("alpha/mesh").unwrap();
        let (kind, name) = (Memory::KIND.to_owned(), format!("memory/{scope}"));
        let spawned = own.ask(Spawn { kind, name, args: args.to_owned() }).timeout(LIMIT).await;
        spawned.map_err(|error| error.to_string())?.map(drop).map_err(|failure| format!("{failure:?}"))
    }

    pub(crate) async fn ask<M, T>(&self, scope: &str, message: M) -> Result<T, MemoryRefusal>
    where
        M: WireMessage + Message<Reply = Result<T, MemoryRefusal>>,
    {
        let memory = self.node.mesh().recipient::<M>(&format!("alpha/memory/{scope}")).unwrap();
        timeout(LIMIT, memory.ask(message)).await.expect("no answer").unwrap()
    }

    pub(crate) async fn add(&self, content: &str) -> AddedMemory {
        self.ask("acme", AddMemory { content: content.to_owned(), ..AddMemory::default() }).await.unwrap()
    }

    pub(crate) async fn recall(&self, query: &str, min_relevance: Option<f64>) -> Vec<Recalled> {
        let recall = RecallMemories { query: query.to_owned(), min_relevance, ..RecallMemories::default() };
        self.ask("acme", recall).await.unwrap().memories
    }

    /// A client who may do this and nothing else.
    pub(crate) async fn client(&self, grants: &[&str]) -> Mesh {
        let grants = GrantSet::new(grants.iter().map(|grant| grant.parse().unwrap())).unwrap();
        let identity = self.authority.issue_client("ann", &grants).unwrap();
        let addrs = [self.node.local_addr().to_string()];
        let connected = Client::connect(&addrs, &identity, ClientConfig::default(), Runtimes::current());
        timeout(LIMIT, connected).await.expect("no connection").unwrap()
    }
}

/// A direction for each subject that a text names, and one for texts that name none.
#[derive(Debug)]
pub(crate) struct Subjects(pub(crate) &'static str);

impl Embedder for Subjects {
    fn model(&self) -> &str {
        self.0
    }

    fn embed(&self, texts: Vec<String>) -> BoxFuture<Result<Vec<Vec<f32>>, ModelError>> {
        let vector = |text: &String| {
            let near = |words: &[&str]| f32::from(u8::from(words.iter().any(|word| text.contains(word))));
            vec![near(&["ferry", "boat", "ship"]), near(&["lamp", "light"]), near(&["zero"]) - 1.0 + 1e-3]
        };
        let vectors = texts.iter().map(vector).collect();
        Box::pin(async move { Ok(vectors) })
    }
}
