//! Actors that live on one node, whichever it is; pools and keyed actors, which are made of them; and links.
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod fleet;
mod history;
mod pools;

use fleet::{Fleet, Who, eventually, secs};
use mesh::{AskError, EpochError, EpochSource, Label, MembershipConfig, Mesh, PlacementEvent, Recipient};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

async fn who(mesh: &Mesh, name: &str) -> Result<(String, u64), AskError> {
    let to: Recipient<Who> = mesh.recipient(name).unwrap();
    let answer = to.ask(Who {}).timeout(secs(2)).await?;
    Ok((answer.node, answer.epoch))
}

/// Asks until an answer comes; every other outcome has to be an error that says that it moves.
async fn who_soon(mesh: &Mesh, name: &str) -> (String, u64) {
    let mut found = None;
    eventually("an answer", async || {
        match who(mesh, name).await {
            Ok(answer) => found = Some(answer),
            Err(error) => fleet::assert_moving(&error),
        }
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placed_actor_runs_on_one_node_and_is_found_from_all() {
    let fleet = Fleet::of(&["a", "b", "c"]).await;
    let (mesh_b, mesh_c) = (fleet.mesh("b"), fleet.mesh("c"));
    let placed = mesh_c.place("one", "agent").start().await.unwrap();
    assert_eq!(placed.epoch, 1);
    for mesh in fleet.meshes() {
        assert_eq!(who_soon(&mesh, "one").await, (placed.node.clone(), 1));
        assert_eq!(mesh.resolve_all("one").len(), 1);
    }
    let again = mesh_b.place("one", "agent").start().await.unwrap();
    assert_eq!(again, placed, "the same content asks for the same actor");
    let other = mesh_b.place("one", "agent").args(&serde_json::json!({ "refuse": [] })).start().await;
    assert!(matches!(other, Err(AskError::NameTaken { .. })), "{other:?}");
    assert!(mesh_b.unplace("one").await.unwrap());
    eventually("its end", async || mesh_c.resolve("one").is_none()).await;
    assert!(!mesh_b.unplace("one").await.unwrap());
    let anew = mesh_b.place("one", "agent").start().await.unwrap();
    assert!(anew.epoch > placed.epoch, "a name's epochs go up only: {anew:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actors_are_spread_over_the_nodes_that_fit() {
    let gpu = ("gpu", "true");
    let fleet = Fleet::with_labels(&[("a", &[]), ("b", &[gpu]), ("c", &[gpu])]).await;
    let mesh = fleet.mesh("a");
    let mut nodes = HashMap::<String, u32>::new();
    for number in 0..6 {
        let name = format!("agent-{number}");
        let placed = mesh.place(&name, "agent").on(Label::eq("gpu", "true")).start().await.unwrap();
        *nodes.entry(placed.node).or_default() += 1;
    }
    assert_eq!(nodes, HashMap::from([("b".to_owned(), 3), ("c".to_owned(), 3)]));
    let nowhere = mesh.place("x", "agent").on(Label::eq("gpu", "two")).start().await;
    assert!(matches!(nowhere, Err(AskError::CannotSpawn { .. })), "{nowhere:?}");
    let unknown = mesh.place("x", "nothing").start().await;
    assert!(matches!(unknown, Err(AskError::CannotSpawn { .. })), "{unknown:?}");
    let args = serde_json::json!({ "refuse": ["b", "c"] });
    let placed = mesh.place("x", "agent").args(&args).start().await.unwrap();
    assert_eq!(placed.node, "a", "a node that lacks something is passed over");
    let args = serde_json::json!({ "refuse": ["a", "b", "c"] });
    let refused = mesh.place("y", "agent").args(&args).start().await;
    assert!(matches!(refused, Err(AskError::CannotSpawn { .. })), "{refused:?}");
    let bad = mesh.place("z", "agent").args_json("{\"refuse\":1}").start().await;
    assert!(matches!(bad, Err(AskError::BadMessage { .. })), "{bad:?}");
    assert!(mesh.placements().await.unwrap().placements.iter().all(|row| row.name != "y" && row.name != "z"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nodes_death_starts_its_actors_elsewhere_under_a_higher_epoch() {
    let mut fleet = Fleet::of(&["a", "b", "c", "d"]).await;
    let mesh = fleet.mesh("d");
    for number in 0..12 {
        mesh.place(&format!("agent-{number}"), "agent").start().await.unwrap();
    }
    // The oldest places: it dies first, with what it knows.
    for dead in ["a", "b"] {
        fleet.kill(dead);
        fleet.until_down(dead).await;
        for number in 0..12 {
            let name = format!("agent-{number}");
            let mut now = None;
            eventually("another life", async || {
                now = who(&mesh, &name).await.ok();
                now.as_ref().is_some_and(|(node, _)| node != dead)
            })
            .await;
        }
    }
    let placements = mesh.placements().await.unwrap();
    assert_eq!(placements.placements.len(), 12);
    assert!(placements.placements.iter().all(|row| row.is_running), "{placements:?}");
    assert!(placements.placements.iter().any(|row| row.epoch == 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_hands_its_actors_over_before_it_goes() {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    let mesh = fleet.mesh("b");
    let names: Vec<String> = (0..6).map(|number| format!("agent-{number}")).collect();
    for name in &names {
        mesh.place(name, "agent").start().await.unwrap();
    }
    let on_a: Vec<&String> =
        names.iter().filter(|name| mesh.resolve(name).unwrap().starts_with("a/")).collect();
    assert_eq!(on_a.len(), 3);
    let node = fleet.take("a");
    // Nobody else may begin one that still works here.
    let slow: Recipient<fleet::Linger> = mesh.recipient(on_a[0]).unwrap();
    let lingers = tokio::spawn(async move { slow.ask(fleet::Linger { ms: 700 }).timeout(secs(8)).await });
    eventually("the message in hand", async || fleet::lingering(on_a[0])).await;
    let leaves = tokio::spawn(node.leave());
    let begun = tokio::time::Instant::now();
    assert_eq!(lingers.await.unwrap().unwrap().epoch, 1, "what was asked is answered");
    for name in &names {
        let (at, epoch) = who_soon(&mesh, name).await;
        assert_eq!(at, "b");
        assert!(epoch >= 1);
    }
    leaves.await.unwrap();
    assert!(begun.elapsed() < secs(8), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_partition_heals_the_lower_epoch_is_killed_and_its_node_told() {
    let fleet = Fleet::of(&["a", "b", "c"]).await;
    let mesh = fleet.mesh("a");
    let placed = mesh.place("one", "agent").args(&serde_json::json!({ "refuse": ["a", "b"] })).start().await;
    assert_eq!(placed.unwrap().node, "c");
    let other = mesh.place("two", "agent").args(&serde_json::json!({ "refuse": ["b", "c"] })).start().await;
    assert_eq!(other.unwrap().node, "a");
    let mut told = fleet.mesh("c").placement_events();
    fleet.network.partition("a", "c");
    fleet.network.partition("b", "c");
    // It may run on `c` only, which is gone for this side; on the other side nobody else may run it.
    let free = mesh.place("three", "agent").start().await.unwrap();
    assert_ne!(free.node, "c");
    fleet.until_down_for("a", "c").await;
    fleet.until_down_for("c", "a").await;
    // Both sides have their own life of this one: that is what the default source of epochs allows.
    eventually("its second life on c", async || who(&fleet.mesh("c"), "one").await.is_ok()).await;
    let both = fleet.mesh("c").place("four", "agent").start().await.unwrap();
    assert_eq!(both.node, "c");
    let mine = mesh.place("four", "agent").start().await.unwrap();
    assert_ne!(mine.node, "c");
    fleet.network.heal();
    let fenced = async {
        loop {
            if let PlacementEvent::Fenced { name, epoch, by, newest } = told.recv().await.unwrap() {
                return (name, epoch, by, newest);
            }
        }
    };
    let (name, epoch, by, newest) = tokio::time::timeout(secs(10), fenced).await.unwrap();
    assert_eq!((&*name, epoch, newest), ("four", 1, 1), "of one epoch the smaller id stays");
    assert_eq!(by, mine.node);
    for mesh in fleet.meshes() {
        eventually("one owner", async || mesh.resolve_all("four") == [format!("{}/four", mine.node)]).await;
        assert_eq!(who_soon(&mesh, "four").await.0, mine.node);
    }
    let fence = fleet.mesh("c").fence("four", 0).await;
    assert!(matches!(fence, Err(EpochError::Fenced { newest: 1, .. })), "{fence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalancing_moves_actors_to_a_node_that_has_joined_and_nothing_else_does() {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    let mesh = fleet.mesh("a");
    let names: Vec<String> = (0..9).map(|number| format!("agent-{number}")).collect();
    for name in &names {
        mesh.place(name, "agent").start().await.unwrap();
    }
    fleet.join("c", &[]).await;
    let on = |node: &'static str| {
        let mesh = mesh.clone();
        async move {
            let rows = mesh.placements().await.unwrap().placements;
            rows.iter().filter(|row| row.is_running && row.node == node).count()
        }
    };
    assert_eq!(on("c").await, 0);
    let mut moves = 0;
    eventually("moves", async || {
        // The node that places has to have heard from the new one.
        moves = mesh.rebalance().await.unwrap();
        moves > 0
    })
    .await;
    assert_eq!(moves, 3);
    eventually("three on c", async || on("c").await == 3).await;
    for name in &names {
        who_soon(&mesh, name).await;
    }
    assert_eq!(mesh.rebalance().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_places_too() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let client = fleet.client("b").await;
    let placed = client.place("one", "agent").start().await.unwrap();
    assert_eq!(who_soon(&client, "one").await, (placed.node, placed.epoch));
    assert!(client.unplace("one").await.unwrap());
}

/// A source that all nodes share, and that can be out of reach.
#[derive(Debug, Default)]
struct Store {
    newest: Mutex<HashMap<String, u64>>,
    is_cut_off: std::sync::atomic::AtomicBool,
}

impl EpochSource for Store {
    fn next<'a>(&'a self, name: &'a str, after: u64) -> BoxFuture<'a, Result<u64, EpochError>> {
        Box::pin(async move {
            if self.is_cut_off.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(EpochError::Unavailable { name: name.to_owned(), reason: "cut off".to_owned() });
            }
            let mut newest = self.newest.lock();
            let epoch = newest.get(name).copied().unwrap_or_default().max(after) + 10;
            newest.insert(name.to_owned(), epoch);
            Ok(epoch)
        })
    }

    fn fence<'a>(&'a self, name: &'a str, epoch: u64, _: u64) -> BoxFuture<'a, Result<(), EpochError>> {
        Box::pin(async move {
            let newest = self.newest.lock().get(name).copied().unwrap_or_default();
            if newest == epoch {
                return Ok(());
            }
            Err(EpochError::Fenced { name: name.to_owned(), epoch, newest })
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_placed_without_an_epoch() {
    let store = Arc::new(Store::default());
    let mut fleet = Fleet::with_epochs(&["a", "b"], Arc::clone(&store) as Arc<dyn EpochSource>).await;
    let mesh = fleet.mesh("a");
    let args = serde_json::json!({ "refuse": ["a"] });
    store.is_cut_off.store(true, std::sync::atomic::Ordering::SeqCst);
    let late = mesh.place("one", "agent").args(&args).timeout(Duration::from_millis(900)).start().await;
    assert!(matches!(late, Err(AskError::DeadlineExceeded { may_have_run: true, .. })), "{late:?}");
    store.is_cut_off.store(false, std::sync::atomic::Ordering::SeqCst);
    let placed = mesh.place("one", "agent").args(&args).start().await.unwrap();
    assert!(placed.node == "b" && placed.epoch.is_multiple_of(10), "of the source: {placed:?}");
    let first = placed.epoch;
    assert_eq!(who_soon(&mesh, "one").await, ("b".to_owned(), first), "the actor knows its epoch");
    mesh.fence("one", first).await.unwrap();
    fleet.join("c", &[]).await;
    fleet.kill("b");
    fleet.until_down("b").await;
    eventually("its next life", async || who(&mesh, "one").await.is_ok()).await;
    assert_eq!(who_soon(&mesh, "one").await, ("c".to_owned(), first + 10));
    assert!(matches!(mesh.fence("one", first).await, Err(EpochError::Fenced { .. })));
}

/// Finds deaths in a second or two.
pub(crate) fn quick() -> MembershipConfig {
    MembershipConfig {
        probe_period: Duration::from_millis(100),
        probe_timeout: Duration::from_millis(50),
        suspicion: Duration::from_millis(1_000),
        gossip_period: Duration::from_millis(50),
        ..MembershipConfig::lan()
    }
}
