//! What callers saw while nodes were killed, and what they must not have seen.

use super::fleet::{Fleet, Who, assert_moving, eventually, secs};
use mesh::{AskError, Mesh, Recipient};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// One answer: who gave it, and between which two moments.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    asked: Instant,
    answered: Instant,
    epoch: u64,
    node: String,
}

type History = Arc<Mutex<Vec<Seen>>>;

/// Asks its actors in turn, until it is told to stop.
async fn call(mesh: Mesh, names: Vec<String>, history: History, stop: Arc<AtomicBool>) {
    let recipients: Vec<(String, Recipient<Who>)> =
        names.into_iter().map(|name| (name.clone(), mesh.recipient(&name).unwrap())).collect();
    while !stop.load(Ordering::Relaxed) {
        for (name, to) in &recipients {
            let asked = Instant::now();
            match to.ask(Who {}).timeout(Duration::from_millis(300)).await {
                Ok(me) => history.lock().push(Seen {
                    name: name.clone(),
                    asked,
                    answered: Instant::now(),
                    epoch: me.epoch,
                    node: me.node,
                }),
                // It was under way when its node died: only the connection's own timers tell.
                Err(AskError::DeadlineExceeded { .. }) => {}
                Err(error) => assert_moving(&error),
            }
        }
        tokio::task::yield_now().await;
    }
}

/// No ask that began behind an answer was answered by an earlier life, and no epoch by two nodes.
fn check(history: &[Seen]) {
    let mut by_name: HashMap<&str, Vec<&Seen>> = HashMap::new();
    for seen in history {
        by_name.entry(&seen.name).or_default().push(seen);
    }
    for (name, mut all) in by_name {
        let mut owners = HashMap::new();
        for seen in &all {
            let owner = owners.entry(seen.epoch).or_insert(&seen.node);
            assert_eq!(*owner, &seen.node, "two nodes answered for {name} under epoch {}", seen.epoch);
        }
        let mut answers: Vec<(Instant, u64)> = all.iter().map(|seen| (seen.answered, seen.epoch)).collect();
        answers.sort();
        all.sort_by_key(|seen| seen.asked);
        let (mut newest, mut at) = (0, 0);
        for seen in all {
            while answers.get(at).is_some_and(|(answered, _)| *answered < seen.asked) {
                newest = newest.max(answers[at].1);
                at += 1;
            }
            assert!(seen.epoch >= newest, "{seen:?} came behind an answer of epoch {newest}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_come_back_and_no_two_lives_answer_while_nodes_are_killed() {
    let seed: u64 = std::env::var("MESH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("seed {seed}: MESH_SEED={seed} runs it again");
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut fleet = Fleet::of(&["a", "b", "c", "d", "e", "f"]).await;
    let keeper = "f";
    let mesh = fleet.mesh(keeper);
    let names: Vec<String> = (0..60).map(|number| format!("agent-{number}")).collect();
    for name in &names {
        mesh.place(name, "agent").start().await.unwrap();
    }
    let (history, stop) = (History::default(), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let mut names = names.clone();
            names.rotate_left(caller * 15);
            tokio::spawn(call(mesh.clone(), names, Arc::clone(&history), Arc::clone(&stop)))
        })
        .collect();
    for round in 0..3 {
        let victims: Vec<String> = fleet.names().into_iter().filter(|name| name != keeper).collect();
        let victim = victims[random(victims.len())].clone();
        println!("round {round}: {victim} is killed");
        fleet.kill(&victim);
        fleet.until_down(&victim).await;
        let known = Instant::now();
        for name in &names {
            let to: Recipient<Who> = mesh.recipient(name).unwrap();
            eventually("its return", async || to.ask(Who {}).timeout(secs(1)).await.is_ok()).await;
        }
        println!("round {round}: all are back {:?} after the death was known", known.elapsed());
        assert!(known.elapsed() < secs(5), "{:?}", known.elapsed());
        fleet.join(&format!("{victim}{round}"), &[]).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        timeout(secs(10), caller).await.unwrap().unwrap();
    }
    let history = history.lock();
    println!("{} answers", history.len());
    assert!(history.len() > 1_000, "{} answers are no load", history.len());
    check(&history);
    assert!(history.iter().any(|seen| seen.epoch > 1), "some lives were later ones");
}

#[test]
#[should_panic(expected = "came behind an answer of epoch 2")]
fn a_history_with_an_earlier_life_is_noticed() {
    let base = Instant::now();
    let seen = |from: u64, to: u64, epoch| Seen {
        name: "one".to_owned(),
        asked: base + secs(from),
        answered: base + secs(to),
        epoch,
        node: format!("n{epoch}"),
    };
    check(&[seen(0, 1, 1), seen(1, 5, 1), seen(2, 3, 2)]);
    check(&[seen(0, 1, 1), seen(2, 3, 2), seen(4, 5, 1)]);
}
