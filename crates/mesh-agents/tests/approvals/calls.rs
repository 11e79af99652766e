//! Calls of tools that people look at first.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mesh_agents::approvals::{Level, Policed, Policies, Policy, Word};
use mesh_agents::tools::{
    Call, CallId, Ended, Hook, HookFailure, HookedTool, Tool, ToolContext, ToolError, ToolSpec, Verdict,
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::desk::{Desk, LIMIT, within};

/// A tool that notes what it did.
#[derive(Clone)]
struct Deletes {
    name: &'static str,
    done: Arc<Mutex<Vec<String>>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    glob: String,
}

impl Tool for Deletes {
    type Args = Which;
    type Output = String;

    fn describe(&self) -> ToolSpec {
        ToolSpec::new(self.name, "Deletes files.")
    }

    async fn call(&self, Which { glob }: Which, _: ToolContext) -> Result<String, ToolError> {
        self.done.lock().push(glob.clone());
        Ok(glob)
    }
}

struct Lab {
    desk: Desk,
    tool: Arc<HookedTool>,
    done: Arc<Mutex<Vec<String>>>,
}

impl Lab {
    async fn of(name: &'static str, policies: Policies) -> Self {
        let desk = Desk::with(policies.clone()).await;
        let done = Arc::<Mutex<Vec<String>>>::default();
        let tool = HookedTool::new(Deletes { name, done: Arc::clone(&done) }).unwrap();
        let policed = Policed::new(policies, desk.gate.clone());
        let tool = tool.hook(Arc::new(policed)).approver(Arc::new(desk.gate.clone()));
        Self { desk, tool: Arc::new(tool), done }
    }

    fn call(&self, id: CallId, glob: &str) -> JoinHandle<Ended> {
        let call = Call::new(&self.tool.spec().name, json!({ "glob": glob })).id(id).by("client/eve");
        let tool = Arc::clone(&self.tool);
        tokio::spawn(async move { tool.call(call).await })
    }

    fn done(&self) -> Vec<String> {
        self.done.lock().clone()
    }
}

fn code(ended: &Ended) -> &str {
    ended.result.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok")
}

#[tokio::test]
async fn a_tool_that_a_policy_names_waits_and_what_runs_is_what_was_edited() {
    let lab = Lab::of("delete_files", Policies::shipped()).await;
    let ann = lab.desk.person("ann").await;
    let call = lab.call(CallId::generate(), "*.log");
    let row = ann.sees(1).await.remove(0);
    assert_eq!((row.action.as_str(), row.args.as_str()), ("delete_files", r#"{"glob":"*.log"}"#));
    let shown = ann.show(&row.id).await.unwrap();
    assert!(shown.doing.contains("client/eve"), "{}", shown.doing);
    assert_eq!(lab.done(), [""; 0]);
    // What the tool could not take is refused to who edits it.
    assert_eq!(ann.edit(&row, &json!({"glub": "x"})).await.unwrap_err(), "BAD_EDIT");
    ann.edit(&row, &json!({"glob": "old.log"})).await.unwrap();
    assert_eq!(within(call).await.unwrap().result, Ok(Value::from("old.log")));
    assert_eq!(lab.done(), ["old.log"]);
}

#[tokio::test]
async fn what_was_approved_allows_nothing_else_and_the_same_call_once_more_asks_nobody() {
    let lab = Lab::of("delete_files", Policies::shipped()).await;
    let ann = lab.desk.person("ann").await;
    let id = CallId::generate();
    let first = lab.call(id, "a.log");
    let row = ann.sees(1).await.remove(0);
    // Whoever called is gone, and comes again under the same id.
    first.abort();
    let again = lab.call(id, "a.log");
    ann.answer(&row, Word::Approve).await.unwrap();
    assert_eq!(code(&within(again).await.unwrap()), "ok");
    // One byte is another.
    let other = within(lab.call(id, "b.log")).await.unwrap();
    assert_eq!(code(&other), "APPROVAL_REQUIRED");
    assert!(other.result.unwrap_err().message.contains("OTHER_ACTION"));
    assert_eq!(lab.done(), ["a.log"]);
    assert_eq!(ann.history().await.len(), 1);
}

#[tokio::test]
async fn a_no_and_no_answer_in_the_callers_time_run_nothing() {
    let lab = Lab::of("remove_all", Policies::shipped()).await;
    let ann = lab.desk.person("ann").await;
    let call = lab.call(CallId::generate(), "x");
    ann.answer(&ann.sees(1).await[0], Word::Reject).await.unwrap();
    assert_eq!(code(&within(call).await.unwrap()), "USER_CANCELLED");

    let deadline = Instant::now() + Duration::from_secs(3);
    let call = Call::new("remove_all", json!({"glob": "y"})).deadline(Some(deadline));
    let ended = within(lab.tool.call(call)).await;
    assert_eq!(code(&ended), "APPROVAL_REQUIRED");
    // Nobody can approve any more what nobody waits for.
    assert_eq!(ann.sees(0).await.len(), 0);
    assert_eq!(lab.done(), [""; 0]);
}

#[tokio::test]
async fn what_no_policy_names_passes_and_what_people_are_told_of_is_on_record() {
    let notify = Policy::new(vec!["touch*".parse().unwrap()], Level::Notify);
    let mut policies = Policies::shipped();
    policies.rules.push(notify);
    for (name, records) in [("read_files", 0), ("send_mail", 0), ("touch_files", 1)] {
        let lab = Lab::of(name, policies.clone()).await;
        assert_eq!(code(&within(lab.call(CallId::generate(), "x")).await.unwrap()), "ok", "{name}");
        let ann = lab.desk.person("ann").await;
        assert_eq!(ann.history().await.len(), records, "{name}");
    }
}

/// A tool's own hook.
struct Careful;

impl Hook for Careful {
    fn name(&self) -> &str {
        "careful"
    }

    fn before<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Result<Verdict, HookFailure>> {
        let reason = "it looks odd".to_owned();
        Box::pin(std::future::ready(Ok(Verdict::RequireApproval { reason })))
    }
}

#[tokio::test]
async fn what_a_hook_wants_approved_waits_although_the_policies_ask_nobody() {
    let policies = Policies { default: Level::None, ..Policies::shipped() };
    let desk = Desk::with(policies).await;
    let done = Arc::<Mutex<Vec<String>>>::default();
    let tool = HookedTool::new(Deletes { name: "read_files", done: Arc::clone(&done) }).unwrap();
    let tool = Arc::new(tool.hook(Arc::new(Careful)).approver(Arc::new(desk.gate.clone())));
    let ann = desk.person("ann").await;
    let deadline = Some(Instant::now() + LIMIT);
    let call = Call::new("read_files", json!({"glob": "x"})).deadline(deadline);
    let call = tokio::spawn(async move { tool.call(call).await });
    let row = ann.sees(1).await.remove(0);
    assert_eq!(ann.show(&row.id).await.unwrap().description, "it looks odd");
    assert_eq!(done.lock().len(), 0);
    ann.answer(&row, Word::Approve).await.unwrap();
    assert_eq!(code(&within(call).await.unwrap()), "ok");
}
