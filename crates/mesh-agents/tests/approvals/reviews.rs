//! Reviews, and work in stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mesh_agents::approvals::review::{Item, NoStages, StageResult, Verdict, edited};
use mesh_agents::approvals::{NotDone, Review, StagedReview, Word};
use mesh_store::{NewRun, Resource, Store};
use serde_json::json;

use crate::desk::{Desk, LIMIT, Person, within};

fn notes() -> [Item; 2] {
    [Item::new("note", json!("one")).id("1"), Item::new("note", json!("two")).id("2")]
}

fn review() -> Review {
    Review::new("ops", "notes", notes().to_vec()).timeout(LIMIT * 10)
}

#[tokio::test]
async fn modified_without_a_handler_runs_the_modified_content() {
    let desk = Desk::open().await;
    let (ann, gate) = (desk.person("ann").await, desk.gate.clone());
    let running =
        tokio::spawn(async move { gate.run_reviewed(review(), async |items| Ok::<_, String>(items)).await });
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    assert_eq!((row.action.as_str(), row.level.as_str()), ("review", "review"));
    let [one, two] = notes();
    let uno = Item { content: json!("uno"), ..one.clone() };
    let open = edited("notes", &[(uno.clone(), Verdict::Modified), (two.clone(), Verdict::Pending)]);
    assert_eq!(ann.edit(row, &open).await, Err("BAD_EDIT".to_owned()), "pending does not pass");
    let hidden = edited("notes", &[(uno.clone(), Verdict::Approved), (two.clone(), Verdict::Approved)]);
    assert_eq!(ann.edit(row, &hidden).await, Err("BAD_EDIT".to_owned()), "what is changed says so");
    let edit = edited("notes", &[(uno.clone(), Verdict::Modified), (two, Verdict::Rejected)]);
    ann.edit(row, &edit).await.unwrap();
    assert_eq!(within(running).await.unwrap(), Ok(vec![uno]), "not the original, and not what was rejected");
}

#[tokio::test]
async fn a_review_is_approved_or_rejected_as_a_whole_too() {
    let desk = Desk::open().await;
    let ann = desk.person("ann").await;
    for (word, verdict, passed) in
        [(Word::Approve, Verdict::Approved, Some(2)), (Word::Reject, Verdict::Rejected, None)]
    {
        let gate = desk.gate.clone();
        let running = tokio::spawn(async move { gate.review(review()).await.unwrap() });
        let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
        ann.answer(row, word).await.unwrap();
        let reviewed = within(running).await.unwrap();
        assert_eq!(reviewed.verdict, verdict);
        assert!(reviewed.items.iter().all(|(_, each)| *each == verdict));
        assert_eq!(reviewed.passed().ok().map(|items| items.len()), passed);
    }
    let gate = desk.gate.clone();
    let rejected = tokio::spawn(async move {
        gate.run_reviewed(review(), async |_| Err::<(), _>("it has begun".to_owned())).await
    });
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    ann.answer(row, Word::Reject).await.unwrap();
    assert!(matches!(within(rejected).await.unwrap(), Err(NotDone::Denied(_))));
}

/// Stages that count how often they are executed.
#[derive(Clone, Default)]
struct Work {
    executed: Arc<AtomicU32>,
}

impl Work {
    async fn stages(&self, desk: &Desk, holder: &str, now_ms: i64) -> StagedReview {
        let run = Resource::Run("r".parse().unwrap());
        let lease = desk.store.acquire(run, holder.parse().unwrap(), 1000, now_ms).await.unwrap();
        let count = || {
            let executed = Arc::clone(&self.executed);
            move || executed.fetch_add(1, Ordering::SeqCst)
        };
        let (plan, write) = (count(), count());
        StagedReview::new(desk.gate.clone(), desk.store.clone(), lease, "ops")
            .stage("plan", move |_| {
                plan();
                async { Ok(vec![Item::new("step", json!("write it"))]) }
            })
            .stage("write", move |before: Vec<StageResult>| {
                write();
                async move { Ok(vec![Item::new("text", before[0].items[0].content.clone())]) }
            })
            .unreviewed("file", |before: Vec<StageResult>| async move { Ok(before[1].items.clone()) })
    }
}

async fn create_run(store: &Store) {
    store.create_run(NewRun::new("staged".parse().unwrap(), 1).id("r".parse().unwrap())).await.unwrap();
}

async fn changed(ann: &Person, content: &str) {
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    let detail = ann.show(&row.id).await.unwrap();
    let mut args: serde_json::Value = serde_json::from_str(&detail.args).unwrap();
    args["items"][0]["content"] = json!(content);
    args["items"][0]["verdict"] = json!("modified");
    ann.edit(row, &args).await.unwrap();
}

#[tokio::test]
async fn staged_work_goes_on_where_it_was() {
    let desk = Desk::open().await;
    create_run(&desk.store).await;
    let (ann, work) = (desk.person("ann").await, Work::default());
    let stages = work.stages(&desk, "one", 1).await;
    let running = tokio::spawn(async move { stages.run().await });
    changed(&ann, "write it well").await;
    // The second stage has been executed, and waits.
    let waits = ann.sees(1).await;
    assert!(waits[0].args.contains("write it well"), "{waits:?}");
    running.abort();

    let desk = desk.restart().await;
    let ann = desk.person("ann").await;
    let stages = work.stages(&desk, "two", 5000).await;
    let running = tokio::spawn(async move { stages.run().await });
    let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
    assert_eq!(row.id, waits[0].id, "it is the same review");
    ann.answer(row, Word::Approve).await.unwrap();
    let results = within(running).await.unwrap().unwrap();
    let verdicts: Vec<_> = results.iter().map(|result| (result.stage.as_str(), result.verdict)).collect();
    let expected = [("plan", Some(Verdict::Modified)), ("write", Some(Verdict::Approved)), ("file", None)];
    assert_eq!(verdicts, expected);
    assert_eq!(results[2].items[0].content, "write it well");
    assert_eq!(work.executed.load(Ordering::SeqCst), 2, "no stage is executed twice");
}

#[tokio::test]
async fn a_rejection_keeps_what_earlier_stages_made() {
    let desk = Desk::open().await;
    create_run(&desk.store).await;
    let (ann, work) = (desk.person("ann").await, Work::default());
    let stages = work.stages(&desk, "one", 1).await;
    let running = tokio::spawn(async move { stages.run().await });
    for word in [Word::Approve, Word::Reject] {
        let [row] = &ann.sees(1).await[..] else { panic!("one waits") };
        ann.answer(row, word).await.unwrap();
    }
    let Err(NoStages::Rejected { stage, denial, finished }) = within(running).await.unwrap() else {
        panic!("the second stage was rejected")
    };
    assert_eq!((stage.as_str(), denial.by.as_str()), ("write", "client/ann"));
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].items[0].content, "write it");

    // It stays rejected, and what was made stays too.
    let again = work.stages(&desk, "two", 5000).await.run().await;
    let Err(NoStages::Rejected { finished: kept, .. }) = again else { panic!("{again:?}") };
    assert_eq!(kept, finished);
    assert_eq!(work.executed.load(Ordering::SeqCst), 2);
}
