//! Published names, as every node knows them.

use crate::cluster::{Cluster, LIMIT, Say, Tester, eventually, on_both_transports};
use mesh::{ActorSpec, ListNames};
use std::time::Duration;
use tokio::time::Instant;

on_both_transports!(ten_thousand_names_reach_a_joined_node_within_5_seconds);

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
