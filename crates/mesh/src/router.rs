//! One recipient in front of several.
//!
//! A router has no queue: a message goes to one member at once, and waits for room there. Which one, its [`Balance`] says,
//! and the circuit breakers of this process advise: it opens none of them, but its messages may close one.

use crate::{
    breakers::{self, Pass},
    mesh::Mesh,
    remote::Remote,
    wire::WireMessage,
};
use futures::future::BoxFuture;
use mesh_actor::{AskError, Deliver, Message, Meta, Recipient, TellError, TryTellError};
use mesh_proto::{ActorPath, InvalidPath};
use mesh_resilience::{Advice, Verdict};
use parking_lot::RwLock;
use std::{
    collections::{VecDeque, hash_map::DefaultHasher},
    fmt,
    hash::{Hash, Hasher},
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long a member that could not be reached is passed over, if there are others: 500 ms.
const PASSED_OVER: Duration = Duration::from_millis(500);

/// How long a list of who can do something is taken for what it is: 200 ms.
const LIST_FRESH: Duration = Duration::from_millis(200);

/// Which member gets a message.
pub enum Balance<M> {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest messages of this router that are under way or being handled; of equals one after the other.
    LeastLoaded,
    /// Always the same one for one key, as long as the members are the same; when one goes, only its keys go elsewhere. (Rendezvous
    /// hashing, Thaler and Ravishankar 1998.)
    ByKey(Arc<dyn Fn(&M) -> String + Send + Sync>),
}

impl<M> Balance<M> {
    /// [`Balance::ByKey`] with the key that `key` finds in a message.
    pub fn by_key(key: impl Fn(&M) -> String + Send + Sync + 'static) -> Self {
        Self::ByKey(Arc::new(key))
    }
}

impl<M> Clone for Balance<M> {
    fn clone(&self) -> Self {
        match self {
            Self::RoundRobin => Self::RoundRobin,
            Self::LeastLoaded => Self::LeastLoaded,
            Self::ByKey(key) => Self::ByKey(Arc::clone(key)),
        }
    }
}

impl<M> fmt::Debug for Balance<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "RoundRobin",
            Self::LeastLoaded => "LeastLoaded",
            Self::ByKey(_) => "ByKey",
        })
    }
}

impl Mesh {
    /// A recipient in front of the actors at these paths.
    ///
    /// It has no queue of its own: a message waits for room at the member that it was given to. A member that could not be
    /// reached is passed over for half a second; the message that found it so fails, since it may have run.
    ///
    /// One whose circuit breaker is open, here or as another node says ([`Breakers`](crate::Breakers)), or that of its
    /// node, is passed over as long as there are others. When its breaker here lets messages try it again, the router's do, at
    /// most as many at once as the breaker says, and what comes of them closes it or opens it anew. Otherwise what a router's
    /// messages find counts for no breaker: [`Guard`](crate::Guard) is for that. It never fails as
    /// [`AskError::CircuitOpen`]; where all breakers are open, it goes by its balance.
    ///
    /// # Errors
    /// [`InvalidPath`] when one of the paths breaks the rules of paths.
    pub fn router<M: WireMessage>(
        &self,
        paths: &[&str],
        balance: Balance<M>,
    ) -> Result<Recipient<M>, InvalidPath> {
        let paths = paths.iter().map(|path| path.parse()).collect::<Result<Vec<ActorPath>, _>>()?;
        let name = format!("router of {} paths", paths.len());
        let members = paths.into_iter().map(|path| Member::new(self, path)).collect();
        Ok(router(self, name, None, members, balance))
    }

    /// A recipient in front of all actors that say that they can do this ([`Mesh::list`]): whoever publishes it takes part
    /// within 200 ms. Nobody does for a client, which has no list.
    #[must_use]
    pub fn router_of<M: WireMessage>(&self, capability: &str, balance: Balance<M>) -> Recipient<M> {
        let name = format!("router of {capability}");
        router(self, name, Some(capability.to_owned()), Vec::new(), balance)
    }
}

