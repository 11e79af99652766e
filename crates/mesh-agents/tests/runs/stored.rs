//! Runs that are kept in a store: what is written, what is not done again, and who may go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh::{Authority, MemoryNetwork, Node, NodeConfig, ReplyStream, Runtimes};
use mesh_agents::durable::{ListRuns, PauseRun, RunSettings, Runs, RunsActor, ShowRun};
use mesh_agents::workflow::Outcome;
use mesh_agents::workflows::{
    CreateRun, Created, DurableWorkflows, Ended, Refused, ResumeWorkflow, Resumed, RunEvent, RunWorkflow,
    Workflows,
};
use mesh_agents::{Agent, Models};
use mesh_models::ModelError;
use mesh_store::{SqliteOptions, Store};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::script::{Act, Script};

/// The clock is a real one, since a store's thread is outside of any other.
const LIMIT: Duration = Duration::from_secs(60);

const FILE: &str = r#"
version: "1.0"
agents: {boss: {role: "Boss", model: "large"}, worker: {role: "Worker"}}
workflow:
  type: hierarchical
  coordinator: boss
  stages:
    - {name: plan, agent: worker, output: steps}
    - {name: work, agent: worker, input: steps, parallel: true}
    - {name: sum up, agent: worker, input: work}
checkpoints: {enabled: true, storage: "./kept/"}
"#;

/// A node with a store, and nobody else.
struct Home {
    node: Node,
    store: Store,
}

impl Home {
    async fn open(folder: &TempDir, script: &Script) -> Self {
        let store =
            Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await.unwrap();
        let authority = Authority::create("test").unwrap();
        let peer_id = authority.issue_node("alpha").unwrap().peer_id().clone();
        let endpoint = MemoryNetwork::new().endpoint(peer_id.clone());
        let models = Models::new(Arc::new(script.on("alpha")));
        let builder = Node::builder(NodeConfig::default()).register::<Agent>(Agent::KIND);
        let builder = builder.extension(Arc::new(models));
        let node = builder.start_on(endpoint, peer_id, Runtimes::current()).await.unwrap();
        let settings = RunSettings { lease: Duration::from_millis(300), ..RunSettings::default() };
        let stored = DurableWorkflows::new();
        let runs = stored.add_to(Runs::new(store.clone(), "alpha").settings(settings)).unwrap();
        RunsActor::publish(node.mesh(), runs).unwrap();
        Workflows::publish_with(node.mesh(), &stored).unwrap();
        Self { node, store }
    }

    async fn create(&self, text: &str) -> Created {
        let workflows = self.node.mesh().recipient::<CreateRun>("alpha/workflows").unwrap();
        let (name, text, task) = ("kept.yaml".to_owned(), text.to_owned(), "go".to_owned());
        workflows.ask(CreateRun { name, text, task, strict: false }).timeout(LIMIT).await.unwrap().unwrap()
    }

    async fn resume(&self, run: &str, file_hash: Option<&str>) -> Result<Resumed, Refused> {
        let workflows = self.node.mesh().recipient::<ResumeWorkflow>("alpha/workflows").unwrap();
        let resume = ResumeWorkflow { run: run.to_owned(), file_hash: file_hash.map(str::to_owned) };
        workflows.ask(resume).timeout(LIMIT).await.unwrap()
    }

    fn stream(&self, path: &str) -> ReplyStream<RunWorkflow> {
        self.node.mesh().stream_recipient::<RunWorkflow>(path).unwrap().stream(RunWorkflow {}).timeout(LIMIT)
    }

    /// Resumes a run, and reads it to its end.
    async fn go_on(&self, run: &str) -> (Vec<RunEvent>, Ended) {
        read(self.stream(&self.resume(run, None).await.unwrap().path)).await
    }

    async fn status(&self, run: &str) -> String {
        let runs = self.node.mesh().recipient::<ListRuns>("alpha/runs").unwrap();
        let run = Some(run.to_owned());
        let list = ListRuns { run, status: None, agent: None, tag: None, after: None, limit: 0 };
        runs.ask(list).timeout(LIMIT).await.unwrap().unwrap().runs.remove(0).status
    }

    /// Ends as a process that is killed does: nobody lets go of anything.
    async fn kill(self) {
        self.store.close().await;
        drop(self.node);
    }
}

async fn read(mut stream: ReplyStream<RunWorkflow>) -> (Vec<RunEvent>, Ended) {
    let mut events = Vec::new();
    while let Some(event) = timeout(LIMIT, stream.next()).await.unwrap() {
        events.push(event);
    }
    (events, stream.finish().await.unwrap())
}

/// Reads until there are so many finished items.
async fn until_finished(stream: &mut ReplyStream<RunWorkflow>, items: usize) {
    let mut finished = 0;
    while finished < items {
        let event = timeout(LIMIT, stream.next()).await.unwrap().expect("the run goes on");
        finished += usize::from(matches!(event, RunEvent::ItemFinished { .. }));
    }
}

