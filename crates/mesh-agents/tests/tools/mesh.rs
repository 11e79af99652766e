//! Tools as actors, on nodes in memory.

use std::sync::Arc;

use mesh::{Authority, Cancel, Client, ClientConfig, GrantSet, MemoryNetwork, Node, NodeConfig, Runtimes};
use mesh_agents::tools::{Call, CallId, CallTool, ReportTool, ToolActor, ToolBox, ToolSpec};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::parts::{Journal, LIMIT, Puppet, play};

struct Lab {
    network: MemoryNetwork,
    authority: Authority,
    nodes: Vec<Node>,
}

impl Lab {
    async fn of(names: &[&str]) -> Self {
        let authority = Authority::create("test").unwrap();
        let mut lab = Self { network: MemoryNetwork::new(), authority, nodes: Vec::new() };
        for name in names {
            let peer_id = lab.authority.issue_node(name).unwrap().peer_id().clone();
            let endpoint = lab.network.endpoint(peer_id.clone());
            let seeds = lab.nodes.iter().map(|node| node.local_addr().to_string()).collect();
            let config = NodeConfig { seeds, ..NodeConfig::default() };
            let node = Node::builder(config).start_on(endpoint, peer_id, Runtimes::current()).await.unwrap();
            lab.nodes.push(node);
        }
        eventually("every member", async || {
            lab.nodes.iter().all(|node| node.mesh().members().len() == names.len())
        })
        .await;
        lab
    }

    fn publish(&self, node: usize, puppet: Puppet) -> Arc<mesh_agents::tools::HookedTool> {
        let tool = Arc::new(puppet.hooked());
        ToolActor::publish(self.nodes[node].mesh(), Arc::clone(&tool)).unwrap();
        tool
    }

    fn box_at(&self, node: usize) -> ToolBox {
        ToolBox::new(self.nodes[node].mesh().clone())
    }

    async fn knows(&self, node: usize, tools: usize) {
        let mesh = self.nodes[node].mesh();
        eventually("the tools", async || mesh.list("tool:puppet").len() == tools).await;
    }
}

async fn eventually(what: &str, mut ready: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !ready().await {
        assert!(Instant::now() < end, "{what} did not come");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tool_is_found_by_its_capability_and_called_on_another_node() {
    let lab = Lab::of(&["alpha", "beta"]).await;
    lab.publish(1, Puppet::new());
    lab.knows(0, 1).await;
    let tools = lab.box_at(0);
    let found = tools.list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].path.as_str(), found[0].node.as_str()), ("beta/tools/puppet", "beta"));
    let description = &found[0].description;
    assert_eq!((description.policy.as_str(), description.timeout_ms), ("manual", 30_000));
    let schema: serde_json::Value = serde_json::from_str(&description.schema).unwrap();
    assert_eq!(schema["properties"]["n"]["maximum"], 9);
    assert_eq!(tools.call(Call::new("puppet", json!({"act": "answer", "n": 4}))).await, Ok(json!({"n": 4})));
    let error = tools.call(Call::new("puppet", json!({"act": "answer", "n": 44}))).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.may_have_run), ("BAD_ARGUMENTS", false));
    let error = tools.call(play("fail")).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.may_have_run), ("EXECUTION_ERROR", true));
}

#[tokio::test]
async fn a_tool_of_this_node_is_called_before_those_of_others() {
    let lab = Lab::of(&["alpha", "beta", "gamma"]).await;
    let tools: Vec<_> = (0..3).map(|node| lab.publish(node, Puppet::new())).collect();
    for node in 0..3 {
        lab.knows(node, 3).await;
    }
    lab.box_at(2).call(play("answer")).await.unwrap();
    let calls: Vec<_> = tools.iter().map(|tool| tool.stats().total).collect();
    assert_eq!(calls, [0, 0, 1]);
}

#[tokio::test]
async fn a_client_finds_and_calls_tools_too() {
    let lab = Lab::of(&["alpha", "beta"]).await;
    lab.publish(1, Puppet::new());
    lab.knows(0, 1).await;
    let peer_id = lab.authority.issue_client("someone", &GrantSet::all()).unwrap().peer_id().clone();
    let endpoint = lab.network.endpoint(peer_id.clone());
    let addrs = [lab.nodes[0].local_addr().to_string()];
    let client = Client::connect_on(endpoint, peer_id, &addrs, ClientConfig::default(), Runtimes::current())
        .await
        .unwrap();
    let tools = ToolBox::new(client);
    assert_eq!(tools.list().await.unwrap().len(), 1);
    assert_eq!(tools.call(play("answer")).await, Ok(json!({"n": 0})));
}

#[tokio::test]
async fn unknown_tools_of_the_mesh_are_recorded() {
    let lab = Lab::of(&["alpha"]).await;
    let tools = lab.box_at(0);
    let error = tools.call(Call::new("nothing", json!({}))).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.may_have_run), ("UNKNOWN_TOOL", false));
    assert_eq!(tools.unknown()[0].tool, "nothing");

    let tool = lab.publish(0, Puppet::new());
    let actor = lab.nodes[0].mesh().recipient::<CallTool>("alpha/tools/puppet").unwrap();
    let call = CallTool { tool: "other".to_owned(), args: "{}".to_owned(), call: String::new() };
    assert_eq!(actor.ask(call).await.unwrap().unwrap_err().code, "UNKNOWN_TOOL");
    assert_eq!(tool.stats().unknown, 1);
}

