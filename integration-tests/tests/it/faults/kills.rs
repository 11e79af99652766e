//! Processes that end without a word (SIGKILL), and come back.

use std::time::Duration;

use integration_tests::{Ctl, Figures, Hosts, Moment, Net, Node, eventually, moment, setting};
use serde_json::json;

use super::{DEATH_MAX, PATIENCE, RETURN_MAX, add, assert_none_hangs, five, observe, seen, wait_until_whole};

#[test]
fn a_killed_node_is_known_to_all_and_its_asks_fail_at_once() {
    hold_kills("no loss", |_| (), Duration::from_millis(150));
}

#[test]
fn a_killed_node_is_known_to_all_with_5_percent_loss() {
    hold_kills("5 % loss", |net| net.lose(5), Duration::from_secs(1));
}

#[test]
fn a_killed_node_is_known_to_all_where_no_kernel_tells_of_it() {
    hold_kills("no ICMP", Net::drop_icmp, Duration::from_millis(2500));
}

/// Kills one node after the other: the kernel tells a peer of a closed port once a second, and saves up no more than
/// six; a node that dies again within seconds is known to be lost by its silence only.
fn hold_kills(what: &str, fault: impl Fn(&Net), in_flight_max: Duration) {
    let Some(hosts) = Hosts::new(5) else { return };
    let mut nodes = five(&hosts);
    fault(hosts.net());
    let mut in_flight = Figures::new(&format!("{what}: a killed node's ask fails"), in_flight_max);
    let mut deaths = Figures::new(&format!("{what}: a killed node is down for each of four"), DEATH_MAX);
    let mut overhead =
        Figures::new("of which a meshctl that is answered at once takes", Duration::from_secs(1));
    // Host 1 stays, for the others to join.
    for host in [5_u8, 4, 3, 2].into_iter().cycle().take(kills(2)) {
        let (victim, name) = (nodes.remove(usize::from(host) - 1), Hosts::name(host));
        // The host beside, but not the victim.
        let pairs: Vec<_> =
            nodes.iter().map(|node| (node, if node.name() == "h1" { host % 4 + 2 } else { 1 })).collect();
        let observers = observe(&hosts, &pairs);
        let ctl = hosts.ctl(&nodes[0]);
        let (killed, took) = kill_within_an_ask(&ctl, victim);
        in_flight.add(took);
        for observer in &observers {
            let down = eventually("the death is known", PATIENCE, || seen(observer, &name, "down", killed));
            deaths.add(down - killed);
        }
        overhead.add(ctl.run(&["ask", "h1/echo", "lab.echo.v1", r#"{"text":""}"#]).elapsed);
        drop(ctl);
        let back = hosts.start(host);
        wait_until_whole(&observers);
        nodes.insert(usize::from(host) - 1, back);
    }
    Figures::hold([in_flight, overhead, deaths]);
}

fn kills(default: u64) -> usize {
    usize::try_from(setting("MESH_KILLS", default)).expect("nobody has the time for more")
}

/// Begins an ask of `slow` that would take a minute, kills its node in the midst of it, and gives how long the ask went on:
/// to the end of the process that asked.
fn kill_within_an_ask(ctl: &Ctl<'_>, victim: Node) -> (Moment, Duration) {
    let work = r#"{"ms":60000,"pad":""}"#;
    let path = format!("{}/slow", victim.name());
    let ask = ctl.begin(&["ask", &path, "lab.work.v1", work, "--timeout", "60s"]);
    // A second message waits behind the first: both have arrived, and one is being handled.
    assert_eq!(ctl.run(&["tell", &path, "lab.work.v1", work]).code, 0);
    eventually("the ask is in flight", PATIENCE, || {
        let rows = ctl.try_json(&["ps", victim.name()])?;
        let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["path"] == path.as_str()));
        let waiting = row.is_some_and(|row| row["mailbox"]["len"] == 1);
        if waiting { Ok(()) } else { Err(rows.to_string()) }
    });
    let killed = moment();
    victim.kill9();
    let error = ask.outcome().refusal();
    let took = moment() - killed;
    assert_eq!((&error["code"], &error["may_have_run"]), (&json!("UNREACHABLE"), &json!(true)), "{error}");
    (killed, took)
}

#[test]
fn a_restarted_node_is_recognised_at_once() {
    let Some(hosts) = Hosts::new(5) else { return };
    let mut nodes = five(&hosts);
    let mut victim = nodes.pop().expect("there are five");
    let observers = observe(&hosts, &[(&nodes[0], 5), (&nodes[1], 5), (&nodes[2], 5), (&nodes[3], 5)]);
    let ctl = hosts.ctl(&nodes[0]);
    let mut returns = Figures::new("a restarted node: the first answer once ready, each of four", RETURN_MAX);
    let mut starts = Figures::new("a restarted node: from the kill to ready", PATIENCE);
    add(&ctl, "h5/count", 5);
    for _ in 0..kills(3) {
        let killed = moment();
        victim.kill9();
        let dead = moment();
        victim = hosts.start(5);
        starts.add(victim.ready_at() - killed);
        for observer in &observers {
            let first =
                || observer.first_answer(dead).ok_or_else(|| format!("{} has no answer", observer.at()));
            let answer = eventually("the new h5 answers", PATIENCE, first);
            returns.add(answer.ended().saturating_sub(victim.ready_at()));
        }
        wait_until_whole(&observers);
        assert_eq!(add(&ctl, "h5/count", 5), 5, "the actors of the last run are gone");
    }
    observers.iter().for_each(assert_none_hangs);
    Figures::hold([starts, returns]);
}
