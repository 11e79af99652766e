//! Machines that get another address: while they speak, and between two runs.

use std::time::{Duration, Instant};

use integration_tests::{Figures, Hosts, Net, Node, eventually};
use serde_json::{Value, json};

use super::{PATIENCE, add};

/// A connection that is not heard is given up after 2 s, so what goes on sooner went on over the same one.
const GAP_MAX: Duration = Duration::from_millis(1500);
const ECHO: &str = "lab.echo.v1";
const HELLO: &str = r#"{"text":"hello"}"#;

fn number(line: Option<Value>) -> u64 {
    let line = line.expect("the stream goes on");
    line["item"]["n"].as_u64().unwrap_or_else(|| panic!("no item: {line}"))
}

/// Where `at` takes the member `name` to be, once it is alive there.
fn addr_of(hosts: &Hosts, at: &Node, name: &str) -> Result<String, String> {
    let nodes = hosts.ctl(at).try_json(&["nodes"])?;
    let row = nodes.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
    let row = row.filter(|row| row["state"] == "alive").ok_or_else(|| nodes.to_string())?;
    Ok(row["addr"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_stream_goes_on_when_its_client_gets_another_address() {
    let Some(hosts) = Hosts::new(3) else { return };
    let (h1, _h2) = (hosts.start(1), hosts.start(2));
    let mut gaps =
        Figures::new("a client that moves: the longest pause of its stream, each of three", GAP_MAX);
    // The actor is on the node that is dialled, or behind it.
    let count = json!({"to": 1_000_000, "every_ms": 20, "pad": 100}).to_string();
    eventually("h2 answers through h1", PATIENCE, || {
        hosts.ctl_on(3, &h1).try_json(&["ask", "h2/echo", ECHO, HELLO])
    });
    let mut stream = hosts.ctl_on(3, &h1).tap(&["stream", "h2/ticks", "lab.count_to.v1", &count]);
    let mut last = number(stream.next(PATIENCE));
    let addrs = [Net::ip(3), Net::ip(103), Net::ip(104), Net::ip(3)];
    for addrs in addrs.windows(2) {
        hosts.net().readdress(3, &addrs[0], &addrs[1]);
        let (moved, mut heard, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
        while moved.elapsed() < Duration::from_secs(3) {
            let next = number(stream.next(PATIENCE));
            assert_eq!(next, last + 1, "nothing is missed, and nothing comes twice");
            last = next;
            longest = longest.max(heard.elapsed());
            heard = Instant::now();
        }
        gaps.add(longest);
    }
    Figures::hold([gaps]);
}

#[test]
fn a_node_that_gets_another_address_while_it_runs_is_reached_again_and_did_not_die() {
    let Some(hosts) = Hosts::new(3) else { return };
    let (h1, h2, h3) = (hosts.start(1), hosts.start(2), hosts.start_at(3, &Net::ip(3)));
    for at in [&h1, &h2] {
        let ctl = hosts.ctl(at);
        eventually("h3 answers", PATIENCE, || ctl.try_json(&["ask", "h3/echo", ECHO, HELLO]));
    }
    assert_eq!(add(&hosts.ctl(&h1), "h3/count", 5), 5);
    hosts.net().readdress(3, &Net::ip(3), &Net::ip(103));
    // What h3 has dialled goes on from there, and what was dialled to h3 it dials itself.
    for at in [&h1, &h2] {
        let ctl = hosts.ctl(at);
        eventually("h3 answers again", PATIENCE, || ctl.try_json(&["ask", "h3/echo", ECHO, HELLO]));
    }
    assert_eq!(add(&hosts.ctl(&h2), "h3/count", 1), 6, "its actors are the same");
    for at in [&h1, &h2] {
        assert!(!at.process().stderr().contains("member is down"), "nobody took it for dead");
    }
    drop(h3);
}

#[test]
fn a_node_that_returns_under_another_address_is_dialled_there() {
    let Some(hosts) = Hosts::new(4) else { return };
    let (h1, h2, h3) = (hosts.start(1), hosts.start(2), hosts.start(3));
    let known = |at: &Node, ip: &str| {
        eventually("h3 is known where it is", PATIENCE, || match addr_of(&hosts, at, "h3")? {
            addr if addr.starts_with(&format!("{ip}:")) => Ok(()),
            addr => Err(addr),
        });
    };
    known(&h2, &Net::ip(3));
    h3.kill9();
    hosts.net().readdress(3, &Net::ip(3), &Net::ip(103));
    let h3 = hosts.start_at(3, &Net::ip(103));
    for at in [&h1, &h2] {
        known(at, &Net::ip(103));
        let ctl = hosts.ctl(at);
        eventually("h3 answers", PATIENCE, || ctl.try_json(&["ask", "h3/echo", ECHO, HELLO]));
    }
    // Who joins later has it from the others.
    let h4 = hosts.start(4);
    known(&h4, &Net::ip(103));
    eventually("h3 answers h4", PATIENCE, || hosts.ctl(&h4).try_json(&["ask", "h3/echo", ECHO, HELLO]));
    drop(h3);
}
