//! Who is denied in the whole mesh, by a word to one node.

use crate::cluster::{LIMIT, eventually};
use mesh::{
    Authority, Client, ClientConfig, Denial, DenialBook, DenialStore, DenialStoreError, Deny, DenyRow,
    Identity, ListMembers, Mesh, Node, NodeConfig, Runtimes,
};
use mesh_proto::GrantSet;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Row 2 of the threat table: within this, whoever is denied is out.
const OUT_MAX: Duration = Duration::from_secs(2);

/// A disk that outlives its node, and may be full.
#[derive(Debug, Clone, Default)]
struct Disk {
    book: Arc<Mutex<DenialBook>>,
    is_full: bool,
}

impl DenialStore for Disk {
    fn merge(&self, news: Vec<Denial>) -> Result<Vec<Denial>, DenialStoreError> {
        if self.is_full && !news.is_empty() {
            return Err(DenialStoreError::new("the disk is full"));
        }
        let mut book = self.book.lock();
        book.merge(news);
        Ok(book.rows())
    }
}

async fn node(authority: &Authority, name: &str, seeds: &[&Node], disk: &Disk) -> Node {
    let seeds = seeds.iter().map(|seed| seed.local_addr().to_string()).collect();
    let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), seeds, ..NodeConfig::default() };
    let builder = Node::builder(config).denials(Arc::new(disk.clone()));
    builder.start(authority.issue_node(name).unwrap(), Runtimes::current()).await.unwrap()
}

fn eve(authority: &Authority) -> Identity {
    authority.issue_client("eve", &GrantSet::all()).unwrap()
}

async fn try_client(node: &Node, identity: &Identity) -> Result<Mesh, String> {
    let config = ClientConfig { moves: false, ..ClientConfig::default() };
    let addrs = [node.local_addr().to_string()];
    let connected = Client::connect(&addrs, identity, config, Runtimes::current()).await;
    connected.map_err(|error| error.to_string())
}

/// Whether the node lets it in, and answers it.
async fn is_let_in(node: &Node, identity: &Identity) -> bool {
    let Ok(client) = try_client(node, identity).await else { return false };
    sees(node, &client).await.is_ok()
}

async fn sees(node: &Node, client: &Mesh) -> Result<usize, String> {
    let members = client.recipient::<ListMembers>(&format!("{}/mesh", node.name())).unwrap();
    let members =
        members.ask(ListMembers {}).timeout(LIMIT).await.map_err(|error| error.code().to_owned())?;
    Ok(members.members.len())
}

async fn say(at: &Node, who: &str, is_denied: bool) -> Vec<DenyRow> {
    let actor = at.mesh().recipient::<Deny>(&format!("{}/mesh", at.name())).unwrap();
    actor.ask(Deny { who: who.to_owned(), is_denied }).timeout(LIMIT).await.unwrap().unwrap()
}

fn have(rows: &[DenyRow]) -> Vec<&str> {
    rows.iter().filter(|row| row.has_it).map(|row| row.node.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_2_a_denial_reaches_every_node_also_those_that_come_later() {
    let authority = Authority::create("farm").unwrap();
    let disks: [Disk; 3] = Default::default();
    let alpha = node(&authority, "alpha", &[], &disks[0]).await;
    let beta = node(&authority, "beta", &[&alpha], &disks[1]).await;
    let eve = eve(&authority);
    let client = try_client(&beta, &eve).await.unwrap();
    eventually("beta knows both", async || sees(&beta, &client).await == Ok(2)).await;

    let rows = say(&alpha, "client/eve", true).await;
    assert_eq!(have(&rows), ["alpha", "beta"], "{rows:?}");
    let cut_off = async {
        while sees(&beta, &client).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(OUT_MAX, cut_off).await.expect("an open connection ends within two seconds");
    assert!(!is_let_in(&beta, &eve).await && !is_let_in(&alpha, &eve).await);

    let gamma = node(&authority, "gamma", &[&beta], &disks[2]).await;
    eventually("gamma has heard of it", async || !is_let_in(&gamma, &eve).await).await;
    assert_eq!(disks[2].book.lock().denied().count(), 1, "and keeps it");

    // It is kept where the node was off when the others were told.
    drop(gamma);
    let rows = say(&beta, "client/eve", false).await;
    assert!(have(&rows).contains(&"alpha"), "{rows:?}");
    eventually("alpha lets eve in", async || is_let_in(&alpha, &eve).await).await;
    assert_eq!(disks[2].book.lock().denied().count(), 1, "gamma has not heard of that");
    let gamma = node(&authority, "gamma", &[&alpha], &disks[2]).await;
    eventually("gamma lets eve in", async || is_let_in(&gamma, &eve).await).await;
    assert!(is_let_in(&beta, &eve).await, "and has made nobody deny eve again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_denied_is_so_from_the_first_moment_of_the_next_run() {
    let authority = Authority::create("farm").unwrap();
    let disk = Disk::default();
    let alpha = node(&authority, "alpha", &[], &disk).await;
    say(&alpha, "client/eve", true).await;
    drop(alpha);
    let alpha = node(&authority, "alpha", &[], &disk).await;
    assert!(!is_let_in(&alpha, &eve(&authority)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_keep_it_follows_it_and_does_not_say_that_it_has_it() {
    let authority = Authority::create("farm").unwrap();
    let (disk, full) = (Disk::default(), Disk { is_full: true, ..Disk::default() });
    let alpha = node(&authority, "alpha", &[], &disk).await;
    let beta = node(&authority, "beta", &[&alpha], &full).await;
    let rows = say(&alpha, "client/eve", true).await;
    assert_eq!(have(&rows), ["alpha"], "{rows:?}");
    assert!(!is_let_in(&beta, &eve(&authority)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_administrator_denies() {
    let authority = Authority::create("farm").unwrap();
    let alpha = node(&authority, "alpha", &[], &Disk::default()).await;
    for (grant, code) in
        [("ask:**", Some("DENIED")), ("admin:other/mesh", Some("DENIED")), ("admin:*/mesh", None)]
    {
        let grants = GrantSet::new([grant.parse().unwrap()]).unwrap();
        let client = try_client(&alpha, &authority.issue_client("op", &grants).unwrap()).await.unwrap();
        let actor = client.recipient::<Deny>("alpha/mesh").unwrap();
        let asked = actor.ask(Deny { who: "client/eve".to_owned(), is_denied: true }).timeout(LIMIT).await;
        assert_eq!(asked.as_ref().err().map(|error| error.code()), code, "{grant}: {asked:?}");
    }
    let wrong = alpha.mesh().recipient::<Deny>("alpha/mesh").unwrap();
    let wrong = wrong.ask(Deny { who: "everybody".to_owned(), is_denied: true }).await.unwrap().unwrap_err();
    assert_eq!(wrong.code, "BAD_MESSAGE");
}
