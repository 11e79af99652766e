//! The actor of one scope.

use std::sync::Arc;

use mesh::{Actor, ActorSpec, Context, Handler, Kinds, SpawnContext, Spawnable, StartError, WireActor};
use mesh_store::{MemoryChanges, MemoryId, MemoryScope, Store, StoreError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Memories;
use super::cosine::{normalized, to_bytes};
use super::filter::Filter;
use super::given::{check_text, end, id, importance, limit, metadata, row};
use super::index::{Entry, Index, Newcomer, event};
use super::message::{
    AddMemory, AddedMemory, ForgetMemory, Forgotten, GetMemory, ListMemories, MemoryChange, MemoryHistory,
    MemoryHistoryReply, MemoryList, MemoryRefusal, MemoryRow, RecallMemories, Recalled, RecalledMemories,
    SearchMemories, UpdateMemory,
};
use super::recall::fused;

/// Before the scope in the name of its actor.
const PREFIX: &str = "memory/";
/// About how much one reply may have.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// How often it is decided again when others wrote to the same scope.
const ATTEMPTS: u32 = 8;

/// How a memory is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryArgs {
    /// How many memories the scope holds; 1,000 by default, 1 to 1,000,000.
    pub capacity: Option<u32>,
}

/// The memories of one scope, as an actor of the kind `memory` under the name `memory/SCOPE`.
#[derive(Debug)]
pub struct Memory {
    scope: MemoryScope,
    store: Store,
    with: Arc<Memories>,
    index: Index,
}

impl Memory {
    /// The kind under which nodes register it.
    pub const KIND: &'static str = "memory";

    /// Reads the whole scope: all decisions are made by what is in memory.
    async fn load(scope: &MemoryScope, store: &Store, capacity: usize) -> Result<Index, StoreError> {
        loop {
            let state = store.memory_state(scope).await?;
            let (mut memories, mut after) = (Vec::new(), None);
            loop {
                let page = store.memories(scope, after, 1000).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                memories.extend(page);
            }
            // Pages are of one moment only if nothing was changed between the first and the last.
            if store.memory_state(scope).await? == state {
                return Ok(Index::new(state, memories, capacity));
            }
        }
    }

    /// Another node, or process, may write to the same scope.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        let state = self.store.memory_state(&self.scope).await?;
        if state != self.index.state {
            self.index = Self::load(&self.scope, &self.store, self.index.capacity).await?;
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        (self.with.clock)()
    }

