use super::*;
use crate::MemberState;
use crate::membership::{Load, MembershipConfig, Reason, sim::figures};
use naming::{boot, id};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// How many seeds to try: `MESH_SEEDS`, or 200.
fn seeds() -> u64 {
    std::env::var("MESH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

fn five(conditions: Conditions, seed: u64) -> Cluster {
    figures::joined(5, conditions, seed).unwrap().0
}

#[test]
fn after_faults_by_chance_all_agree_with_the_truth() {
    for seed in 0..seeds() {
        if let Err(error) = chaos(seed) {
            panic!("{error}");
        }
    }
}

#[test]
fn a_kill_is_known_to_all_of_five_within_ten_seconds() {
    for seed in 0..seeds() / 4 {
        let figure = figures::deaths(5, 1, Conditions::lan(), seed).unwrap();
        assert!(figure.took < SECOND * 10, "{:?} with seed {seed}", figure.took);
    }
}

#[test]
fn standing_still_for_five_seconds_is_no_death() {
    for seed in 0..seeds() / 4 {
        let mut cluster = five(Conditions::lossy(100), seed);
        cluster.take_changes();
        cluster
            .run(&[
                Operation::Pause(3),
                Operation::Wait(SECOND * 5),
                Operation::Resume(3),
                Operation::Wait(SECOND * 15),
            ])
            .unwrap();
        let changes = cluster.take_changes();
        let died = changes.iter().find(|(_, _, change)| change.state == MemberState::Down);
        assert_eq!(died, None, "with seed {seed}");
        assert_eq!(cluster.difference(), None, "with seed {seed}");
        assert_eq!(cluster.renewals(), 0, "who was not dead need not come back, with seed {seed}");
    }
}

#[test]
fn a_fast_restart_is_the_death_of_the_old_boot_and_then_another_life() {
    for seed in 0..seeds() / 4 {
        let mut cluster = five(Conditions::lossy(100), seed);
        cluster.take_changes();
        cluster.run(&[Operation::Kill(4), Operation::Wait(SECOND / 5), Operation::Start(4)]).unwrap();
        cluster.until_agreed(SECOND * 10).unwrap();
        let changes = cluster.take_changes();
        for observer in 0..4 {
            let told: Vec<_> = changes
                .iter()
                .filter(|(_, node, change)| *node == observer && change.node == id(4))
                .filter(|(_, _, change)| change.reason != Reason::Unanswered)
                .map(|(_, _, change)| (change.boot, change.state, change.reason))
                .collect();
            let wanted = [
                (boot(1), MemberState::Down, Reason::Restarted),
                (boot(2), MemberState::Alive, Reason::Joined),
            ];
            assert_eq!(told, wanted, "node {observer} with seed {seed}");
        }
    }
}

#[test]
fn a_goodbye_is_no_death() {
    for seed in 0..seeds() / 4 {
        let mut cluster = five(Conditions::lossy(500), seed);
        cluster.take_changes();
        cluster.run(&[Operation::Leave(2)]).unwrap();
        cluster.until_agreed(SECOND * 10).unwrap();
        for (_, observer, change) in cluster.take_changes() {
            let about_it = change.node == id(2);
            assert!(
                !about_it || change.reason == Reason::Goodbye,
                "node {observer} told {change:?} with seed {seed}"
            );
        }
    }
}

#[test]
fn a_partition_heals_by_itself() {
    for seed in 0..seeds() / 4 {
        for time in [SECOND * 5, SECOND * 30] {
            let figure = figures::partition(5, 2, time, seed).unwrap();
            assert!(figure.took < SECOND * 15, "{:?} with seed {seed}", figure.took);
        }
    }
}

#[test]
fn a_partition_that_all_have_forgotten_heals_by_the_seeds() {
    let mut config = MembershipConfig::lan();
    config.forget_after = SECOND * 60;
    let mut cluster = Cluster::new(5, &config, Conditions::lan(), 3);
    cluster.run(&(0..5).map(Operation::Start).collect::<Vec<_>>()).unwrap();
    cluster.until_agreed(SECOND * 10).unwrap();
    cluster.run(&[Operation::Isolate(vec![3, 4]), Operation::Wait(SECOND * 120)]).unwrap();
    assert_eq!(cluster.machine(4).unwrap().members().count(), 1, "the others are forgotten");
    cluster.run(&[Operation::Heal]).unwrap();
    cluster.until_agreed(SECOND * 15).unwrap();
}

#[test]
fn all_at_once_may_restart() {
    for seed in 0..seeds() / 4 {
        let mut cluster = five(Conditions::lossy(100), seed);
        cluster.run(&(0..5).map(Operation::Start).collect::<Vec<_>>()).unwrap();
        cluster.until_agreed(SECOND * 20).unwrap();
    }
}

#[test]
fn with_one_percent_of_loss_nobody_dies_in_an_hour() {
    let figure = figures::quiet(5, SECOND * 3600, Conditions::lossy(100), 7).unwrap();
    assert_eq!(figure.deaths, 0);
}

/// 100 nodes where there is little time, else 300.
#[test]
fn many_join_at_once_and_learn_of_many_deaths() {
    let nodes = if seeds() > 200 { 300 } else { 100 };
    let (cluster, figure) = figures::joined(nodes, Conditions::lossy(100), 1).unwrap();
    assert!(figure.took < SECOND * 40, "{figure}");
    assert_eq!((figure.deaths, cluster.renewals()), (0, 0), "{figure}");
    let figure = figures::deaths(nodes, nodes / 10, Conditions::lan(), 2).unwrap();
    assert!(figure.took < SECOND * 25, "{figure}");
    assert_eq!(figure.deaths, nodes / 10 * (nodes - nodes / 10), "each by each once: {figure}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let mut cluster = five(Conditions::lossy(1000), seed);
        cluster.run(&[Operation::Kill(1), Operation::Wait(SECOND * 30)]).unwrap();
        (cluster.take_traffic().datagram_bytes, cluster.take_changes())
    };
    assert_eq!(story(5), story(5));
    assert_ne!(story(5), story(6));
}

#[test]
fn far_apart_it_takes_longer_and_ends_alike() {
    let far = Conditions { latency: SECOND / 10, jitter: SECOND / 20, loss: 100 };
    let mut cluster = Cluster::new(5, &MembershipConfig::wan(), far, 4);
    cluster.run(&(0..5).map(Operation::Start).collect::<Vec<_>>()).unwrap();
    cluster.until_agreed(SECOND * 20).unwrap();
    cluster.run(&[Operation::Kill(3)]).unwrap();
    let took = cluster.until_agreed(SECOND * 40).unwrap();
    assert!(took > SECOND * 20, "a suspect has its time: {took:?}");
}

#[test]
fn labels_and_load_reach_everybody_short_ones_at_once_and_long_ones_by_comparing() {
    let mut cluster = five(Conditions::lan(), 2);
    cluster.run(&[Operation::Wait(SECOND * 2)]).unwrap();
    for (bytes, most) in [(10, SECOND * 2), (1000, SECOND * 40)] {
        let labels = vec![("gpu".to_owned(), "x".repeat(bytes))];
        let load = Load { actors: 7, queued: bytes as u64 };
        cluster
            .with(2, |machine, now| {
                machine.set_labels(labels.clone(), now).unwrap();
                machine.set_load(load, now);
            })
            .unwrap();
        cluster.run(&[Operation::Wait(most)]).unwrap();
        for other in [0, 1, 3, 4] {
            let member = cluster.machine(other).unwrap().by_name("n2").unwrap();
            let profile = member.profile().unwrap();
            assert_eq!((&profile.labels, profile.load), (&labels, load), "node {other}");
        }
    }
}

#[test]
fn who_stood_still_accuses_nobody() {
    for seed in 0..seeds() / 4 {
        let mut cluster = five(Conditions::lan(), seed);
        // A death is under way, and the accuser stands still until long after it was refuted.
        cluster.run(&[Operation::Pause(2), Operation::Wait(SECOND * 3), Operation::Pause(4)]).unwrap();
        cluster
            .run(&[Operation::Wait(SECOND / 2), Operation::Resume(2), Operation::Wait(SECOND * 5)])
            .unwrap();
        cluster.take_changes();
        cluster.run(&[Operation::Resume(4), Operation::Wait(SECOND * 10)]).unwrap();
        let died =
            cluster.take_changes().into_iter().find(|(_, _, change)| change.state == MemberState::Down);
        assert_eq!(died, None, "with seed {seed}");
    }
}