/// The stages that finished, in their order.
fn undisturbed_stages(events: &[RunEvent]) -> Vec<String> {
    let finished = |event: &RunEvent| match event {
        RunEvent::StageFinished { stage, .. } => Some(stage.clone()),
        _ => None,
    };
    events.iter().filter_map(finished).collect()
}

fn result(ended: &Ended) -> &str {
    match &ended.outcome {
        Outcome::Completed { result } => result,
        other => panic!("{other:?}"),
    }
}

/// Longer than it takes to come back as a reader.
const A_WHILE: Duration = Duration::from_secs(2);

/// A model that never answers the input `stuck` while it is stuck (1), or takes a while (2).
fn script(stuck: &'static str, is_stuck: &Arc<AtomicU32>) -> Script {
    let is_stuck = Arc::clone(is_stuck);
    Script::new(move |call| {
        let now = |text: &str| Act::Say(Duration::ZERO, text.to_owned());
        match is_stuck.load(Ordering::Relaxed) {
            1 if call.input == stuck => return Act::Hang,
            2 if call.input == stuck => return Act::Say(A_WHILE, format!("{stuck}! {}", "x".repeat(400))),
            _ => {}
        }
        match call.input.as_str() {
            "go" => now("1. one\n2. two\n3. three"),
            told if told.starts_with("You coordinate") => now(r#"{"decision": "continue"}"#),
            // Longer than what stands in an entry.
            item => now(&format!("{item}! {}", "x".repeat(400))),
        }
    })
}

fn count(script: &Script, input: &str) -> usize {
    script.calls().iter().filter(|call| call.input == input).count()
}

#[tokio::test]
async fn what_had_finished_is_not_done_again_after_a_crash_and_the_result_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let is_stuck = Arc::new(AtomicU32::new(0));
    let script = script("two", &is_stuck);
    let home = Home::open(&folder, &script).await;
    let (seen, undisturbed) = read(home.stream(&home.create(FILE).await.path)).await;
    let before = script.calls().len();

    is_stuck.store(1, Ordering::Relaxed);
    let created = home.create(FILE).await;
    let mut stream = home.stream(&created.path);
    until_finished(&mut stream, 3).await;
    home.kill().await;
    drop(stream);
    // The node goes on with it at once; its reader comes while it still does.
    is_stuck.store(2, Ordering::Relaxed);

    let home = Home::open(&folder, &script).await;
    let (events, ended) = home.go_on(&created.run).await;
    assert_eq!(result(&ended), result(&undisturbed));
    let restored = |event: &RunEvent| match event {
        RunEvent::StageRestored { stage, items, answered, .. } => Some((stage.clone(), *items, *answered)),
        _ => None,
    };
    assert_eq!(events.iter().filter_map(restored).collect::<Vec<_>>(), [("plan".to_owned(), 1, 1)]);
    let items = events.iter().filter(|event| matches!(event, RunEvent::ItemRestored { .. }));
    assert_eq!(items.count(), 2, "{events:?}");
    assert_eq!(script.calls().len() - before, 8 + 1, "one call was in flight, and is made again");
    for (input, calls) in [("go", 2), ("one", 2), ("two", 3), ("three", 2)] {
        assert_eq!(count(&script, input), calls, "{input} in two runs");
    }
    assert_eq!(ended.tokens, undisturbed.tokens, "what was spent before counts");

    let (events, ended) = home.go_on(&created.run).await;
    let restored: Vec<_> = events.iter().filter_map(restored).map(|(stage, ..)| stage).collect();
    let stages = undisturbed_stages(&seen);
    assert_eq!(
        (restored, result(&ended)),
        (stages, result(&undisturbed)),
        "who comes after the end is told too"
    );
}

#[tokio::test]
async fn a_run_holds_at_once_when_its_reader_goes_or_it_is_paused_and_goes_on_when_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let is_stuck = Arc::new(AtomicU32::new(1));
    let script = script("two", &is_stuck);
    let home = Home::open(&folder, &script).await;
    let created = home.create(FILE).await;
    assert_eq!(home.status(&created.run).await, "paused", "nobody takes it up before it is read");
    let mut stream = home.stream(&created.path);
    until_finished(&mut stream, 3).await;
    drop(stream);
    rests(&home, &created.run).await;
    assert_eq!(script.open(), 0, "its models were told");

    let stream = home.stream(&home.resume(&created.run, None).await.unwrap().path);
    let reading = tokio::spawn(read(stream));
    let again = async {
        while count(&script, "two") < 2 {
            a_moment().await;
        }
    };
    timeout(LIMIT, again).await.unwrap();
    let pause = home.node.mesh().recipient::<PauseRun>("alpha/runs").unwrap();
    pause.ask(PauseRun { run: created.run.clone() }).timeout(LIMIT).await.unwrap().unwrap();
    let (_, ended) = timeout(LIMIT, reading).await.unwrap().unwrap();
    let Outcome::Cancelled { reason } = &ended.outcome else { panic!("{ended:?}") };
    assert!(reason.contains(&format!("meshctl workflow resume {}", created.run)), "{reason}");

    is_stuck.store(0, Ordering::Relaxed);
    let (_, ended) = home.go_on(&created.run).await;
    assert!(result(&ended).starts_with("## item 1: one"), "{ended:?}");
    assert_eq!((count(&script, "one"), count(&script, "three")), (1, 1));
    let (_, again) = home.go_on(&created.run).await;
    assert_eq!(result(&again), result(&ended), "a run that is over is told again");
}

