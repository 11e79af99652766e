//! A node with an inbox, and a person who answers.

use std::time::Duration;

use mesh::{Authority, Client, ClientConfig, GrantSet, Mesh, Node, NodeConfig, Runtimes};
use mesh_agents::approvals::{
    AnswerApproval, ApprovalDetail, ApprovalRow, Approvals, Gate, Inbox, Policies, Refusal, Word,
};
use mesh_store::Store;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::model::LIMIT;

pub(crate) struct People {
    pub(crate) gate: Gate,
    _node: Node,
    client: Mesh,
}

impl People {
    pub(crate) async fn at(store: &Store) -> Self {
        let authority = Authority::create("people").unwrap();
        let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..NodeConfig::default() };
        let identity = authority.issue_node("alpha").unwrap();
        let node = Node::builder(config).start(identity, Runtimes::current()).await.unwrap();
        let gate = Gate::new();
        gate.lead_to(&Inbox::publish(node.mesh(), store.clone(), Policies::shipped()).unwrap());
        let grants = GrantSet::new(["approve:*/approvals".parse().unwrap()]).unwrap();
        let identity = authority.issue_client("ann", &grants).unwrap();
        let addrs = [node.local_addr().to_string()];
        let client = Client::connect(&addrs, &identity, ClientConfig::default(), Runtimes::current()).await;
        Self { gate, _node: node, client: client.unwrap() }
    }

    /// What waits.
    pub(crate) async fn pending(&self) -> Vec<ApprovalRow> {
        self.ask::<Approvals>("approvals.list.v1", &json!({"all": false})).await.approvals
    }

    /// Waits until something waits.
    pub(crate) async fn sees(&self) -> ApprovalRow {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(row) = self.pending().await.pop() {
                return row;
            }
            assert!(Instant::now() < end, "nothing waits");
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn show(&self, row: &ApprovalRow) -> ApprovalDetail {
        self.ask("approvals.show.v1", &json!({"id": row.id})).await
    }

    pub(crate) async fn answer(&self, row: &ApprovalRow, verdict: Word) {
        let (id, hash, note) = (row.id.clone(), row.hash.clone(), "as I see it".to_owned());
        let answer = AnswerApproval { id, hash, verdict, args: None, note };
        let _: Value = self.ask("approvals.answer.v1", &serde_json::to_value(answer).unwrap()).await;
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, kind: &str, body: &Value) -> T {
        let body = body.to_string();
        let reply = self.client.ask_json("alpha/approvals", kind, &body, Duration::from_secs(30)).await;
        serde_json::from_str::<Result<T, Refusal>>(&reply.unwrap()).unwrap().unwrap()
    }
}
