//! Published names, as every node knows them.

use crate::cluster::{Cluster, LIMIT, Say, Tester, eventually, on_both_transports};
use mesh::{ActorSpec, DescribeActors, ListNames, ListPublished, Mesh, PublishError};
use mesh_net::DenyList;
use std::time::Duration;
use tokio::time::Instant;

on_both_transports!(
    ten_thousand_names_reach_a_joined_node_within_5_seconds,
    of_two_owners_of_a_name_the_older_is_found_and_the_other_follows,
    after_a_reconnect_a_peer_is_told_the_changes_and_nothing_else,
    an_actor_is_found_by_what_it_can_do_and_by_its_kinds,
    who_loses_a_name_is_told_and_has_it_again_when_the_other_is_gone,
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

async fn after_a_reconnect_a_peer_is_told_the_changes_and_nothing_else(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let actor = alpha.mesh().spawn(ActorSpec::new("many"), Tester::default);
    for number in 0..500 {
        alpha.mesh().publish(&format!("name-{number}"), &actor).unwrap();
    }
    eventually("the names", async || beta.mesh().resolve("name-499").is_some()).await;
    alpha.deny(DenyList::new(["node/beta".parse().unwrap()]));
    let ask = || beta.mesh().recipient::<Say>("alpha/tester").unwrap();
    eventually("the end of the connection", async || ask().ask(Say { text: String::new() }).await.is_err())
        .await;
    let before = alpha.mesh().names_told();
    alpha.mesh().publish("new", &actor).unwrap();
    let withdrawn = alpha.mesh().spawn(ActorSpec::new("brief"), Tester::default);
    alpha.mesh().publish("brief", &withdrawn).unwrap();
    withdrawn.stop();
    eventually("its end", async || alpha.mesh().resolve("brief").is_none()).await;
    alpha.deny(DenyList::default());
    eventually("the new name", async || beta.mesh().resolve("new").as_deref() == Some("alpha/new")).await;
    let after = alpha.mesh().names_told();
    assert_eq!(
        (after.missed - before.missed, after.whole - before.whole, after.repairs),
        (1, 0, 0),
        "{before:?} {after:?}"
    );
    // `new`, and that `brief` is gone; and what was told to the connection that was just ending.
    assert!((2..=4).contains(&(after.names - before.names)), "{before:?} {after:?}");
    assert_eq!(beta.mesh().resolve("name-0").as_deref(), Some("alpha/name-0"));
}

async fn an_actor_is_found_by_what_it_can_do_and_by_its_kinds(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let able =
        ActorSpec::new("able").capability("tool:fetch").capability("lang:rust").capability("tool:fetch");
    for (node, name) in [(&alpha, "b"), (&beta, "a"), (&beta, "b")] {
        let actor = node.mesh().spawn(able.clone(), Tester::default);
        node.mesh().publish(name, &actor).unwrap();
    }
    let paths = |mesh: &Mesh, capability: &str| -> Vec<String> {
        mesh.list(capability).into_iter().map(|one| one.path).collect()
    };
    for node in [&alpha, &beta] {
        let all = ["beta/a", "alpha/b", "beta/b"];
        eventually("who can fetch", async || paths(node.mesh(), "tool:fetch") == all).await;
        assert_eq!(paths(node.mesh(), "tool:fetc"), [""; 0]);
        let first = node.mesh().list("lang:rust").remove(0);
        assert_eq!(first.capabilities, ["lang:rust", "tool:fetch"]);
        assert!(first.kinds.contains(&"test.say.v1".to_owned()), "{first:?}");
        let testers = node.mesh().list_kind("test.say.v1");
        assert_eq!(testers.len(), 5, "the three, and each node's tester");
        assert_eq!(node.mesh().list_kind("mesh.names.v2").len(), 2);
    }
    let client = cluster.client(&alpha).await;
    let node = client.recipient::<ListPublished>("alpha/mesh").unwrap();
    let list = ListPublished { capability: Some("tool:fetch".to_owned()), kind: None };
    let found = node.ask(list).await.unwrap().names;
    assert_eq!(found.iter().map(|one| &*one.path).collect::<Vec<_>>(), ["beta/a", "alpha/b", "beta/b"]);
    for wrong in ["", "tool fetch", &"c".repeat(65)] {
        let actor = alpha.mesh().spawn(ActorSpec::new("odd").capability(wrong), Tester::default);
        let refused = alpha.mesh().publish("odd", &actor);
        assert!(matches!(refused, Err(PublishError::Capability { .. })), "{wrong:?}: {refused:?}");
    }
    let many = (0..17).fold(ActorSpec::new("many"), |spec, at| spec.capability(at.to_string()));
    let refused = alpha.mesh().publish("many", &alpha.mesh().spawn(many, Tester::default));
    assert!(matches!(refused, Err(PublishError::TooMany { max: 16, .. })), "{refused:?}");
}

async fn who_loses_a_name_is_told_and_has_it_again_when_the_other_is_gone(cluster: Cluster) {
    let (alpha, beta) = cluster.pair().await;
    let older = beta.mesh().spawn(ActorSpec::new("older"), Tester::default);
    beta.mesh().publish("shared", &older).unwrap();
    eventually("the name", async || alpha.mesh().resolve("shared").is_some()).await;
    let began = Instant::now();
    eventually("another millisecond", async || began.elapsed() > Duration::from_millis(2)).await;
    let mut conflicts = alpha.mesh().name_conflicts().unwrap();
    let younger = alpha.mesh().spawn(ActorSpec::new("younger"), Tester::default);
    alpha.mesh().publish("shared", &younger).unwrap();
    let lost = tokio::time::timeout(LIMIT, conflicts.changed()).await.unwrap().unwrap();
    assert_eq!(lost.into_iter().collect::<Vec<_>>(), [("shared".to_owned(), "beta".to_owned())]);
    let shadowed = async |from: &Mesh| {
        let node = from.recipient::<DescribeActors>("alpha/mesh").unwrap();
        let actors = node.ask(DescribeActors {}).await.unwrap().actors;
        let shadowed = actors.into_iter().filter_map(|actor| Some((actor.path, actor.shadowed_by?)));
        shadowed.collect::<Vec<_>>()
    };
    let is_shadowed = [("alpha/shared".to_owned(), "beta".to_owned())];
    assert_eq!(shadowed(alpha.mesh()).await, is_shadowed, "each node has a tester too, as it is meant to");
    let to = |path: &str| alpha.mesh().recipient::<Say>(path).unwrap();
    let say = || Say { text: "alive".to_owned() };
    assert_eq!(to("alpha/shared").ask(say()).await.as_deref(), Ok("alive"), "it is not killed");
    assert!(beta.mesh().name_conflicts().unwrap().now().is_empty(), "the older one has lost nothing");
    beta.leave().await;
    let lost = tokio::time::timeout(LIMIT, conflicts.changed()).await.unwrap().unwrap();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(alpha.mesh().resolve("shared").as_deref(), Some("alpha/shared"));
    assert_eq!(to("shared").ask(say()).await.as_deref(), Ok("alive"));
    assert_eq!(shadowed(alpha.mesh()).await, []);
}