#[tokio::test]
async fn a_stage_that_failed_is_what_resume_runs_again() {
    let folder = tempfile::tempdir().unwrap();
    let is_broken = Arc::new(AtomicU32::new(1));
    let script = Script::new({
        let is_broken = Arc::clone(&is_broken);
        move |call| match call.input.as_str() {
            "go" => Act::Say(Duration::ZERO, "1. one\n2. two".to_owned()),
            "one" | "two" if is_broken.load(Ordering::Relaxed) == 1 => {
                Act::Fail(ModelError::Status { status: 400, message: "no".to_owned(), retry_after: None })
            }
            _ => Act::Say(Duration::ZERO, "done".to_owned()),
        }
    });
    let home = Home::open(&folder, &script).await;
    let created = home.create(FILE).await;
    let (_, ended) = read(home.stream(&created.path)).await;
    let Outcome::Failed { stage, code, .. } = &ended.outcome else { panic!("{ended:?}") };
    assert_eq!((stage.as_str(), code.as_str()), ("work", "STAGE_WORK_FAILED"));
    assert_eq!(home.status(&created.run).await, "failed");

    is_broken.store(0, Ordering::Relaxed);
    let (_, ended) = home.go_on(&created.run).await;
    assert_eq!(result(&ended), "done");
    assert_eq!((count(&script, "go"), count(&script, "one")), (1, 2));
}

#[tokio::test]
async fn a_changed_file_an_unknown_run_and_another_kind_of_run_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let script = script("", &Arc::default());
    let home = Home::open(&folder, &script).await;
    let created = home.create(FILE).await;
    let resumed = home.resume(&created.run, None).await.unwrap();
    assert_eq!(
        (resumed.file.as_str(), resumed.stages.as_slice()),
        ("kept.yaml", &["plan", "work", "sum up"].map(str::to_owned)[..])
    );
    assert!(home.resume(&created.run, Some(&resumed.file_hash)).await.is_ok());
    let changed = home.resume(&created.run, Some("00")).await.unwrap_err();
    assert_eq!(changed.code, "FILE_CHANGED");
    assert!(changed.message.starts_with("kept.yaml has changed since run "), "{changed}");
    for run in ["nobody", "../etc", ""] {
        assert_eq!(home.resume(run, None).await.unwrap_err().code, "NO_SUCH_RUN");
    }
    assert_eq!(script.calls().len(), 0);
}

#[tokio::test]
async fn a_run_is_among_the_runs_of_the_store_under_its_namespace_and_long_texts_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let script = script("", &Arc::default());
    let home = Home::open(&folder, &script).await;
    let created = home.create(FILE).await;
    read(home.stream(&created.path)).await;
    let runs = home.node.mesh().recipient::<ShowRun>("alpha/runs").unwrap();
    let shown =
        runs.ask(ShowRun { run: created.run.clone(), at: None }).timeout(LIMIT).await.unwrap().unwrap();
    assert_eq!((shown.row.agent.as_str(), shown.row.status.as_str()), ("workflow", "completed"));
    assert_eq!((shown.row.tags, shown.row.steps), (vec!["kept".to_owned()], Some(3)));
    let names: Vec<&str> = shown.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["plan", "work", "sum up"]);
    assert!(shown.task.contains("\"about\":\"go\""), "{}", shown.task);
    let items: Vec<_> = shown.journal.iter().filter(|entry| entry.kind.starts_with("workflow.")).collect();
    assert_eq!(items.len(), 5 + 3, "each item, and each word of the coordinator");
    let long = "x".repeat(400);
    assert!(items.iter().all(|entry| !entry.text.contains(&long)), "they are blobs");
}

#[tokio::test]
async fn without_checkpoints_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let script = script("", &Arc::default());
    let home = Home::open(&folder, &script).await;
    let created = home.create(&FILE.replace("enabled: true", "enabled: false")).await;
    read(home.stream(&created.path)).await;
    assert_eq!(home.resume(&created.run, None).await.unwrap_err().code, "NO_SUCH_RUN");
}

/// Waits until nobody is at work on a run.
async fn rests(home: &Home, run: &str) {
    let paused = async {
        while home.status(run).await != "paused" {
            a_moment().await;
        }
    };
    timeout(LIMIT, paused).await.unwrap();
}

async fn a_moment() {
    let _ = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
}
