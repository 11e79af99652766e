//! Calls that may have been made, and that only people may repeat.

use std::sync::Arc;

use mesh_agents::Models;
use mesh_agents::approvals::Word;
use mesh_agents::assistant::{Assistant, AssistantSpec};
use mesh_agents::durable::{RunDocument, Runs};
use mesh_agents::lifecycle::AgentState;
use mesh_agents::tools::{HookedTool, Tool, ToolContext, ToolError, ToolSet, ToolSpec};
use mesh_store::{RunFilter, SqliteOptions, Store};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::timeout;

use crate::model::{LIMIT, Says, Script, Words, fault, results};
use crate::people::People;

/// A tool that pays, and loses its connection the first time: nobody knows whether it has paid.
struct Pay(Arc<Mutex<Vec<String>>>);

impl Tool for Pay {
    type Args = Words;
    type Output = String;

    fn describe(&self) -> ToolSpec {
        ToolSpec::new("pay", "Pays.")
    }

    async fn call(&self, Words { text }: Words, _: ToolContext) -> Result<String, ToolError> {
        let mut paid = self.0.lock();
        paid.push(text);
        if paid.len() == 1 {
            Err(ToolError::unsure("LOST", "the line is dead"))
        } else {
            Ok("paid".to_owned())
        }
    }
}

struct Till {
    _folder: tempfile::TempDir,
    store: Store,
    paid: Arc<Mutex<Vec<String>>>,
    model: Arc<Script>,
}

impl Till {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::open_sqlite(folder.path().join("store.db"), SqliteOptions::default()).await.unwrap();
        let call = ("pay", json!({"text": "10"}).to_string());
        let model = Script::new([Says::Calls(vec![call]), Says::Text("done")]);
        Self { _folder: folder, store, paid: Arc::default(), model }
    }

    fn runs(&self, people: Option<&People>) -> Runs {
        let tools = ToolSet::default().with(HookedTool::new(Pay(Arc::clone(&self.paid))).unwrap());
        let spec = AssistantSpec { tools: vec!["pay".to_owned()], ..AssistantSpec::new("clerk") };
        let models = Models::new(Arc::clone(&self.model) as _);
        let mut clerk = Assistant::new(spec).models(models).tools(Arc::new(tools));
        if let Some(people) = people {
            clerk = clerk.gate(people.gate.clone());
        }
        Runs::new(self.store.clone(), "alpha").agent("clerk", move || clerk.clone()).unwrap()
    }

    /// Runs it, with somebody who says this.
    async fn decided(&self, verdict: Word) -> RunDocument {
        let people = People::at(&self.store).await;
        let runs = self.runs(Some(&people));
        let run = tokio::spawn(async move { runs.run("clerk", "pay it").await.unwrap() });
        let row = people.sees().await;
        assert_eq!((row.action.as_str(), row.agent.as_str()), ("repeat:pay", "clerk@alpha"));
        let waiting = self.store.runs(RunFilter::default()).await.unwrap().remove(0);
        assert_eq!(waiting.status.as_str(), "waiting_human");
        assert_eq!(*self.paid.lock(), ["10"], "nobody repeats it by himself");
        people.answer(&row, verdict).await;
        timeout(LIMIT, run).await.expect("it comes to an end").unwrap()
    }
}

#[tokio::test]
async fn a_manual_call_in_doubt_waits_for_a_person_and_is_repeated_once_when_allowed() {
    let till = Till::open().await;
    let run = till.decided(Word::Approve).await;
    assert_eq!(Assistant::answer_of(&run), Some(json!("done")));
    assert_eq!(*till.paid.lock(), ["10", "10"]);
    assert_eq!(results(&till.model.asked()[1]), ["\"paid\""]);
    assert_eq!(till.store.calls_in_doubt(&run.run.parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_manual_call_in_doubt_that_nobody_repeats_is_told_to_the_model() {
    let till = Till::open().await;
    let run = till.decided(Word::Reject).await;
    assert_eq!(run.state(), AgentState::Completed);
    assert_eq!(*till.paid.lock(), ["10"]);
    let told = results(&till.model.asked()[1]).remove(0);
    assert!(told.contains("NOT_REPEATED") && told.contains("as I see it"), "{told}");
}

#[tokio::test]
async fn without_a_gate_a_run_with_a_call_in_doubt_fails_and_goes_on_when_there_is_one() {
    let till = Till::open().await;
    let run = till.runs(None).run("clerk", "pay it").await.unwrap();
    assert_eq!((run.state(), fault(&run)), (AgentState::Failed, "NEEDS_HUMAN"));
    let people = People::at(&till.store).await;
    let (runs, id) = (till.runs(Some(&people)), run.run.parse().unwrap());
    let resumed = tokio::spawn(async move { runs.resume(&id).await.unwrap() });
    people.answer(&people.sees().await, Word::Reject).await;
    let run = timeout(LIMIT, resumed).await.expect("it comes to an end").unwrap();
    assert_eq!(run.state(), AgentState::Completed);
    assert_eq!((till.model.asked().len(), till.paid.lock().len()), (2, 1));
}
