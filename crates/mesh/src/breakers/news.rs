//! What one node's breakers have become, told to the others.

use super::{Breakers, OF_NODE};
use crate::{mesh::Mesh, shared::Shared, wire::WireMessage};
use mesh_actor::Message;
use mesh_proto::Verb;
use mesh_resilience::{Snapshot, State, Transition, Why};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};

/// The topic on which nodes tell of their breakers.
pub(crate) const TOPIC: &str = "mesh/breakers";

/// How often all that are not closed are told again: to who has come since, and well within the time for which it is
/// believed.
const AGAIN: Duration = Duration::from_secs(10);

/// How long one telling may take. A node that cannot be reached holds up what is told after it for no longer.
const TELL_MAX: Duration = Duration::from_millis(400);

/// Breakers in one message: a few tens of KiB.
const ROWS_MAX: usize = 256;

/// What has become of some of the sender's breakers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct BreakerNews {
    rows: Vec<Said>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Said {
    name: String,
    /// `closed`, `open` or `half_open`.
    state: String,
    /// Whether it opened since the actor was given up on. Believed of the actor's own node.
    is_lost: bool,
    /// Whether it closed since there is a new actor. Likewise.
    is_renewed: bool,
}

impl Message for BreakerNews {
    type Reply = ();
}

impl WireMessage for BreakerNews {
    const KIND: &'static str = "mesh.breaker_news.v1";
    const VERB: Option<Verb> = Some(Verb::Admin);
}

impl From<Transition> for Said {
    fn from(Transition { name, change, .. }: Transition) -> Self {
        Self {
            name,
            state: word(change.to).to_owned(),
            is_lost: change.why == Why::Tripped,
            is_renewed: change.why == Why::Reset,
        }
    }
}

impl From<Snapshot> for Said {
    fn from(Snapshot { name, view, .. }: Snapshot) -> Self {
        Self { name, state: word(view.state).to_owned(), is_lost: false, is_renewed: false }
    }
}

/// The state in the words that programs read.
pub(crate) fn word(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
    }
}

fn state_of(word: &str) -> Option<State> {
    [State::Closed, State::Open, State::HalfOpen].into_iter().find(|state| self::word(*state) == word)
}

/// Takes in what the node `origin` says.
pub(crate) fn learn(breakers: &Breakers, origin: &str, news: BreakerNews) {
    for said in news.rows {
        // Of a later version, which has more of them.
        let Some(state) = state_of(&said.state) else { continue };
        breakers.registry().learn(&said.name, origin, state);
        let is_owner = said.name.split_once('/').is_some_and(|(node, _)| node == origin);
        if is_owner && said.is_lost {
            breakers.given_up(&said.name);
        }
        if is_owner && said.is_renewed {
            breakers.renewed(&said.name);
        }
    }
}

/// Tells the other nodes of every change, and again of what is not closed. Never ends.
pub(crate) async fn tell_others(shared: Arc<Shared>) {
    let Some(membership) = shared.membership() else { return };
    let mesh = Mesh::of_node(Arc::clone(&shared));
    let breakers = mesh.breakers();
    let mut changes = breakers.subscribe();
    let mut again = Instant::now() + AGAIN;
    let mut known = BTreeSet::new();
    loop {
        let mut rows = BTreeMap::new();
        tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => note(&mut rows, change),
                Err(RecvError::Lagged(_)) => note_all(&mut rows, breakers, |_| true),
                // The registry lives as long as this does.
                Err(RecvError::Closed) => pending().await,
            },
            () = sleep_until(again) => {
                again = Instant::now() + AGAIN;
                note_all(&mut rows, breakers, is_worth_repeating);
                forget_the_gone(&mesh, &mut known);
                welcome_back(breakers, |node| membership.session_to(node).is_ok());
            }
            () = membership.told.notified() => {
                welcome_back(breakers, |node| membership.session_to(node).is_ok());
            }
        }
        while let Ok(change) = changes.try_recv() {
            note(&mut rows, change);
        }
        let rows: Vec<Said> = rows.into_values().collect();
        for rows in rows.chunks(ROWS_MAX) {
            tell(&mesh, rows.to_vec()).await;
        }
    }
}

/// The last change of each counts, but not for whether its actor was lost.
fn note(rows: &mut BTreeMap<String, Said>, change: Transition) {
    let said = Said::from(change);
    rows.insert(said.name.clone(), said);
}

fn note_all(rows: &mut BTreeMap<String, Said>, breakers: &Breakers, is_meant: impl Fn(&Snapshot) -> bool) {
    for snapshot in breakers.list() {
        if is_meant(&snapshot) {
            rows.insert(snapshot.name.clone(), snapshot.into());
        }
    }
}

