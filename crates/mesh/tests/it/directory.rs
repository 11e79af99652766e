//! Published names, as every node knows them.

use crate::cluster::{Cluster, LIMIT, Say, Tester, eventually, on_both_transports};
use mesh::{ActorSpec, ListNames};
use std::time::Duration;
use tokio::time::Instant;

on_both_transports!(
    ten_thousand_names_reach_a_joined_node_within_5_seconds,
    of_two_owners_of_a_name_the_older_is_found_and_the_other_follows,
);

const NAMES: usize = 10_000;

async fn ten_thousand_names_reach_a_joined_node_within_5_seconds(cluster: Cluster) {
    let alpha = cluster.node("alpha", &[]).await;
    let actor = alpha.mesh().spawn(ActorSpec::new("many"), Tester::default);
    for number in 0..NAMES {
        alpha.mesh().publish(&format!("name-{number}"), &actor).unwrap();
    }
    let beta = cluster.node("beta", &[&alpha]).await;
    let joined = Instant::now();
    let names = beta.mesh().recipient::<ListNames>("beta/mesh").unwrap();
    eventually("the names", async || {
        let known = names.ask(ListNames {}).timeout(LIMIT).await.unwrap().names;
        known.iter().filter(|(name, owner)| name.starts_with("name-") && *owner == "alpha").count() == NAMES
    })
    .await;
    let took = joined.elapsed();
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    let last = beta.mesh().recipient::<Say>(&format!("name-{}", NAMES - 1)).unwrap();
    assert_eq!(last.ask(Say { text: "found".to_owned() }).await.as_deref(), Ok("found"));
}

async fn of_two_owners_of_a_name_the_older_is_found_and_the_other_follows(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let older = beta.mesh().spawn(ActorSpec::new("older"), Tester::default);
    beta.mesh().publish("shared", &older).unwrap();
    eventually("the name", async || alpha.mesh().resolve("shared").as_deref() == Some("beta/shared")).await;
    // Ages are told in milliseconds.
    let began = Instant::now();
    eventually("another millisecond", async || began.elapsed() > Duration::from_millis(2)).await;
    let younger = alpha.mesh().spawn(ActorSpec::new("younger"), Tester::default);
    alpha.mesh().publish("shared", &younger).unwrap();
    for from in [&alpha, &beta] {
        let both = || from.mesh().resolve_all("shared") == ["beta/shared", "alpha/shared"];
        eventually("both owners", async || both()).await;
    }
    older.stop();
    older.stopped().await;
    for from in [&alpha, &beta] {
        let only = || from.mesh().resolve_all("shared") == ["alpha/shared"];
        eventually("the one that is left", async || only()).await;
    }
    assert_eq!(beta.mesh().resolve("nobody"), None);
}
