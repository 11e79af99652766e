//! A node with an inbox on a store in a file, and people with certificates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh::{Authority, Client, ClientConfig, GrantSet, Mesh, Node, NodeConfig, Runtimes};
use mesh_agents::approvals::{
    AnswerApproval, AnswerTaken, ApprovalDetail, ApprovalRow, Approvals, Gate, Inbox, ListApprovals, NotDone,
    Permit, Policies, Refusal, Request, ShowApproval, Word,
};
use mesh_store::{SqliteOptions, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);
pub(crate) const GRANT: &str = "approve:*/approvals";

pub(crate) struct Desk {
    folder: TempDir,
    authority: Authority,
    policies: Policies,
    pub(crate) node: Node,
    pub(crate) store: Store,
    pub(crate) gate: Gate,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        Self::with(Policies::shipped()).await
    }

    pub(crate) async fn with(policies: Policies) -> Self {
        let authority = Authority::create("desk").unwrap();
        Self::begin(tempfile::tempdir().unwrap(), authority, policies, Vec::new()).await
    }

    async fn begin(folder: TempDir, authority: Authority, policies: Policies, seeds: Vec<String>) -> Self {
        let path = folder.path().join("store.db");
        let store = Store::open_sqlite(path, SqliteOptions::default()).await.unwrap();
        let node = node(&authority, "alpha", seeds).await;
        let gate = Gate::new();
        gate.lead_to(&Inbox::publish(node.mesh(), store.clone(), policies.clone()).unwrap());
        Self { folder, authority, policies, node, store, gate }
    }

    /// Ends the node with all that waits in it, and starts it again on the same file.
    pub(crate) async fn restart(self) -> Self {
        let Self { folder, authority, policies, node, store, gate } = self;
        drop(gate);
        node.leave().await;
        store.close().await;
        Self::begin(folder, authority, policies, Vec::new()).await
    }

    /// Another node, without a store.
    pub(crate) async fn join(&self, name: &str) -> Node {
        let node = node(&self.authority, name, vec![self.node.local_addr().to_string()]).await;
        let list = node.mesh().recipient::<ListApprovals>("alpha/approvals").unwrap();
        let end = Instant::now() + LIMIT;
        while list.ask(ListApprovals { all: false }).await.is_err() {
            assert!(Instant::now() < end, "alpha was not found");
            tokio::task::yield_now().await;
        }
        node
    }

    pub(crate) async fn person(&self, name: &str) -> Person {
        self.client(name, GRANT).await
    }

    pub(crate) async fn client(&self, name: &str, grants: &str) -> Person {
        let grants = grants.split_whitespace().map(|grant| grant.parse().unwrap());
        let identity = self.authority.issue_client(name, &GrantSet::new(grants).unwrap()).unwrap();
        let addrs = [self.node.local_addr().to_string()];
        let mesh = Client::connect(&addrs, &identity, ClientConfig::default(), Runtimes::current()).await;
        Person { mesh: mesh.unwrap() }
    }
}

async fn node(authority: &Authority, name: &str, seeds: Vec<String>) -> Node {
    let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), seeds, ..NodeConfig::default() };
    let identity = authority.issue_node(name).unwrap();
    Node::builder(config).start(identity, Runtimes::current()).await.unwrap()
}

/// A client of the desk's node.
pub(crate) struct Person {
    mesh: Mesh,
}

impl Person {
    async fn ask<T: serde::de::DeserializeOwned>(&self, kind: &str, body: Value) -> Result<T, String> {
        let reply = self.mesh.ask_json("alpha/approvals", kind, &body.to_string(), LIMIT).await;
        let reply = reply.map_err(|failure| failure.code)?;
        serde_json::from_str::<Result<T, Refusal>>(&reply).unwrap().map_err(|refusal| refusal.code)
    }

    pub(crate) async fn list(&self) -> Result<Vec<ApprovalRow>, String> {
        let listed: Approvals = self.ask("approvals.list.v1", json!({})).await?;
        Ok(listed.approvals)
    }

    pub(crate) async fn history(&self) -> Vec<ApprovalRow> {
        self.ask::<Approvals>("approvals.list.v1", json!({"all": true})).await.unwrap().approvals
    }

    /// Waits until as many requests wait.
    pub(crate) async fn sees(&self, count: usize) -> Vec<ApprovalRow> {
        let end = Instant::now() + LIMIT;
        loop {
            let rows = self.list().await.unwrap();
            if rows.len() == count {
                return rows;
            }
            assert!(Instant::now() < end, "{count} were to wait: {rows:?}");
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn show(&self, id: &str) -> Result<ApprovalDetail, String> {
        self.ask("approvals.show.v1", serde_json::to_value(ShowApproval { id: id.to_owned() }).unwrap()).await
    }

    pub(crate) async fn answer(&self, row: &ApprovalRow, verdict: Word) -> Result<AnswerTaken, String> {
        self.send(&answer(row, verdict)).await
    }

    pub(crate) async fn edit(&self, row: &ApprovalRow, args: &Value) -> Result<AnswerTaken, String> {
        self.send(&AnswerApproval { args: Some(args.to_string()), ..answer(row, Word::Edit) }).await
    }

    pub(crate) async fn send(&self, answer: &AnswerApproval) -> Result<AnswerTaken, String> {
        self.ask("approvals.answer.v1", serde_json::to_value(answer).unwrap()).await
    }
}

pub(crate) fn answer(row: &ApprovalRow, verdict: Word) -> AnswerApproval {
    AnswerApproval {
        id: row.id.clone(),
        hash: row.hash.clone(),
        verdict,
        args: None,
        note: "as I see it".to_owned(),
    }
}

/// The request of most tests.
pub(crate) fn cleanup() -> Request {
    Request::new("ops", "delete_files", json!({"glob": "logs/*.gz"})).timeout(LIMIT * 10)
}

/// What is done once it is approved: counted, with what it was done.
#[derive(Clone, Default)]
pub(crate) struct Effect {
    done: Arc<AtomicU32>,
}

impl Effect {
    pub(crate) fn count(&self) -> u32 {
        self.done.load(Ordering::SeqCst)
    }

    pub(crate) async fn through(&self, gate: &Gate, request: Request) -> Result<Value, NotDone<String>> {
        let done = Arc::clone(&self.done);
        gate.run(request, async move |permit: Permit| {
            done.fetch_add(1, Ordering::SeqCst);
            Ok(permit.args)
        })
        .await
    }

    /// The same, meanwhile.
    pub(crate) fn begin(
        &self,
        gate: &Gate,
        request: Request,
    ) -> tokio::task::JoinHandle<Result<Value, NotDone<String>>> {
        let (effect, gate) = (self.clone(), gate.clone());
        tokio::spawn(async move { effect.through(&gate, request).await })
    }
}

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("it takes no longer")
}
