//! Streams between processes: read slowly, and cut in the middle.

use std::time::{Duration, Instant};

use integration_tests::{Figures, Lab, Node, Tap, eventually, report, setting, throughout};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// What the memory of a node may differ by while a stream is read slowly: 5 MiB.
const GROWTH_MAX_KIB: u64 = 5 * 1024;

/// Between two items of a stream that has one every 20 ms, on two cores with three nodes.
const GAP_MAX: Duration = Duration::from_millis(500);

/// Longer than an idle connection is held (2 s), shorter than a silent member is suspected for (6 s).
const STILL: Duration = Duration::from_secs(4);

fn three(lab: &Lab) -> [Node; 3] {
    let alpha = lab.start("alpha");
    let beta = lab.join("beta", &alpha);
    let gamma = lab.join("gamma", &alpha);
    let ctl = lab.ctl(&gamma);
    for node in ["alpha", "beta"] {
        let echo = format!("{node}/echo");
        let ask = ["ask", &echo, "lab.echo.v1", r#"{"text":"hi"}"#];
        eventually("an answer through gamma", SOON, || ctl.try_json(&ask));
    }
    [alpha, beta, gamma]
}

fn ticks(lab: &Lab, at: &Node, of: &str, count: &Value) -> Tap {
    lab.ctl(at).tap(&["stream", &format!("{of}/ticks"), "lab.count_to.v1", &count.to_string()])
}

fn number(line: Option<Value>) -> u64 {
    let line = line.expect("the stream goes on");
    line["item"]["n"].as_u64().unwrap_or_else(|| panic!("no item: {line}"))
}

/// Waits as a reader does that has something else to do.
fn idle(lasting: Duration) {
    throughout("time passes", lasting, || Ok(()));
}

#[test]
fn a_reader_of_one_item_a_second_leaves_memory_flat_and_other_streams_unharmed() {
    let lab = Lab::new();
    let nodes = three(&lab);
    let [alpha, beta, gamma] = &nodes;
    let slow = json!({"to": 1_000_000, "every_ms": 0, "pad": 60_000});
    let mut slow = ticks(&lab, gamma, "alpha", &slow);
    let mut quick = ticks(&lab, gamma, "beta", &json!({"to": 1_000_000, "every_ms": 20, "pad": 100}));
    let quick_from = number(quick.next(SOON));
    let memory = |nodes: &[&Node; 3]| nodes.map(|node| node.process().memory_kib());
    let mut read = number(slow.next(SOON));
    // Until the windows and the pipe are full, and the nodes have their threads and buffers.
    for _ in 0..3 {
        idle(Duration::from_secs(1));
        read += 1;
        assert_eq!(number(slow.next(SOON)), read);
    }
    let before = memory(&[alpha, beta, gamma]);
    let mut gaps = Figures::new("a quick stream beside a slow one: between two items", GAP_MAX);
    let mut last = quick_from;
    let seconds = setting("MESH_STREAM_SECONDS", 15);
    for _ in 0..seconds {
        let second = Instant::now();
        while second.elapsed() < Duration::from_secs(1) {
            let asked = Instant::now();
            last += 1;
            assert_eq!(number(quick.next(SOON)), last);
            gaps.add(asked.elapsed());
        }
        read += 1;
        assert_eq!(number(slow.next(SOON)), read);
    }
    let after = memory(&[alpha, beta, gamma]);
    report(&format!("resident KiB of the three before and after {seconds} items: {before:?}, {after:?}"));
    for (before, after) in before.into_iter().zip(after) {
        let (Some(before), Some(after)) = (before, after) else { continue };
        assert!(after <= before + GROWTH_MAX_KIB, "{before} KiB became {after} KiB");
    }
    Figures::hold([gaps]);
}

#[test]
fn a_stream_outlives_its_nodes_standing_still_and_misses_and_repeats_nothing() {
    let lab = Lab::new();
    let [mut alpha, _beta, mut gamma] = three(&lab);
    let mut stream = ticks(&lab, &gamma, "alpha", &json!({"to": 300, "every_ms": 10, "pad": 10}));
    for n in 1..=300 {
        assert_eq!(number(stream.next(SOON)), n);
        // First the node that makes the items, then the one that its reader reached them through.
        let still = match n {
            100 => &mut alpha,
            200 => &mut gamma,
            _ => continue,
        };
        still.pause();
        idle(STILL);
        still.resume();
    }
    let end = stream.next(SOON).expect("the reply");
    assert_eq!(end["reply"]["n"], 300);
    assert_eq!(stream.next(SOON), None);
}