#[tokio::test]
async fn calls_at_their_limit_block_no_mailbox() {
    let lab = Lab::of(&["alpha", "beta"]).await;
    let mut puppet = Puppet::new();
    puppet.spec = ToolSpec::new("puppet", "Two at a time.").concurrency(2);
    let (gate, journal) = (Arc::clone(&puppet.gate), puppet.journal.clone());
    lab.publish(1, puppet);
    lab.knows(0, 1).await;
    let tools = lab.box_at(0);
    let calls = futures::future::join_all((0..5).map(|_| tools.call(play("wait"))));
    let looks = async {
        let report = lab.nodes[0].mesh().recipient::<ReportTool>("beta/tools/puppet").unwrap();
        eventually("all calls", async || report.ask(ReportTool {}).await.unwrap().running == 5).await;
        eventually("two runs", async || journal.all().len() == 2).await;
        let described = tools.describe("puppet").await.unwrap();
        assert_eq!(described.concurrency, 2, "it answers while it is full");
        assert_eq!(journal.all().len(), 2, "no third one runs");
        gate.add_permits(5);
    };
    let (said, ()) = timeout(LIMIT, async { tokio::join!(calls, looks) }).await.unwrap();
    assert!(said.iter().all(Result::is_ok), "{said:?}");
}

#[tokio::test]
async fn who_comes_when_too_many_wait_is_told_to_come_again() {
    let lab = Lab::of(&["alpha"]).await;
    let mut puppet = Puppet::new();
    puppet.spec = ToolSpec::new("puppet", "One at a time.").concurrency(1);
    let gate = Arc::clone(&puppet.gate);
    let tool = lab.publish(0, puppet);
    let tools = lab.box_at(0);
    let calls = futures::future::join_all((0..70).map(|_| tools.call(play("wait"))));
    let opens = async {
        eventually("a full tool", async || tool.stats().running == 65).await;
        gate.add_permits(70);
    };
    let (said, ()) = timeout(LIMIT, async { tokio::join!(calls, opens) }).await.unwrap();
    let busy: Vec<_> = said.iter().filter_map(|said| said.as_ref().err()).collect();
    assert_eq!(busy.len(), 5);
    assert!(busy.iter().all(|error| error.code == "TOO_BUSY" && !error.may_have_run), "{busy:?}");
}

#[tokio::test]
async fn a_withdrawn_call_reaches_the_tool_on_another_node() {
    let lab = Lab::of(&["alpha", "beta"]).await;
    let puppet = Puppet::new();
    let journal = puppet.journal.clone();
    let tool = lab.publish(1, puppet);
    lab.knows(0, 1).await;
    let unwanted = Cancel::new();
    let tools = lab.box_at(0);
    let call = tools.call(play("hang").cancel_on(unwanted.clone()));
    let withdraws = async {
        eventually("the run", async || journal.all().len() == 1).await;
        unwanted.cancel();
    };
    let (said, ()) = timeout(LIMIT, async { tokio::join!(call, withdraws) }).await.unwrap();
    assert_eq!(said.unwrap_err().code, "CANCELLED");
    assert_eq!(journal.all(), ["ran hang 0", "was told to stop"]);
    assert_eq!(tool.stats().cancelled, 1);
}

#[tokio::test]
async fn a_call_that_is_replayed_has_one_effect() {
    let lab = Lab::of(&["alpha", "beta"]).await;
    let puppet = Puppet::new();
    let journal: Journal = puppet.journal.clone();
    lab.publish(1, puppet);
    lab.knows(0, 1).await;
    let (tools, id) = (lab.box_at(0), CallId::generate());
    let call = |n: u32| Call::new("puppet", json!({"act": "answer", "n": n})).id(id);
    assert_eq!(tools.call(call(1)).await, Ok(json!({"n": 1})));
    assert_eq!(tools.call(call(1)).await, Ok(json!({"n": 1})));
    assert_eq!(tools.call(call(2)).await.unwrap_err().code, "BAD_CALL", "an id is of one action");
    assert_eq!(journal.all(), ["ran answer 1"]);
}

#[tokio::test]
async fn a_tool_that_is_stopped_tells_its_callers_that_it_may_have_run() {
    let lab = Lab::of(&["alpha", "beta"]).await;
    let puppet = Puppet::new();
    let journal = puppet.journal.clone();
    let tool = Arc::new(puppet.hooked());
    let actor = ToolActor::publish(lab.nodes[1].mesh(), Arc::clone(&tool)).unwrap();
    lab.knows(0, 1).await;
    let tools = lab.box_at(0);
    let stops = async {
        eventually("the run", async || journal.all().len() == 1).await;
        actor.stop();
    };
    let (said, ()) = timeout(LIMIT, async { tokio::join!(tools.call(play("wait")), stops) }).await.unwrap();
    let error = said.unwrap_err();
    assert!(error.may_have_run && error.in_doubt, "{error:?}");
    eventually("the end of the call", async || tool.stats().cancelled == 1).await;
}
