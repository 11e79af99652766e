//! Five nodes on five hosts, and what networks and machines do to them. The bounds are those that the product promises;
//! what was measured is reported also when all is well.

mod cuts;
mod kills;
mod moves;
mod pauses;

use std::time::Duration;

use integration_tests::{Ctl, Hosts, Moment, Node, Observer, eventually, moment};
use serde_json::{Value, json};

const OBSERVER: &str = env!("CARGO_BIN_EXE_observer");
/// How long an observer's ask may take, and when it has surely ended on a busy machine.
const ASK_MS: u64 = 1000;
const ASK_ENDS_MAX: Duration = Duration::from_millis(1500);
/// For what has a bound of its own, and is waited for longer so that a figure beyond the bound is still seen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Within this, a node that is gone is down for all others.
const DEATH_MAX: Duration = Duration::from_secs(10);
/// Within this, a node that is back answers.
const RETURN_MAX: Duration = Duration::from_millis(500);

/// One node on each host.
fn five(hosts: &Hosts) -> Vec<Node> {
    (1..=5).map(|host| hosts.start(host)).collect()
}

/// An observer of each node, which asks the echo of the host that stands beside it; all is well when this returns.
fn observe(hosts: &Hosts, pairs: &[(&Node, u8)]) -> Vec<Observer> {
    let observer = |(node, of): &(&Node, u8)| {
        hosts.observe(OBSERVER, node, &format!("{}/echo", Hosts::name(*of)), ASK_MS)
    };
    let observers: Vec<_> = pairs.iter().map(observer).collect();
    wait_until_whole(&observers);
    observers
}

fn wait_until_whole(observers: &[Observer]) {
    let now = moment();
    eventually("all is well", PATIENCE, || whole(observers, now));
}

/// All nodes take all others for alive, agree on the names, and have had an answer since `since`.
fn whole(observers: &[Observer], since: Moment) -> Result<(), String> {
    let first = observers[0].names();
    for observer in observers {
        let (at, members, names) = (observer.at(), observer.members(), observer.names());
        if members.len() != 5 || members.values().any(|state| state != "alive") {
            return Err(format!("{at} sees {members:?}"));
        }
        if names.is_null() || names != first {
            return Err(format!("{at} has the names {names}, others {first}"));
        }
        observer.first_answer(since).ok_or_else(|| format!("{at} has no answer"))?;
    }
    Ok(())
}

/// When `observer` first saw `member` in this state, after `since`.
fn seen(observer: &Observer, member: &str, state: &str, since: Moment) -> Result<Moment, String> {
    let states = observer.states(member);
    let found = states.iter().find(|(at, now, _)| *at > since && now == state);
    found.map(|(at, ..)| *at).ok_or_else(|| format!("{} has {member} as {:?}", observer.at(), states.last()))
}

/// Every ask ended in time, one way or the other, and so did the ones that are missing in the list.
fn assert_none_hangs(observer: &Observer) {
    let (now, asks) = (moment(), observer.asks());
    let slowest = asks.iter().max_by_key(|ask| ask.took).expect("it has asked");
    assert!(slowest.took < ASK_ENDS_MAX, "{}: {slowest:?}", observer.at());
    let due = asks.iter().filter(|ask| ask.at + ASK_ENDS_MAX < now).map(|ask| ask.number).max().unwrap_or(0);
    let ended = asks.iter().filter(|ask| ask.number <= due).count() as u64;
    assert_eq!(ended, due + 1, "{}: asks that never ended", observer.at());
}

fn add(ctl: &Ctl<'_>, path: &str, by: u32) -> Value {
    let reply = ctl.json(&["ask", path, "lab.add.v1", &json!({ "by": by }).to_string()]);
    reply["total"].clone()
}
