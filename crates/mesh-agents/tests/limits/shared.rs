//! Six hundred requests a minute for ten nodes.

use std::time::Duration;

use tokio::time::Instant;

use crate::provider::{ALLOWED, MINUTE, TERM, World, name};

/// What is to be used of the limit.
const ENOUGH: usize = ALLOWED * 95 / 100;

#[tokio::test(start_paused = true)]
async fn ten_nodes_share_one_limit_without_a_429_and_use_nearly_all_of_it() {
    let world = World::of(10).await;
    let begun = world.pass(MINUTE).await;
    for minute in 0..3 {
        let from = world.pass(MINUTE).await - MINUTE;
        let used = world.provider.answered(from, MINUTE);
        let sum: usize = used.values().sum();
        assert!(sum >= ENOUGH, "minute {minute}: {sum} of {ALLOWED}");
        // Everybody wants all of it: nobody has twice what another has.
        let (least, most) = (used.values().min().unwrap(), used.values().max().unwrap());
        assert!(used.len() == 10 && *most < 2 * least, "{used:?}");
    }
    assert_eq!(world.provider.refused(), 0);
    assert!(Instant::now() - begun >= 3 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn the_share_of_nodes_that_die_is_used_by_others_one_lease_later() {
    let mut world = World::of(10).await;
    world.pass(2 * MINUTE).await;
    for number in [3, 5, 8] {
        world.kill(number);
    }
    let from = world.pass(TERM).await;
    world.pass(MINUTE).await;
    let used = world.provider.answered(from, MINUTE);
    let sum: usize = used.values().sum();
    assert_eq!(used.len(), 7, "{used:?}");
    assert!(sum >= ENOUGH, "{sum} of {ALLOWED}: {used:?}");
    assert_eq!(world.provider.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn in_a_partition_each_node_keeps_to_the_share_that_it_has() {
    let world = World::of(10).await;
    let cut_at = world.pass(2 * MINUTE).await;
    for (inside, outside) in (0..5).flat_map(|inside| (5..10).map(move |outside| (inside, outside))) {
        world.network.partition(&name(inside), &name(outside));
    }
    world.pass(2 * MINUTE).await;
    // They use what they have, and then nothing.
    let before = world.provider.answered(cut_at - TERM, TERM);
    let after = world.provider.answered(cut_at, TERM);
    let beyond = world.provider.answered(cut_at + TERM, MINUTE);
    for number in 5..10 {
        let node = name(number);
        assert!(after[&node] <= before[&node] + 2, "{node}: {before:?} {after:?}");
        assert_eq!(beyond.get(&node), None, "{node}");
    }
    let sum: usize = beyond.values().sum();
    assert!(sum >= ENOUGH, "those with the grantor have all of it: {sum} of {ALLOWED}");

    world.network.heal();
    world.pass(Duration::from_secs(30)).await;
    let from = world.pass(MINUTE).await - MINUTE;
    let healed = world.provider.answered(from, MINUTE);
    assert!(healed.len() == 10 && healed.values().sum::<usize>() >= ENOUGH, "{healed:?}");
    assert_eq!(world.provider.refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_one_node_hears_with_a_429_holds_for_all_and_a_share_that_is_given_back_is_used_at_once() {
    let mut world = World::of(3).await;
    world.pass(2 * MINUTE).await;
    world.limiter(1).penalize(Duration::from_secs(20)).await;
    // A third of a term later all know, and what they know ends when the provider said.
    let known = world.pass(TERM / 3 + Duration::from_secs(1)).await;
    world.pass(Duration::from_secs(15)).await;
    assert_eq!(world.provider.answered(known, Duration::from_secs(15)).values().sum::<usize>(), 0);
    let from = world.pass(MINUTE).await - MINUTE / 2;
    assert_eq!(world.provider.answered(from, MINUTE).len(), 3);

    world.give_back(2).await;
    let from = world.pass(TERM * 2 / 3).await;
    world.pass(MINUTE).await;
    let used = world.provider.answered(from, MINUTE);
    assert!(used.len() == 2 && used.values().sum::<usize>() >= ENOUGH, "{used:?}");
    assert_eq!(world.provider.refused(), 0);
}