/// A recipient in front of these actors.
pub(crate) fn in_front_of<M: WireMessage>(
    mesh: &Mesh,
    name: String,
    paths: Vec<ActorPath>,
    balance: Balance<M>,
) -> Recipient<M> {
    let members = paths.into_iter().map(|path| Member::new(mesh, path)).collect();
    router(mesh, name, None, members, balance)
}

fn router<M: WireMessage>(
    mesh: &Mesh,
    name: String,
    capability: Option<String>,
    members: Vec<Member<M>>,
    balance: Balance<M>,
) -> Recipient<M> {
    let members = RwLock::new(Members { rows: members.into_iter().map(Arc::new).collect(), listed: None });
    let turns = AtomicUsize::new(0);
    Recipient::new(Arc::new(Router { mesh: mesh.clone(), name, capability, members, balance, turns }))
}

struct Router<M: Message> {
    mesh: Mesh,
    name: String,
    /// Who the members are, if that is not fixed.
    capability: Option<String>,
    members: RwLock<Members<M>>,
    balance: Balance<M>,
    turns: AtomicUsize,
}

struct Members<M: Message> {
    rows: Vec<Arc<Member<M>>>,
    listed: Option<Instant>,
}

struct Member<M> {
    path: String,
    to: Remote<M>,
    under_way: AtomicUsize,
    /// Until when it is passed over.
    lost: RwLock<Option<Instant>>,
}

impl<M: Message> Member<M> {
    fn new(mesh: &Mesh, path: ActorPath) -> Self {
        let (name, to) = (path.to_string(), Remote::new(mesh.clone(), path));
        Self { path: name, to, under_way: AtomicUsize::new(0), lost: RwLock::new(None) }
    }

    fn is_lost(&self, now: Instant) -> bool {
        self.lost.read().is_some_and(|until| until > now)
    }

    fn note(&self, error: &AskError) {
        let is_away = matches!(
            error,
            AskError::Unreachable { .. }
                | AskError::NoSuchActor { .. }
                | AskError::NoSuchNode { .. }
                | AskError::NotRunning { .. }
        );
        if is_away {
            *self.lost.write() = Some(Instant::now() + PASSED_OVER);
        }
    }

    fn begin(self: Arc<Self>, pass: Option<Pass>) -> UnderWay<M> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { member: self, pass }
    }
}

/// A message that is under way, or being handled.
struct UnderWay<M: Message> {
    member: Arc<Member<M>>,
    /// Where it finds out for a breaker whether the member is well again.
    pass: Option<Pass>,
}

impl<M: Message> UnderWay<M> {
    fn failed(&mut self, error: &AskError) {
        self.member.note(error);
        if let Some(pass) = self.pass.take() {
            pass.failed(error);
        }
    }

    fn accepted(&mut self) {
        if let Some(pass) = self.pass.take() {
            pass.accepted();
        }
    }

    fn replied(&mut self) {
        if let Some(pass) = self.pass.take() {
            pass.replied(Verdict::Success);
        }
    }
}

