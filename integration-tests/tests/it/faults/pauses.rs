//! Processes that stand still (SIGSTOP), as on a machine that swaps or is moved.

use std::time::Duration;

use integration_tests::{Figures, Hosts, eventually, moment, setting, throughout};

use super::{PATIENCE, RETURN_MAX, add, assert_none_hangs, five, observe, seen, wait_until_whole};

#[test]
fn a_node_that_stands_still_for_5_seconds_does_not_die() {
    let Some(hosts) = Hosts::new(5) else { return };
    let mut nodes = five(&hosts);
    let mut still = nodes.remove(2);
    let observers = observe(&hosts, &[(&nodes[0], 3), (&nodes[1], 3), (&nodes[2], 1), (&nodes[3], 3)]);
    let ctl = hosts.ctl(&nodes[0]);
    assert_eq!(add(&ctl, "h3/count", 5), 5);
    let mut returns = Figures::new("a node that stood still: the first answer, each of three", RETURN_MAX);
    for round in 1..=setting("MESH_CUTS", 2) {
        let stopped = moment();
        still.pause();
        let alive = || {
            let down = observers.iter().find(|at| seen(at, "h3", "down", stopped).is_ok());
            down.map_or(Ok(()), |at| Err(format!("{}: {:?}", at.at(), at.states("h3"))))
        };
        throughout("h3 is not down", Duration::from_secs(5), alive);
        let resumed = moment();
        still.resume();
        for observer in observers.iter().filter(|observer| observer.at() != "h4") {
            let first =
                || observer.first_answer(resumed).ok_or_else(|| format!("{} has no answer", observer.at()));
            returns.add(eventually("h3 answers", PATIENCE, first).ended() - resumed);
        }
        throughout("h3 is not down afterwards", Duration::from_secs(2), alive);
        wait_until_whole(&observers);
        assert_eq!(add(&ctl, "h3/count", 1), 5 + round, "its actors are the same");
        for observer in &observers {
            let mut ids: Vec<_> = observer.states("h3").into_iter().map(|(.., id)| id).collect();
            ids.dedup();
            assert_eq!(ids.len(), 1, "{}: {ids:?}", observer.at());
            assert_none_hangs(observer);
        }
    }
    Figures::hold([returns]);
}
