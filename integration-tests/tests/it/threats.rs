//! Rows 14 and 15 of the threat table: who sends or reads as no program of ours does, over real connections and in real
//! time, against a process whose memory is looked at.

mod attacker;

use std::time::{Duration, Instant};

use attacker::Attacker;
use integration_tests::{Lab, Node, report, throughout};

const ECHO: &str = "lab.echo.v1";
const HELLO: &str = r#"{"text":"hello"}"#;

/// An honest client on a busy machine, whose process starts, connects and asks.
const HONEST_MAX: Duration = Duration::from_secs(3);

/// Lets the attacker begin, waits until it is cut off, and answers why, after how long, and how much memory the node took
/// meanwhile. Honest clients are served all the time.
fn cut_off(
    lab: &Lab,
    node: &Node,
    within: Duration,
    begins: impl FnOnce(&mut Attacker),
) -> (String, Duration, u64) {
    let mut attacker = Attacker::connect(lab, node);
    let memory = || node.process().memory_kib().unwrap_or_default();
    let (began, before, mut most, mut slowest) = (Instant::now(), memory(), 0, Duration::ZERO);
    begins(&mut attacker);
    let reason = loop {
        let asked = Instant::now();
        let answer = lab.ctl(node).json(&["ask", "alpha/echo", ECHO, HELLO]);
        assert_eq!(answer["text"], "hello");
        slowest = slowest.max(asked.elapsed());
        most = most.max(memory());
        if let Some(reason) = attacker.closed() {
            break reason;
        }
        assert!(began.elapsed() < within, "it is not cut off");
        throughout("time passes", Duration::from_millis(100), || Ok(()));
    };
    let (took, grown) = (began.elapsed(), most.saturating_sub(before));
    report(&format!(
        "cut off after {took:.1?} as it {reason}: the node took {grown} KiB more, and an honest client at most {slowest:.1?}"
    ));
    assert!(slowest < HONEST_MAX, "an honest client took {slowest:?}");
    (reason, took, grown)
}

#[test]
fn row_14_streams_whose_first_bytes_never_come_are_cut_off_and_hold_no_more_than_their_windows() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    // Each fills its window behind a gap, which nobody will ever fill.
    let begins = |attacker: &mut Attacker| attacker.leave_gaps(40, 250 * 1024);
    let (reason, took, grown) = cut_off(&lab, &alpha, Duration::from_secs(20), begins);
    assert!(reason.contains("a stream did not say what it is"), "{reason}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    // 16 MiB may be on the way to one connection, and the system's allocator rounds up.
    assert!(grown < 32 * 1024, "{grown} KiB");
}

#[test]
fn row_15_a_peer_that_reads_no_replies_is_cut_off_and_holds_little() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let begins = |attacker: &mut Attacker| attacker.ask_and_never_read("alpha/echo", ECHO, 60_000);
    let (reason, took, grown) = cut_off(&lab, &alpha, Duration::from_secs(70), begins);
    assert!(reason.contains("reads no replies"), "{reason}");
    assert!((25..=60).contains(&took.as_secs()), "{took:?}");
    assert!(grown < 64 * 1024, "{grown} KiB");
}
