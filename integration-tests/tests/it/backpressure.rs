//! A stuck actor holds back its senders, not its neighbours, and nobody's memory grows.

use std::time::{Duration, Instant};

use integration_tests::{Ctl, Feed, Lab, Node, eventually, setting};
use serde_json::{Value, json};

const CAPACITY: u64 = 64;
/// Its mailbox also has a bound in bytes; 16 KiB messages meet that one at about this many.
const FULL_AT_LEAST: u64 = 16;
const FILL_MAX: Duration = Duration::from_secs(20);
/// With a process start in it, on two cores that four senders keep busy.
const NEIGHBOUR_MAX: Duration = Duration::from_secs(2);
const GROWTH_MAX_KIB: u64 = 64 * 1024;

/// 200 ms of work, with 16 KiB of luggage.
fn work() -> String {
    json!({"ms": 200, "pad": "x".repeat(16 * 1024)}).to_string()
}

fn queued(ctl: &Ctl<'_>) -> Result<u64, String> {
    let rows = ctl.try_json(&["ps", "beta"])?;
    let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["path"] == "beta/slow"));
    let row = row.ok_or_else(|| format!("no beta/slow in {rows}"))?;
    assert_eq!(row["mailbox"]["capacity"], CAPACITY, "{row}");
    row["mailbox"]["len"].as_u64().ok_or_else(|| format!("no length in {row}"))
}

fn wait_until_full(ctl: &Ctl<'_>) {
    eventually("the mailbox is full", FILL_MAX, || match queued(ctl)? {
        len if len >= FULL_AT_LEAST => Ok(()),
        len => Err(format!("{len} messages")),
    });
}

fn senders(ctl: &Ctl<'_>, count: usize) -> Vec<Feed> {
    let args = ["tell", "beta/slow", "lab.work.v1", "-", "--timeout", "60s"];
    (0..count).map(|_| ctl.feed(&args, &work())).collect()
}

fn two_nodes(lab: &Lab) -> [Node; 2] {
    let alpha = lab.start("alpha");
    let beta = lab.join("beta", &alpha);
    eventually("beta answers", FILL_MAX, || echo(&lab.ctl(&alpha)));
    [alpha, beta]
}

fn echo(ctl: &Ctl<'_>) -> Result<Value, String> {
    ctl.try_json(&["ask", "beta/echo", "lab.echo.v1", r#"{"text":"still here"}"#, "--timeout", "5s"])
}

#[test]
fn a_full_mailbox_holds_no_more_than_its_capacity_and_delays_no_neighbour() {
    let lab = Lab::new();
    let [alpha, beta] = two_nodes(&lab);
    let ctl = lab.ctl(&alpha);
    let idle = [&alpha, &beta].map(|node| node.process().peak_memory_kib());
    let mut senders = senders(&ctl, 4);
    wait_until_full(&ctl);

    let pressure_min = Duration::from_secs(setting("MESH_SOAK_SECONDS", 0));
    let (began, mut rounds, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while rounds < 10 || began.elapsed() < pressure_min {
        let asked = Instant::now();
        assert_eq!(echo(&ctl).map(|reply| reply["node"].clone()), Ok(json!("beta")));
        slowest = slowest.max(asked.elapsed());
        let len = queued(&ctl).unwrap();
        assert!(len <= CAPACITY, "the mailbox holds {len} of {CAPACITY}");
        rounds += 1;
    }
    assert!(slowest < NEIGHBOUR_MAX, "the neighbour's slowest answer took {slowest:?}");
    assert!(senders.iter_mut().all(Feed::is_running), "a sender was turned away rather than held back");
    for (node, idle) in [&alpha, &beta].into_iter().zip(idle) {
        // Elsewhere than on Linux nobody tells.
        if let (Some(peak), Some(idle)) = (node.process().peak_memory_kib(), idle) {
            assert!(peak - idle < GROWTH_MAX_KIB, "{} grew by {} KiB", node.name(), peak - idle);
        }
    }
}

#[test]
fn a_tell_that_finds_no_room_says_so_and_sends_nothing() {
    let lab = Lab::new();
    let [alpha, _beta] = two_nodes(&lab);
    let ctl = lab.ctl(&alpha);
    let _senders = senders(&ctl, 4);
    wait_until_full(&ctl);
    let error = ctl.refused(&["tell", "beta/slow", "lab.work.v1", &work(), "--timeout", "100ms"]);
    assert_eq!((&error["code"], &error["may_have_run"]), (&json!("MAILBOX_FULL"), &json!(false)), "{error}");
}

#[test]
fn a_mailbox_that_was_full_takes_messages_again() {
    let lab = Lab::new();
    let [alpha, _beta] = two_nodes(&lab);
    let ctl = lab.ctl(&alpha);
    let senders = senders(&ctl, 2);
    wait_until_full(&ctl);
    drop(senders);
    let reply = ctl.json(&["ask", "beta/slow", "lab.work.v1", r#"{"ms":1,"pad":""}"#, "--timeout", "60s"]);
    assert!(reply["n"].is_u64(), "{reply}");
}
