//! What a page shows, as it changes.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures::stream::{self, Stream, StreamExt};
use mesh::{
    BreakerTable, DeadLetterTable, DescribeActors, Descriptions, ListBreakers, ListDeadLetters, ListTree,
    Tree,
};
use mesh_agents::approvals::{Approvals, ListApprovals};
use mesh_agents::durable::ListRuns;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::api::Api;
use super::refusal::Refusal;
use super::sse::{self, Event};
use super::{approvals, nodes, runs};

/// How often the mesh is looked at for each page that is open.
const LOOK: Duration = Duration::from_secs(1);
/// Runs of each node that are shown.
const RUNS: u32 = 200;

/// Sends each part when it is another than what was sent last.
pub(super) async fn live(State(api): State<Api>) -> Result<Response, Refusal> {
    let seat = api.seat()?;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looker = Looker { api, ticks, sent: HashMap::new(), _seat: seat };
    Ok(sse::response(looks(looker).flat_map(stream::iter)))
}

struct Looker {
    api: Api,
    ticks: Interval,
    sent: HashMap<&'static str, blake3::Hash>,
    _seat: OwnedSemaphorePermit,
}

fn looks(looker: Looker) -> impl Stream<Item = Vec<Event>> + Send {
    stream::unfold(looker, |mut looker| async move {
        looker.ticks.tick().await;
        let events = looker.look().await;
        Some((events, looker))
    })
}

impl Looker {
    async fn look(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        // Seven questions at once: too large to lie within each future that waits for this one.
        for (part, text) in Box::pin(parts(&self.api)).await {
            let hash = blake3::hash(text.as_bytes());
            if self.sent.insert(part, hash) != Some(hash) {
                events.push(Event::new(part, text));
            }
        }
        // A page that hears nothing for a while takes the node for lost.
        events.push(Event::new("looked", "{}".to_owned()));
        events
    }
}

/// Each part of what is shown, with the name of the event that tells of it.
async fn parts(api: &Api) -> [(&'static str, String); 7] {
    let waiting = ListApprovals { all: false };
    let all = ListRuns { run: None, status: None, agent: None, tag: None, after: None, limit: RUNS };
    let (nodes, actors, trees, breakers, dead_letters, approvals, runs) = tokio::join!(
        nodes::look_at_nodes(api),
        api.gather::<_, Descriptions>(None, "mesh", &DescribeActors {}),
        api.gather::<_, Tree>(None, "mesh", &ListTree {}),
        api.gather::<_, BreakerTable>(None, "mesh", &ListBreakers {}),
        api.gather::<_, DeadLetterTable>(None, "mesh", &ListDeadLetters {}),
        api.gather::<_, Approvals>(None, approvals::ACTOR, &waiting),
        runs::look(api, None, &all),
    );
    [
        ("nodes", text(nodes)),
        ("actors", text(actors)),
        ("trees", text(trees)),
        ("breakers", text(breakers)),
        ("dead_letters", text(dead_letters)),
        ("approvals", text(approvals)),
        ("runs", text(runs)),
    ]
}

fn text<T: Serialize>(seen: Result<T, Refusal>) -> String {
    match seen {
        Ok(seen) => serde_json::to_string(&seen).expect("texts, numbers and flags are JSON"),
        Err(refusal) => format!("{{\"error\":{}}}", refusal.line()),
    }
}