    /// Stores what is decided, and decides again by what others have written.
    async fn change<T>(
        &mut self,
        decide: impl Fn(&Index, i64) -> Result<(MemoryChanges, T), MemoryRefusal>,
    ) -> Result<T, MemoryRefusal> {
        let mut attempt = 1;
        loop {
            let (changes, output) = decide(&self.index, self.now_ms())?;
            match self.store.change_memories(&self.scope, changes.clone()).await {
                Ok(version) => {
                    self.index.apply(changes, version);
                    return Ok(output);
                }
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS => {
                    attempt += 1;
                    self.refresh().await?;
                }
                Err(error) => {
                    // What may have been written is read before anything else is decided.
                    if error.may_have_been_written() {
                        self.refresh().await?;
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// The embedding of `text` with its model; `None` if there is nothing that makes one.
    async fn embed(&self, text: &str) -> Result<Option<(String, Vec<f32>)>, MemoryRefusal> {
        let Some(embedder) = &self.with.embedder else { return Ok(None) };
        let vectors = embedder.embed(vec![text.to_owned()]).await?;
        let vector = vectors.into_iter().next().and_then(normalized);
        let Some(vector) = vector else {
            let message = format!("the model {} gave an embedding without a direction", embedder.model());
            return Err(MemoryRefusal::new("EMBEDDING_INVALID", message));
        };
        let (state, model) = (&self.index.state, embedder.model().to_owned());
        let dimensions = state.dimensions as usize;
        if dimensions != 0 && (state.model != model || dimensions != vector.len()) {
            let message = format!(
                "the memories of {} have embeddings of {} ({dimensions} numbers), and this node makes those of {model} \
                 ({} numbers); they cannot be compared",
                self.scope,
                state.model,
                vector.len()
            );
            return Err(MemoryRefusal::new("EMBEDDING_MISMATCH", message));
        }
        Ok(Some((model, vector)))
    }

    fn list<'i>(&self, total: usize, found: impl Iterator<Item = &'i Entry>, limit: usize) -> MemoryList {
        let mut bytes = 0;
        let memories = found.take(limit).map(row).take_while(|row| {
            bytes += row.content.len() + row.metadata.len() + 300;
            bytes <= REPLY_BYTES_MAX
        });
        MemoryList { total: total as u64, memories: memories.collect() }
    }
}

impl Spawnable for Memory {
    type Args = MemoryArgs;

    async fn open(args: &MemoryArgs, cx: &SpawnContext) -> Result<Self, StartError> {
        let (scope, with) = place(cx)?;
        let capacity = args.capacity.unwrap_or(1_000);
        let failed = |error: StoreError| StartError::new(error.to_string());
        let store = with.store.clone();
        let index = Self::load(&scope, &store, capacity as usize).await.map_err(failed)?;
        Ok(Self { scope, store, with, index })
    }

    fn check(args: &MemoryArgs, cx: &SpawnContext) -> Result<(), StartError> {
        if args.capacity.is_some_and(|capacity| !(1..=1_000_000).contains(&capacity)) {
            return Err(StartError::new("capacity is a number from 1 to 1,000,000"));
        }
        place(cx).map(drop)
    }

    fn spec(name: &str) -> ActorSpec {
        ActorSpec::new(name)
    }
}

/// The scope is the actor's name, and nothing else: who may send to the name may use the scope.
fn place(cx: &SpawnContext) -> Result<(MemoryScope, Arc<Memories>), StartError> {
    let scope = cx.name.strip_prefix(PREFIX).map(str::parse::<MemoryScope>);
    let Some(Ok(scope)) = scope else {
        let name = &cx.name;
        return Err(StartError::new(format!("a memory is called {PREFIX}TENANT[/AGENT[/RUN]], not {name}")));
    };
    let own = || cx.extension::<Store>().map(|store| Arc::new(Memories::new((*store).clone())));
    let lacks = || StartError::new(format!("node {} has no store for memories", cx.mesh.node_name()));
    Ok((scope, cx.extension::<Memories>().or_else(own).ok_or_else(lacks)?))
}

impl Actor for Memory {}

impl WireActor for Memory {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        let kinds = kinds.message::<AddMemory>().message::<GetMemory>().message::<RecallMemories>();
        let kinds = kinds.message::<SearchMemories>().message::<UpdateMemory>().message::<ForgetMemory>();
        kinds.message::<ListMemories>().message::<MemoryHistory>()
    }
}

impl Handler<AddMemory> for Memory {
    async fn handle(&mut self, add: AddMemory, cx: &mut Context<Self>) -> Result<AddedMemory, MemoryRefusal> {
        check_text("content", &add.content)?;
        let now_ms = self.now_ms();
        let mut new = Newcomer {
            metadata: metadata(&add.metadata)?,
            importance_micros: importance(add.importance.unwrap_or(0.5))?,
            expires_ms: end(add.ttl_ms, now_ms)?,
            by: who(cx),
            vector: None,
            content: add.content,
        };
        // What is known needs no embedding; that may be known only to who has looked just now.
        self.refresh().await?;
        if self.index.known(&new.content, now_ms).is_none() {
            new.vector = self.embed(&new.content).await?;
        }
        self.change(|index, now_ms| {
            let addition = index.add(&new, now_ms);
            check_text("metadata", addition.changes.put.first().map_or("{}", |memory| &memory.metadata))?;
            let added = AddedMemory {
                id: addition.id.to_string(),
                is_new: addition.is_new,
                is_kept: addition.is_kept,
                importance: f64::from(addition.importance_micros) / 1e6,
                evicted: addition.evicted.iter().map(MemoryId::to_string).collect(),
            };
            Ok((addition.changes, added))
        })
        .await
    }
}

impl Handler<GetMemory> for Memory {
    async fn handle(&mut self, get: GetMemory, _: &mut Context<Self>) -> Result<MemoryRow, MemoryRefusal> {
        self.refresh().await?;
        let found = id(&get.id).ok().and_then(|id| self.index.get(id, self.now_ms()));
        found.map(row).ok_or_else(|| MemoryRefusal::not_found(&get.id))
    }
}

impl Handler<RecallMemories> for Memory {
    async fn handle(
        &mut self,
        recall: RecallMemories,
        _: &mut Context<Self>,
    ) -> Result<RecalledMemories, MemoryRefusal> {
        check_text("query", &recall.query)?;
        let limit = limit(recall.limit, 5, 100)?;
        let min = recall.min_relevance.unwrap_or(0.7);
        if !(0.0..=1.0).contains(&min) {
            return Err(MemoryRefusal::invalid("min_relevance is a number from 0 to 1"));
        }
        let filter = Filter::read(&recall.filter).map_err(MemoryRefusal::invalid)?;
        self.refresh().await?;
        let vector = self.embed(&recall.query).await?;
        let (index, now_ms) = (&self.index, self.now_ms());
        let is_wanted = |id| index.get(id, now_ms).is_some_and(|entry| filter.fits(&entry.metadata));
        #[expect(clippy::cast_possible_truncation, reason = "it is from 0 to 1")]
        let near = vector
            .map_or_else(Vec::new, |(_, to)| index.vectors.nearest(&to, 4 * limit, min as f32, is_wanted));
        let worded = self.store.find_memories(&self.scope, &recall.query, 1000).await?;
        let worded = worded.into_iter().map(|found| found.id).filter(|id| is_wanted(*id));
        let worded: Vec<MemoryId> = worded.take(4 * limit).collect();
        let ranked = fused(&near, &worded, limit);
        ranked.iter().for_each(|ranked| self.index.touch(ranked.id, now_ms));
        let recalled = ranked.into_iter().filter_map(|ranked| {
            let memory = row(self.index.get(ranked.id, now_ms)?);
            let explanation = ranked.explanation();
            let (relevance, word_rank) = (ranked.relevance, ranked.word_rank);
            Some(Recalled { memory, score: ranked.score, relevance, word_rank, explanation })
        });
        Ok(RecalledMemories { memories: recalled.collect() })
    }
}

impl Handler<SearchMemories> for Memory {
    async fn handle(
        &mut self,
        search: SearchMemories,
        _: &mut Context<Self>,
    ) -> Result<MemoryList, MemoryRefusal> {
        let filter = Filter::read(&search.filter).map_err(MemoryRefusal::invalid)?;
        let limit = limit(search.limit, 10, 1000)?;
        self.refresh().await?;
        let now_ms = self.now_ms();
        let found = || self.index.alive(None, now_ms).filter(|entry| filter.fits(&entry.metadata));
        Ok(self.list(found().count(), found(), limit))
    }
}

impl Handler<UpdateMemory> for Memory {
    async fn handle(
        &mut self,
        update: UpdateMemory,
        cx: &mut Context<Self>,
    ) -> Result<MemoryRow, MemoryRefusal> {
        let id = id(&update.id)?;
        let metadata = update.metadata.as_deref().map(metadata).transpose()?;
        let importance = update.importance.map(importance).transpose()?;
        let expires_ms = end(update.ttl_ms, self.now_ms())?;
        self.refresh().await?;
        let vector = match &update.content {
            Some(content) => {
                check_text("content", content)?;
                self.embed(content).await?
            }
            None => None,
        };
        let by = who(cx);
        self.change(|index, now_ms| {
            let mut memory = index.whole(id, now_ms).ok_or_else(|| MemoryRefusal::not_found(&update.id))?;
            let mut before = String::new();
            let mut changes = index.changes(now_ms);
            if let Some(content) = &update.content {
                if index.known(content, now_ms).is_some_and(|known| known.memory.id != id) {
                    return Err(MemoryRefusal::new("MEMORY_DUPLICATE", "another memory says that already"));
                }
                before = std::mem::replace(&mut memory.content, content.clone());
                memory.vector = vector.as_ref().map(|(_, vector)| to_bytes(vector)).unwrap_or_default();
                changes.model = vector
                    .as_ref()
                    .map(|(model, vector)| (model.clone(), u32::try_from(vector.len()).unwrap_or(u32::MAX)));
            }
            if let Some(metadata) = &metadata {
                memory.metadata = Value::Object(metadata.clone()).to_string();
            }
            memory.importance_micros = importance.unwrap_or(memory.importance_micros);
            memory.expires_ms = expires_ms.or(memory.expires_ms);
            memory.updated_ms = now_ms;
            changes.put.push(memory);
            changes.events.push(event(id, now_ms, &by, "updated", &before));
            Ok((changes, ()))
        })
        .await?;
        self.index.get(id, self.now_ms()).map(row).ok_or_else(|| MemoryRefusal::not_found(&update.id))
    }
}

impl Handler<ForgetMemory> for Memory {
    async fn handle(
        &mut self,
        forget: ForgetMemory,
        cx: &mut Context<Self>,
    ) -> Result<Forgotten, MemoryRefusal> {
        let id = id(&forget.id)?;
        self.refresh().await?;
        let was_there = self.index.get(id, self.now_ms()).is_some();
        if was_there {
            self.change(|index, now_ms| {
                let mut changes = index.changes(now_ms);
                changes.forget.push(id);
                Ok((changes, ()))
            })
            .await?;
            tracing::info!(target: "audit", scope = %self.scope, memory = %id, by = who(cx), "a memory is forgotten");
        }
        Ok(Forgotten { was_there })
    }
}

impl Handler<ListMemories> for Memory {
    async fn handle(
        &mut self,
        list: ListMemories,
        _: &mut Context<Self>,
    ) -> Result<MemoryList, MemoryRefusal> {
        let after = if list.after.is_empty() { None } else { Some(id(&list.after)?) };
        let limit = limit(list.limit, 100, 1000)?;
        self.refresh().await?;
        let now_ms = self.now_ms();
        let total = self.index.alive(None, now_ms).count();
        Ok(self.list(total, self.index.alive(after, now_ms), limit))
    }
}

impl Handler<MemoryHistory> for Memory {
    async fn handle(
        &mut self,
        history: MemoryHistory,
        _: &mut Context<Self>,
    ) -> Result<MemoryHistoryReply, MemoryRefusal> {
        let events = self.store.memory_events(&self.scope, id(&history.id)?).await;
        let events = events.map_err(|error| match error {
            StoreError::NotFound { .. } => MemoryRefusal::not_found(&history.id),
            error => error.into(),
        })?;
        let change = |event: mesh_store::MemoryEvent| {
            let (by, what, before) = (event.by, event.what, event.before);
            MemoryChange { at_ms: event.at_ms, by, what, before }
        };
        Ok(MemoryHistoryReply { changes: events.into_iter().map(change).collect() })
    }
}

/// The node that the message came from, which its certificate says.
fn who(cx: &Context<Memory>) -> String {
    cx.sender().and_then(|sender| sender.node.as_deref()).unwrap_or("here").to_owned()
}
