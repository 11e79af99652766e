//! Actors that can be spawned by kind, by anyone who may.

use crate::{
    mesh::{Mesh, PublishError},
    wire::WireActor,
};
use futures::future::BoxFuture;
use mesh_actor::{ActorSpec, AskError, StartError};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

/// An actor that can be spawned by kind on any node that registers it.
pub trait Spawnable: WireActor {
    /// What its spawner says, written as JSON.
    type Args: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Makes the actor: at its start, and anew at every restart.
    ///
    /// # Errors
    /// A [`StartError`] is a crash: the supervisor tries again, and gives up in the end.
    fn open(args: &Self::Args, cx: &SpawnContext) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Whether this node can run the actor at all: asked once, before it is spawned. By default it can.
    ///
    /// # Errors
    /// What the node lacks. The spawner is told so, and nothing is spawned.
    fn check(args: &Self::Args, cx: &SpawnContext) -> Result<(), StartError> {
        let _ = (args, cx);
        Ok(())
    }

    /// How it is run: by default a mailbox of 1,024 messages, on the pool, restarted always.
    #[must_use]
    fn spec(name: &str) -> ActorSpec {
        ActorSpec::new(name)
    }
}

/// What an actor that is spawned by kind knows beside its arguments.
#[derive(Debug, Clone)]
pub struct SpawnContext {
    /// The mesh, seen from the node that runs it.
    pub mesh: Mesh,
    /// The name under which it is published.
    pub name: String,
    /// Which of the lives of its name over all nodes this is, if it was placed ([`Mesh::place`]).
    pub epoch: Option<u64>,
    extensions: Extensions,
}

impl SpawnContext {
    /// What the node was built with for all of its actors ([`NodeBuilder::extension`](crate::NodeBuilder::extension)),
    /// by its type; `None` if it was built without.
    #[must_use]
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.extensions.get()
    }
}

/// Values that a node has for its actors, at most one of each type.
#[derive(Clone, Default)]
struct Extensions {
    values: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Extensions {
    fn insert<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.values.insert(TypeId::of::<T>(), value);
    }

    fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.values.get(&TypeId::of::<T>())?).downcast().ok()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.values.len()).finish()
    }
}

type Spawn = Arc<dyn Fn(SpawnContext, String) -> BoxFuture<'static, Result<String, AskError>> + Send + Sync>;

/// The kinds that a node can spawn, and what it has for them.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    kinds: BTreeMap<String, Registered>,
    extensions: Extensions,
}

#[derive(Clone)]
struct Registered {
    spawn: Spawn,
    schema: fn() -> schemars::Schema,
}

impl Registry {
    pub(crate) fn register<A: Spawnable>(&mut self, kind: &str) {
        let spawn: Spawn = Arc::new(|cx, args| Box::pin(spawn::<A>(cx, args)));
        self.kinds.insert(kind.to_owned(), Registered { spawn, schema: || schemars::schema_for!(A::Args) });
    }

    pub(crate) fn extend<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.extensions.insert(value);
    }

    /// Every kind with the schema of its arguments.
    pub(crate) fn kinds(&self) -> Vec<(String, String)> {
        self.kinds
            .iter()
            .map(|(kind, known)| (kind.clone(), (known.schema)().as_value().to_string()))
            .collect()
    }

    /// The names of the kinds.
    pub(crate) fn names(&self) -> Vec<String> {
        self.kinds.keys().cloned().collect()
    }

    /// Spawns an actor of this kind; answers its path.
    pub(crate) async fn spawn(
        &self,
        mesh: Mesh,
        kind: &str,
        name: String,
        args: String,
        epoch: Option<u64>,
    ) -> Result<String, AskError> {
        let Some(known) = self.kinds.get(kind) else {
            let known = self.kinds.keys().cloned().collect();
            return Err(AskError::UnknownKind {
                path: mesh.node_name().to_string(),
                kind: kind.to_owned(),
                known,
            });
        };
        let extensions = self.extensions.clone();
        (known.spawn)(SpawnContext { mesh, name, epoch, extensions }, args).await
    }
}

async fn spawn<A: Spawnable>(cx: SpawnContext, args: String) -> Result<String, AskError> {
    let (mesh, name) = (cx.mesh.clone(), cx.name.clone());
    let bad =
        |reason: String| AskError::BadMessage { path: name.clone(), kind: "arguments".to_owned(), reason };
    let args: A::Args = serde_json::from_str(&args).map_err(|error| bad(error.to_string()))?;
    let path = format!("{}/{name}", mesh.node_name());
    A::check(&args, &cx).map_err(|error| unspawnable(&path, error.reason()))?;
    let args = Arc::new(args);
    let spec = A::spec(&name).epoch(cx.epoch.unwrap_or_default());
    let actor = mesh.spawn_with(spec, move || {
        let (args, cx) = (Arc::clone(&args), cx.clone());
        async move { A::open(&args, &cx).await }
    });
    match mesh.publish(&name, &actor) {
        Ok(()) => Ok(path),
        Err(error) => {
            actor.stop();
            Err(unpublished(path, error))
        }
    }
}

fn unspawnable(path: &str, reason: &str) -> AskError {
    AskError::CannotSpawn { path: path.to_owned(), reason: reason.to_owned() }
}

fn unpublished(path: String, error: PublishError) -> AskError {
    match error {
        PublishError::Taken { .. } => AskError::NameTaken { path },
        PublishError::Name { name, reason } => AskError::BadName { name, reason: reason.to_owned() },
        error @ (PublishError::Capability { .. } | PublishError::TooMany { .. }) => {
            unspawnable(&path, &error.to_string())
        }
        PublishError::Kind(error) => unspawnable(&path, &error.to_string()),
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}
