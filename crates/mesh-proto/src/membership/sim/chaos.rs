//! Faults by chance.

use super::{Cluster, Conditions, Operation};
use crate::membership::{MembershipConfig, random::Seeded};
use std::time::Duration;

/// A small mesh to which things happen by chance for about a minute, and which must agree with the truth within a minute
/// after they have stopped. The seed decides all of it.
///
/// # Errors
/// What was broken, with the seed and the scenario.
pub fn chaos(seed: u64) -> Result<(), String> {
    let mut random = Seeded::new(seed.wrapping_add(0xC4A0_5C4A_05C4));
    let nodes = 3 + random.below(4);
    let mut cluster =
        Cluster::new(nodes, &MembershipConfig::lan(), Conditions::lossy(random.below(500)), seed);
    let mut scenario: Vec<Operation> = (0..nodes).map(Operation::Start).collect();
    for _ in 0..4 + random.below(8) {
        scenario.push(fault(&mut random, nodes));
        let pause = u64::try_from(random.below(12_000)).unwrap_or(0);
        scenario.push(Operation::Wait(Duration::from_millis(pause)));
    }
    scenario.extend([Operation::Heal, Operation::Loss(100)]);
    scenario.extend((0..nodes).map(Operation::Resume));
    let told = |error| format!("{error}\n{scenario:?}");
    cluster.run(&scenario).map_err(told)?;
    // Without a seed, nodes that never met cannot.
    let dead_seeds: Vec<_> =
        (0..2).filter(|node| cluster.machine(*node).is_none()).map(Operation::Start).collect();
    cluster.run(&dead_seeds).map_err(told)?;
    cluster.until_agreed(Duration::from_secs(60)).map_err(told)?;
    if cluster.most_actions() > 200 {
        return Err(told(format!("one event led to {} actions; seed {seed}", cluster.most_actions())));
    }
    Ok(())
}

fn fault(random: &mut Seeded, nodes: usize) -> Operation {
    let node = random.below(nodes);
    let other = (node + 1 + random.below(nodes - 1)) % nodes;
    match random.below(10) {
        0 | 1 => Operation::Start(node),
        2 => Operation::Kill(node),
        3 => Operation::Pause(node),
        4 => Operation::Resume(node),
        5 => Operation::Isolate(vec![node, other]),
        6 => Operation::Isolate(vec![node]),
        7 => Operation::CutOneWay(vec![node], vec![other]),
        // The seeds stay, so that whoever is alone finds somebody.
        8 if node > 1 => Operation::Leave(node),
        _ => Operation::Heal,
    }
}
