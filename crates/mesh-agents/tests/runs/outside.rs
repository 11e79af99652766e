//! What a program sees that knows no more than JSON, on another node.

use std::time::Duration;

use mesh::{JsonItem, Mesh};
use mesh_agents::{AgentArgs, Models, Work};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::script::{Act, Script};

const LIMIT: Duration = Duration::from_secs(60);

const SINGLE: &str = r#"
version: "1.0"
agents: {worker: {role: "worker"}}
workflow: {type: pipeline, stages: [{name: work, agent: worker}]}
"#;

/// Reads a stream to its end: its items, then its reply.
async fn read(mesh: &Mesh, path: &str, kind: &str, body: &Value) -> (Vec<Value>, Value) {
    let mut stream = mesh.stream_json(path, kind, &body.to_string(), LIMIT).await.unwrap();
    let mut items = Vec::new();
    loop {
        match stream.next().await.expect("a reply ends the stream").unwrap() {
            JsonItem::Item(item) => items.push(serde_json::from_str(&item).unwrap()),
            JsonItem::Reply(reply) => return (items, serde_json::from_str(&reply).unwrap()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_can_be_created_and_followed_from_another_node_in_json() {
    let script = Script::new(|call| Act::say(format!("{} done", call.input)));
    let cluster = Cluster::three(&script).await;
    let beta = cluster.nodes[1].mesh();
    let create = json!({ "name": "a.yaml", "text": SINGLE, "task": "tea" }).to_string();
    let created = beta.ask_json("alpha/workflows", "workflow.create.v1", &create, LIMIT).await.unwrap();
    let created: Value = serde_json::from_str(&created).unwrap();
    let path = created["Ok"]["path"].as_str().unwrap();
    assert_eq!(path, format!("alpha/runs/{}", created["Ok"]["run"].as_str().unwrap()));

    let (events, ended) = read(beta, path, "workflow.run.v1", &json!({})).await;
    assert_eq!(events[0], json!({ "stage_started": { "stage": "work", "agent": "worker", "items": 1 } }));
    assert_eq!(events.last().unwrap()["run_finished"]["outcome"], "completed");
    assert_eq!(ended["outcome"], json!({ "completed": { "result": "tea done" } }));
    assert_eq!(ended["tokens"], json!({ "input": 10, "output": 2 }));
}

#[tokio::test(start_paused = true)]
async fn an_agent_can_be_spawned_and_asked_without_any_workflow_and_again_and_again() {
    let script = Script::new(|call| Act::say(format!("about {}", call.input)));
    let cluster = Cluster::three(&script).await;
    let args = json!({ "name": "muse", "role": "Muse", "model": "tiny" }).to_string();
    let path = cluster.alpha().spawn_kind("beta", "agent", "muse", &args).await.unwrap();
    assert_eq!(path, "beta/muse");
    for input in ["tea", "rain"] {
        let (items, reply) = read(cluster.alpha(), &path, "agent.work.v1", &json!({ "input": input })).await;
        assert_eq!(items[0], json!({ "began": { "model": "tiny-exactly" } }));
        assert_eq!(reply["Ok"]["text"], format!("about {input}"));
        assert_eq!(reply["Ok"]["model"], "tiny-exactly");
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    let agent = cluster.alpha().stream_recipient::<Work>("beta/muse").unwrap();
    agent.stream(Work::new("still there?")).finish().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_nodes_model_overrides_that_of_the_file_and_the_answer_names_it() {
    let script = Script::new(|_| Act::say("done"));
    let models = Models::new(std::sync::Arc::new(script.on("alpha"))).only("mesh-model");
    let mut cluster = Cluster::empty().await;
    cluster.add_with("alpha", &[], Some(models)).await;
    let text = SINGLE.replace(r#"{role: "worker"}"#, r#"{model: "claude"}"#);
    let told = cluster.run(&text, "tea").await;
    assert_eq!(script.calls()[0].request.model.as_deref(), Some("mesh-model"));
    let json = serde_json::to_string(&told.events).unwrap();
    assert!(json.contains(r#""model":"mesh-model-exactly""#), "{json}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_with_arguments_that_no_model_takes_never_runs() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = Cluster::three(&script).await;
    let mut args = AgentArgs::new("muse");
    args.max_tokens = Some(0);
    let args = serde_json::to_string(&args).unwrap();
    let path = cluster.alpha().spawn_kind("beta", "agent", "muse", &args).await.unwrap();
    let agent = cluster.alpha().stream_recipient::<Work>(&path).unwrap();
    let error = agent.stream(Work::new("hello")).timeout(LIMIT).finish().await.unwrap_err();
    assert!(matches!(error.code(), "STOPPED" | "NOT_RUNNING" | "NO_SUCH_ACTOR"), "{error:?}");
    assert!(script.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_not_spawned_where_there_is_no_model() {
    let mut cluster = Cluster::empty().await;
    cluster.add("alpha", &[], None).await;
    let error = cluster.alpha().spawn_kind("alpha", "agent", "muse", "{}").await.unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), ("CANNOT_SPAWN", false));
    let said = error.to_string();
    assert!(said.starts_with("alpha/muse cannot be spawned: node alpha has no model; "), "{said}");
    assert!(said.contains("MESH_MODEL_URL"), "{said}");
    let own = cluster.alpha().recipient::<mesh::ListActors>("alpha/mesh").unwrap();
    let actors = own.ask(mesh::ListActors {}).await.unwrap().actors;
    assert!(actors.iter().all(|row| row.path != "alpha/muse"));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_had_is_refused_with_a_code_of_its_own() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = Cluster::three(&script).await;
    let spawn = async |name: &str| cluster.alpha().spawn_kind("beta", "agent", name, "{}").await;
    assert_eq!(spawn("muse").await.as_deref(), Ok("beta/muse"));
    let taken = spawn("muse").await.unwrap_err();
    assert_eq!((taken.code(), taken.may_have_run()), ("NAME_TAKEN", false));
    assert_eq!(taken.to_string(), "another actor is published as beta/muse");
    let bad = spawn("no name").await.unwrap_err();
    assert_eq!(bad.code(), "BAD_NAME");
    assert!(bad.to_string().starts_with("\"no name\" is no actor's name: "), "{bad}");
}

#[tokio::test(start_paused = true)]
async fn what_answers_with_a_stream_is_told_apart_from_what_cannot_be_read() {
    let script = Script::new(|_| Act::say("never asked"));
    let cluster = Cluster::three(&script).await;
    let path = cluster.alpha().spawn_kind("beta", "agent", "muse", "{}").await.unwrap();
    let asked = cluster.alpha().ask_json(&path, "agent.work.v1", r#"{"input":"tea"}"#, LIMIT).await;
    let failure = asked.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.may_have_run), ("ANSWERS_WITH_STREAM", false));
    let unknown = cluster.alpha().spawn_kind("omega", "agent", "muse", "{}").await.unwrap_err();
    assert!(unknown.to_string().ends_with("known are: alpha, beta, gamma"), "{unknown}");
}