/// What is not closed; but not what stayed open for as long as it does, and was never called since: nobody here knows how its
/// target is now.
fn is_worth_repeating(Snapshot { view, .. }: &Snapshot) -> bool {
    view.state != State::Closed && view.retry_after_ms != Some(0)
}

async fn tell(mesh: &Mesh, rows: Vec<Said>) {
    let topic = mesh.topic::<BreakerNews>(TOPIC).expect("the topic follows the rules of topics");
    let Ok(told) = topic.publish(BreakerNews { rows }).timeout(TELL_MAX).await else { return };
    for missed in told.iter().filter(|row| row.result.is_err()) {
        // It is told again soon, of what is still so.
        tracing::debug!(to = missed.to, "a node was not told of the breakers");
    }
}

/// Forgets what nodes said that are gone since the last call.
fn forget_the_gone(mesh: &Mesh, known: &mut BTreeSet<String>) {
    let members = mesh.members().into_iter().filter(|member| matches!(member.state, "alive" | "suspect"));
    let now: BTreeSet<String> = members.map(|member| member.name).collect();
    for gone in known.difference(&now) {
        mesh.breakers().registry().forget(gone);
    }
    *known = now;
}

/// A node that is connected again is well, whatever was seen of the connection before.
fn welcome_back(breakers: &Breakers, is_connected: impl Fn(&str) -> bool) {
    for snapshot in breakers.list() {
        if snapshot.view.state != State::Closed
            && let Some(node) = snapshot.name.strip_prefix(OF_NODE)
            && is_connected(node)
        {
            breakers.renewed(&snapshot.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_resilience::{Advice, BreakerConfig};

    fn said(name: &str, state: &str, is_lost: bool, is_renewed: bool) -> BreakerNews {
        let said = Said { name: name.to_owned(), state: state.to_owned(), is_lost, is_renewed };
        BreakerNews { rows: vec![said] }
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_node_saw_moves_routers_and_opens_nothing() {
        let breakers = Breakers::new(BreakerConfig::default());
        learn(&breakers, "gamma", said("beta/echo", "open", true, false));
        assert!(breakers.is_open("beta/echo"));
        assert!(breakers.list().is_empty(), "gamma does not own it");
        learn(&breakers, "gamma", said("beta/echo", "closed", false, false));
        assert_eq!(breakers.advice("beta/echo"), Advice::Prefer);
        learn(&breakers, "gamma", said("beta/echo", "ajar", false, false));
        assert_eq!(breakers.advice("beta/echo"), Advice::Prefer);
    }

    #[tokio::test(start_paused = true)]
    async fn an_actors_own_node_is_believed_when_it_gave_up_on_it_and_when_there_is_a_new_one() {
        let breakers = Breakers::new(BreakerConfig::default());
        learn(&breakers, "beta", said("beta/echo", "open", true, false));
        assert_eq!(breakers.registry().get("beta/echo").unwrap().state(), State::Open);
        learn(&breakers, "beta", said("beta/echo", "closed", false, true));
        assert_eq!(breakers.registry().get("beta/echo").unwrap().state(), State::Closed);
        assert!(!breakers.is_open("beta/echo"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_operators_hold_outlives_a_new_actor() {
        let breakers = Breakers::new(BreakerConfig::default());
        breakers.named("beta/echo").unwrap().force_open();
        learn(&breakers, "beta", said("beta/echo", "closed", false, true));
        assert!(breakers.is_open("beta/echo"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_breaker_of_a_node_closes_when_it_is_connected_again() {
        let breakers = Breakers::new(BreakerConfig::default());
        breakers.named("node:beta").unwrap().trip();
        assert!(breakers.is_open("beta/echo"));
        welcome_back(&breakers, |_| false);
        assert!(breakers.is_open("beta/echo"));
        welcome_back(&breakers, |node| node == "beta");
        assert!(!breakers.is_open("beta/echo"));
    }

    #[tokio::test(start_paused = true)]
    async fn breakers_that_know_nothing_make_room_for_others() {
        let breakers = Breakers::new(BreakerConfig::default());
        for number in 0..10_000 {
            breakers.named(&format!("beta/{number}")).unwrap();
        }
        breakers.named("beta/7").unwrap().trip();
        assert!(breakers.named("beta/one-more").is_some());
        let names = || -> Vec<_> { breakers.list().into_iter().map(|one| one.name).collect() };
        assert_eq!(names(), ["beta/7", "beta/one-more"]);
        // Nobody has asked for it since, and what it knows is old.
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(breakers.list().iter().all(|one| !is_worth_repeating(one)));
        breakers.registry().prune();
        assert!(names().is_empty());
    }
}