impl<M: Message> Drop for UnderWay<M> {
    fn drop(&mut self) {
        self.member.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<M: WireMessage> Router<M> {
    /// The members in the order in which the message should try them.
    fn order(&self, message: &M) -> Vec<Arc<Member<M>>> {
        self.list();
        let mut rows = self.members.read().rows.clone();
        if rows.is_empty() {
            return rows;
        }
        match &self.balance {
            Balance::ByKey(key) => {
                let key = key(message);
                rows.sort_by_cached_key(|row| std::cmp::Reverse(weight(&key, &row.path)));
            }
            Balance::RoundRobin => {
                let turn = self.turns.fetch_add(1, Ordering::Relaxed) % rows.len();
                rows.rotate_left(turn);
            }
            Balance::LeastLoaded => {
                let turn = self.turns.fetch_add(1, Ordering::Relaxed) % rows.len();
                rows.rotate_left(turn);
                rows.sort_by_cached_key(|row| row.under_way.load(Ordering::Relaxed));
            }
        }
        rows
    }

    /// The same, each begun when it is its turn: those that are well, then those that were lost, then those whose breaker is
    /// open.
    fn in_turn(&self, message: &M) -> impl Iterator<Item = UnderWay<M>> + use<M> {
        let now = Instant::now();
        let advised = |row: Arc<Member<M>>| (breakers::advice_on(&self.mesh, &row.path), row);
        let mut rows: Vec<_> = self.order(message).into_iter().map(advised).collect();
        // Stable: the order stays among those that are there.
        rows.sort_by_key(|(advice, row)| (*advice == Advice::Avoid, row.is_lost(now)));
        let (mut rows, mesh) = (VecDeque::from(rows), self.mesh.clone());
        iter::from_fn(move || {
            loop {
                let (advice, row) = rows.pop_front()?;
                if advice != Advice::Probe {
                    return Some(row.begin(None));
                }
                match breakers::pass_on(&mesh, &row.path) {
                    Ok(pass) => return Some(row.begin(Some(pass))),
                    // Others try it already.
                    Err(_) => rows.push_back((Advice::Avoid, row)),
                }
            }
        })
    }

    /// Looks again who can do what is wanted, if that was long ago.
    fn list(&self) {
        let Some(capability) = &self.capability else { return };
        let now = Instant::now();
        let is_fresh = |listed: Instant| now.duration_since(listed) < LIST_FRESH;
        if self.members.read().listed.is_some_and(is_fresh) {
            return;
        }
        let listings = self.mesh.list(capability);
        let mut members = self.members.write();
        let known = std::mem::take(&mut members.rows);
        members.rows = listings
            .into_iter()
            .filter_map(|listing| {
                let row = known.iter().find(|row| row.path == listing.path).cloned();
                row.or_else(|| Some(Arc::new(Member::new(&self.mesh, listing.path.parse().ok()?))))
            })
            .collect();
        members.listed = Some(now);
    }

    fn nobody(&self) -> AskError {
        AskError::NoSuchActor { path: self.name.clone() }
    }
}

fn weight(key: &str, path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, path).hash(&mut hasher);
    hasher.finish()
}

impl<M: WireMessage> Deliver<M> for Router<M> {
    fn path(&self) -> String {
        self.name.clone()
    }

    /// Tries each member in turn: it is full only if all are.
    fn try_tell(&self, message: M, meta: &Meta) -> Result<(), TryTellError<M>> {
        let in_turn = self.in_turn(&message);
        let mut refused = TryTellError::Refused { message, error: self.nobody() };
        for mut begun in in_turn {
            match begun.member.to.try_tell(refused.into_message(), meta) {
                Ok(()) => {
                    begun.accepted();
                    return Ok(());
                }
                Err(error) => refused = error,
            }
            if matches!(self.balance, Balance::ByKey(_)) {
                break;
            }
        }
        Err(refused)
    }

    fn tell(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<(), TellError>> {
        let Some(mut begun) = self.in_turn(&message).next() else {
            let nobody = self.nobody();
            return Box::pin(async move { Err(nobody) });
        };
        let telling = begun.member.to.tell(message, meta);
        Box::pin(async move {
            let told = telling.await;
            match &told {
                Ok(()) => begun.accepted(),
                Err(error) => begun.failed(error),
            }
            told
        })
    }

    fn ask(&self, message: M, meta: Meta) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        let Some(mut begun) = self.in_turn(&message).next() else {
            let nobody = self.nobody();
            return Box::pin(async move { Err(nobody) });
        };
        let asking = begun.member.to.ask(message, meta);
        Box::pin(async move {
            let answer = asking.await;
            match &answer {
                Ok(_) => begun.replied(),
                Err(error) => begun.failed(error),
            }
            answer
        })
    }
}
