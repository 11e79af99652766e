//! Cables that are cut, and mended: nobody but the mesh itself puts it together again.

use std::time::Duration;

use integration_tests::{
    Figures, Hosts, Moment, Observer, eventually, moment, poll, report, setting, throughout,
};

use super::{DEATH_MAX, PATIENCE, RETURN_MAX, assert_none_hangs, five, observe, seen, whole};

const AGREE_MAX: Duration = Duration::from_secs(10);

/// None of these observers has seen one of these members down since `cut`.
fn none_down(side: &[Observer], members: &[&str], cut: Moment) -> Result<(), String> {
    let sees = |at: &&Observer| members.iter().any(|member| seen(at, member, "down", cut).is_ok());
    let found = side.iter().find(sees);
    found.map_or(Ok(()), |at| Err(format!("{} sees {:?}", at.at(), at.members())))
}

/// How long after `healed` the mesh is whole again; after [`PATIENCE`] it is not waited for any longer.
fn agreed_after(observers: &[Observer], healed: Moment) -> Duration {
    if let Err(seen) = poll(PATIENCE, || whole(observers, healed)) {
        report(&format!("not whole after {PATIENCE:?}: {seen}"));
    }
    moment() - healed
}

#[test]
fn a_partition_heals_by_itself() {
    let Some(hosts) = Hosts::new(5) else { return };
    let nodes = five(&hosts);
    let [h1, h2, h3, h4, h5] = nodes.as_slice() else { unreachable!("there are five") };
    let observers = observe(&hosts, &[(h1, 4), (h2, 5), (h3, 4), (h4, 1), (h5, 2)]);
    let (most, few) = observers.split_at(3);
    let names = observers[0].names();
    let mut deaths = Figures::new("a cut: the other side is down", DEATH_MAX);
    let mut returns = Figures::new("a healed cut: the first answer across, each of five", RETURN_MAX);
    let mut agreed = Figures::new("a healed cut: all agree on members and names", AGREE_MAX);
    let lasting = Duration::from_secs(setting("MESH_CUT_SECONDS", 10));
    for _ in 0..setting("MESH_CUTS", 1) {
        let cut = moment();
        hosts.net().cut(&[1, 2, 3], &[4, 5]);
        throughout("a side is whole within itself", lasting, || {
            none_down(most, &["h1", "h2", "h3"], cut)?;
            none_down(few, &["h4", "h5"], cut)
        });
        for (side, members) in [(most, ["h4", "h5"]), (few, ["h1", "h2"])] {
            for (observer, member) in side.iter().flat_map(|at| members.map(|member| (at, member))) {
                let down =
                    eventually("the other side is down", PATIENCE, || seen(observer, member, "down", cut));
                deaths.add(down - cut);
            }
        }
        let healed = moment();
        hosts.net().heal();
        for observer in &observers {
            let first =
                || observer.first_answer(healed).ok_or_else(|| format!("{} has no answer", observer.at()));
            returns.add(eventually("an answer from across", PATIENCE, first).ended() - healed);
        }
        agreed.add(agreed_after(&observers, healed));
        assert_eq!(observers[0].names(), names, "the oldest owner of a name keeps it");
        observers.iter().for_each(assert_none_hangs);
    }
    Figures::hold([deaths, returns, agreed]);
}

#[test]
fn where_packets_pass_one_way_only_nothing_hangs() {
    let Some(hosts) = Hosts::new(5) else { return };
    let nodes = five(&hosts);
    let [h1, h2, h3, h4, h5] = nodes.as_slice() else { unreachable!("there are five") };
    let observers = observe(&hosts, &[(h1, 2), (h2, 1), (h3, 1), (h4, 2), (h5, 1)]);
    let mut agreed = Figures::new("a healed one-way cut: all agree on members and names", AGREE_MAX);
    let mut returns = Figures::new("a healed one-way cut: the first answer, each of two", RETURN_MAX);
    let lasting = Duration::from_secs(setting("MESH_CUT_SECONDS", 10));
    for _ in 0..setting("MESH_CUTS", 1) {
        hosts.net().cut_one_way(&[2], &[1]);
        let cut = moment();
        throughout("the others go on", lasting, || {
            let failed = observers[2..].iter().find_map(|observer| {
                let failed = observer.asks().into_iter().find(|ask| ask.at > cut && ask.error.is_some())?;
                Some(format!("{}: {failed:?}", observer.at()))
            });
            failed.map_or(Ok(()), Err)
        });
        observers.iter().for_each(assert_none_hangs);
        let healed = moment();
        hosts.net().heal();
        for observer in &observers[..2] {
            let first =
                || observer.first_answer(healed).ok_or_else(|| format!("{} has no answer", observer.at()));
            returns.add(eventually("both directions answer", PATIENCE, first).ended() - healed);
        }
        agreed.add(agreed_after(&observers, healed));
        observers.iter().for_each(assert_none_hangs);
    }
    Figures::hold([returns, agreed]);
}
