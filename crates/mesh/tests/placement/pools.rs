//! Pools, routers, actors by key, and links.

use super::fleet::{Fleet, Linger, Who, assert_moving, eventually, lingering, secs};
use mesh::{
    Actor, ActorSpec, ActorState, AskError, Balance, Context, Down, DownReason, ExitReason, Handler, Mesh,
    Recipient,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

async fn ask(to: &Recipient<Who>) -> (String, String) {
    let me = to.ask(Who {}).timeout(secs(5)).await.unwrap();
    (me.name, me.node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_is_spread_over_nodes_and_replaces_who_dies() {
    let mut fleet = Fleet::of(&["a", "b", "c"]).await;
    let mesh = fleet.mesh("c");
    let pool = mesh.pool::<Who>("agent").size(6).balance(Balance::RoundRobin).spawn().await.unwrap();
    let nodes: BTreeSet<&str> = pool.members().iter().map(|member| &*member.node).collect();
    assert_eq!(nodes, BTreeSet::from(["a", "b", "c"]));
    let mut seen = BTreeMap::<String, u32>::new();
    for _ in 0..12 {
        *seen.entry(ask(&pool.recipient()).await.0).or_default() += 1;
    }
    assert!(seen.len() == 6 && seen.values().all(|count| *count == 2), "{seen:?}");
    fleet.kill("a");
    fleet.until_down("a").await;
    eventually("six members", async || {
        let mut names = BTreeSet::new();
        for _ in 0..12 {
            match pool.ask(Who {}).timeout(secs(2)).await {
                Ok(me) => drop(names.insert(me.name)),
                Err(error) => assert_moving(&error),
            }
        }
        names.len() == 6
    })
    .await;
    let name = pool.members()[0].name.clone();
    pool.stop().await.unwrap();
    eventually("their end", async || mesh.resolve(&name).is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_member_gets_nothing_while_another_is_idle() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let mesh = fleet.mesh("a");
    let pool = mesh.pool::<Linger>("agent").named("desk").size(2).spawn().await.unwrap();
    let again = mesh.pool::<Linger>("agent").named("desk").size(2).spawn().await.unwrap();
    assert_eq!(pool.members(), again.members(), "a pool of that name is found again");
    let to = pool.recipient();
    let busy = tokio::spawn(async move { to.ask(Linger { ms: 1_500 }).timeout(secs(10)).await.unwrap() });
    eventually("a busy member", async || lingering("desk-0") || lingering("desk-1")).await;
    let mut others = BTreeSet::new();
    for _ in 0..8 {
        others.insert(pool.ask(Linger { ms: 0 }).timeout(secs(5)).await.unwrap().name);
    }
    assert!(!busy.is_finished(), "it was busy all the time");
    assert!(others.len() == 1 && !others.contains(&busy.await.unwrap().name), "{others:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stays_with_its_member_and_a_router_finds_who_can() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let mesh = fleet.mesh("a");
    for number in 0..4 {
        mesh.place(&format!("m{number}"), "agent").start().await.unwrap();
    }
    let key = Arc::new(Mutex::new(String::new()));
    let of = Arc::clone(&key);
    let balance = || {
        Balance::<Who>::by_key({
            let of = Arc::clone(&of);
            move |_| of.lock().clone()
        })
    };
    let all = mesh.router(&["m0", "m1", "m2", "m3"], balance()).unwrap();
    let fewer = mesh.router(&["m0", "m1", "m2"], balance()).unwrap();
    let mut owners = BTreeMap::new();
    for number in 0..40 {
        *key.lock() = format!("key-{number}");
        let (one, two) = (ask(&all).await.0, ask(&all).await.0);
        assert_eq!(one, two, "one key, one member");
        if one != "m3" {
            assert_eq!(ask(&fewer).await.0, one, "only the keys of who is gone go elsewhere");
        }
        *owners.entry(one).or_insert(0) += 1;
    }
    assert_eq!(owners.len(), 4, "{owners:?}");
    let able = mesh.router_of::<Who>("answer:who", Balance::RoundRobin);
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        seen.insert(ask(&able).await.0);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    let nobody = mesh.router_of::<Who>("answer:why", Balance::RoundRobin).ask(Who {}).await;
    assert!(matches!(nobody, Err(AskError::NoSuchActor { .. })), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_gets_of_a_key_give_one_actor() {
    let fleet = Fleet::of(&["a", "b", "c"]).await;
    let mut asks = Vec::new();
    for _ in 0..6 {
        for mesh in fleet.meshes() {
            let to = mesh.keyed::<Who>("agent").args(|_| "null".to_owned()).get("42/x").unwrap();
            asks.push(tokio::spawn(async move { to.ask(Who {}).timeout(secs(10)).await.unwrap() }));
        }
    }
    let mut seen = BTreeSet::new();
    for ask in asks {
        let me = ask.await.unwrap();
        seen.insert((me.name, me.node, me.epoch));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    let client = fleet.client("b").await;
    let sessions = client.keyed::<Who>("agent").args(|_| "null".to_owned());
    let me = sessions.get("42/x").unwrap().ask(Who {}).timeout(secs(10)).await.unwrap();
    assert!(seen.contains(&(me.name, me.node, me.epoch)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_actor_is_passivated_and_comes_back_with_the_next_message() {
    let fleet = Fleet::of(&["a", "b"]).await;
    let mesh = fleet.mesh("a");
    let idle = Duration::from_millis(400);
    let sessions = mesh.keyed::<Who>("agent").args(|_| "null".to_owned()).passivate_after(idle);
    let to = sessions.get("7").unwrap();
    let first = to.ask(Who {}).timeout(secs(10)).await.unwrap();
    eventually("its end", async || mesh.resolve("keyed-agent-7").is_none()).await;
    eventually("nothing", async || mesh.placements().await.unwrap().placements.is_empty()).await;
    let mut second = None;
    eventually("its next life", async || {
        second = to.ask(Who {}).timeout(secs(10)).await.ok();
        second.is_some()
    })
    .await;
    assert!(second.unwrap().epoch > first.epoch);
}

struct Heir(Arc<Mutex<Vec<Down>>>);
impl Actor for Heir {}
impl Handler<Down> for Heir {
    async fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        self.0.lock().push(down);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_stops_or_tells_when_the_other_ends_on_whichever_node() {
    let mut fleet = Fleet::of(&["a", "b"]).await;
    let mesh: Mesh = fleet.mesh("a");
    let told = Arc::<Mutex<Vec<Down>>>::default();
    let heir = || {
        let told = Arc::clone(&told);
        mesh.spawn(ActorSpec::new("heir"), move || Heir(Arc::clone(&told)))
    };
    for name in ["one", "two"] {
        fleet.mesh("b").spawn_kind("b", "agent", name, "null").await.unwrap();
    }
    let ready = async || mesh.resolve("one").is_some() && mesh.resolve("two").is_some();
    eventually("both names", ready).await;
    let (stops, hears, free) = (heir(), heir(), heir());
    mesh.link(&stops, "b/one").await.unwrap();
    mesh.link_told(&hears, "b/one").await.unwrap();
    mesh.link(&free, "b/one").await.unwrap().cut();
    let missing = mesh.link(&free, "b/nobody").await;
    assert!(matches!(missing, Err(AskError::NoSuchActor { .. })), "{missing:?}");
    mesh.stop_actor("b/one").await.unwrap();
    let ended = tokio::time::timeout(secs(10), stops.stopped()).await.unwrap();
    assert_eq!(ended, ExitReason::Stopped);
    eventually("the news", async || told.lock().len() == 1).await;
    let down = told.lock()[0].clone();
    assert_eq!((&*down.path, &down.reason), ("b/one", &DownReason::Stopped));
    assert_eq!(free.info().state, ActorState::Running, "it was untied");
    mesh.link(&hears, "b/two").await.unwrap();
    fleet.kill("b");
    assert_eq!(tokio::time::timeout(secs(20), hears.stopped()).await.unwrap(), ExitReason::Stopped);
}
