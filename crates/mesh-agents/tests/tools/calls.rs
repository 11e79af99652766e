//! Time, slots, cancelling, records and figures of calls.

use std::sync::Arc;
use std::time::Duration;

use mesh::Cancel;
use mesh_agents::tools::{Call, Ending, RecordState, ToolSet, ToolSpec};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::parts::{LIMIT, Puppet, Seer, play};

#[tokio::test(start_paused = true)]
async fn a_timeout_runs_the_after_hooks_and_sets_its_duration() {
    let puppet = Puppet::new();
    let journal = puppet.journal.clone();
    let tool = puppet.hooked().hook(Arc::new(Seer::new("one", &journal)));
    let ended = tool.call(play("hang")).await;
    let error = ended.result.unwrap_err();
    assert_eq!((error.code.as_str(), error.may_have_run, error.in_doubt), ("TIMEOUT", true, true));
    assert_eq!(ended.ending, Ending::Failed);
    assert_eq!(journal.all().last().unwrap(), "one after TIMEOUT");
    let record = &tool.records()[0];
    assert_eq!((record.state, record.code.as_deref()), (RecordState::Failed, Some("TIMEOUT")));
    assert!(record.took.unwrap() >= Duration::from_secs(30), "{record:?}");
    let stats = tool.stats();
    assert_eq!((stats.failed, stats.running, stats.ok), (1, 0, 0));
    assert!(stats.p99.unwrap() >= Duration::from_secs(30), "a late call took its time");
}

#[tokio::test(start_paused = true)]
async fn the_askers_deadline_counts_where_it_is_shorter() {
    let tool = Puppet::new().hooked();
    let began = Instant::now();
    let call = play("hang").deadline(Some(began + Duration::from_secs(3)));
    assert_eq!(tool.call(call).await.result.unwrap_err().code, "TIMEOUT");
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn cancelled_and_running_calls_are_not_successes() {
    let puppet = Puppet::new();
    let (journal, gate) = (puppet.journal.clone(), Arc::clone(&puppet.gate));
    let tool = Arc::new(puppet.hooked());
    let unwanted = Cancel::new();
    let cancelled = tool.call(play("hang").cancel_on(unwanted.clone()));
    let waiting = tool.call(play("wait"));
    let looks = async {
        while tool.stats().running < 2 || journal.all().len() < 2 {
            tokio::task::yield_now().await;
        }
        let stats = tool.stats();
        assert_eq!((stats.total, stats.running, stats.ok, stats.success_rate()), (2, 2, 0, None));
        assert!(tool.records().iter().all(|record| record.state == RecordState::Running));
        unwanted.cancel();
        gate.add_permits(1);
    };
    let (cancelled, waited, ()) =
        timeout(LIMIT, async { tokio::join!(cancelled, waiting, looks) }).await.unwrap();
    assert_eq!(cancelled.result.unwrap_err().code, "CANCELLED");
    assert_eq!(waited.result, Ok(json!({"n": 0})));
    assert!(journal.all().contains(&"was told to stop".to_owned()), "the running call hears of it");
    let stats = tool.stats();
    assert_eq!((stats.ok, stats.cancelled, stats.running, stats.success_rate()), (1, 1, 0, Some(1.0)));
}

#[tokio::test]
async fn a_call_that_is_dropped_is_recorded_as_cancelled() {
    let tool = Puppet::new().hooked();
    let mut call = Box::pin(tool.call(play("wait")));
    assert!(futures::poll!(&mut call).is_pending());
    assert_eq!(tool.stats().running, 1);
    drop(call);
    let stats = tool.stats();
    assert_eq!((stats.running, stats.cancelled), (0, 1));
    assert_eq!(tool.records()[0].state, RecordState::Cancelled);
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_may_and_who_waits_can_be_withdrawn() {
    let mut puppet = Puppet::new();
    puppet.spec = ToolSpec::new("puppet", "One at a time.").concurrency(1);
    let (journal, gate) = (puppet.journal.clone(), Arc::clone(&puppet.gate));
    let tool = puppet.hooked();
    let unwanted = Cancel::new();
    let (first, second) = (tool.call(play("wait")), tool.call(play("answer").cancel_on(unwanted.clone())));
    let looks = async {
        while tool.stats().running < 2 {
            tokio::task::yield_now().await;
        }
        unwanted.cancel();
        tokio::task::yield_now().await;
        gate.add_permits(1);
    };
    let (first, second, ()) = timeout(LIMIT, async { tokio::join!(first, second, looks) }).await.unwrap();
    assert_eq!(first.result, Ok(json!({"n": 0})));
    let error = second.result.unwrap_err();
    assert_eq!((error.code.as_str(), error.may_have_run), ("CANCELLED", false));
    assert_eq!(journal.all(), ["ran wait 0"]);
}

#[tokio::test]
async fn a_tool_that_panics_or_says_too_much_fails_alone() {
    let tool = Puppet::new().hooked();
    let error = tool.call(play("panic")).await.result.unwrap_err();
    assert_eq!((error.code.as_str(), error.in_doubt), ("EXECUTION_ERROR", true));
    assert!(error.message.contains("as it was told"));
    let error = tool.call(play("large")).await.result.unwrap_err();
    assert_eq!((error.code.as_str(), error.may_have_run, error.in_doubt), ("BAD_OUTPUT", true, false));
    assert_eq!(tool.call(play("answer")).await.ending, Ending::Ran);
}

#[tokio::test]
async fn unknown_tools_are_recorded() {
    let tools = ToolSet::default().with(Puppet::new().hooked());
    let ended = tools.call(Call::new("pupet", json!({"token": "x"}))).await;
    let error = ended.result.unwrap_err();
    assert_eq!((error.code.as_str(), error.may_have_run), ("UNKNOWN_TOOL", false));
    let record = &tools.unknown()[0];
    assert_eq!((record.tool.as_str(), record.code.as_deref()), ("pupet", Some("UNKNOWN_TOOL")));
    assert_eq!(record.args, r#"{"token":"***"}"#);

    let tool = tools.get("puppet").unwrap();
    let error = tool.call(Call::new("other", json!({}))).await.result.unwrap_err();
    assert_eq!(error.code, "UNKNOWN_TOOL");
    assert_eq!((tool.stats().unknown, tool.stats().refused), (1, 1));
}

#[tokio::test]
async fn records_are_bounded_and_without_secrets() {
    let tool = Puppet::new().hooked();
    for _ in 0..300 {
        tool.call(Call::new("puppet", json!({"act": "answer", "password": "hunter2"}))).await;
    }
    let records = tool.records();
    assert_eq!((records.len(), tool.stats().total), (256, 300));
    assert!(records.iter().all(|record| !record.args.contains("hunter2")), "{:?}", records[0]);
}
