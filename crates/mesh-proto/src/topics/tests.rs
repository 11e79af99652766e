use super::*;
use proptest::prelude::*;

const ME: NodeId = NodeId(1);
const BOOT: Boot = Boot(7);
const KIND: &str = "test.say.v1";

fn subscription(topic: &str, name: &str) -> Subscription {
    let kind = Some(KIND.to_owned());
    Subscription { topic: topic.to_owned(), kind, name: name.to_owned(), is_wrapped: false }
}

fn names(topics: &Topics, topic: &str) -> Vec<String> {
    let found = topics.subscribers(topic, KIND, |_| true);
    found.into_iter().map(|(node, one)| format!("{}/{}", node.0, one.name)).collect()
}

fn hear_all(to: &mut Topics, from: &Topics) {
    for news in from.all_of(ME) {
        to.hear(ME, BOOT, news);
    }
}

#[test]
fn the_4097th_subscription_is_refused_and_a_second_one_of_the_same_is_none() {
    let mut topics = Topics::default();
    for number in 0..SUBSCRIPTIONS_MAX {
        topics.subscribe(ME, BOOT, subscription("news", &format!("s{number}"))).unwrap();
    }
    assert_eq!(topics.subscribe(ME, BOOT, subscription("news", "more")), Err(TooManySubscriptions));
    assert_eq!(topics.subscribe(ME, BOOT, subscription("news", "s0")), Ok(Vec::new()));
    let mut peer = Topics::default();
    hear_all(&mut peer, &topics);
    assert_eq!(names(&peer, "news").len(), SUBSCRIPTIONS_MAX);
    let too_much = TopicNews {
        version: SUBSCRIPTIONS_MAX as u64,
        is_all: false,
        came: vec![subscription("news", "more")],
        went: Vec::new(),
    };
    peer.hear(ME, BOOT, too_much);
    assert_eq!(names(&peer, "news").len(), SUBSCRIPTIONS_MAX, "a peer that tells more is not believed");
    let parts = topics.unsubscribe(ME, |_| true);
    assert!(parts.iter().all(|part| part.went.len() <= ROWS_MAX));
    parts.into_iter().for_each(|part| peer.hear(ME, BOOT, part));
    assert!(names(&peer, "news").is_empty());
}

#[test]
fn a_subscriber_that_takes_the_message_itself_is_not_sent_the_envelope_too() {
    let mut topics = Topics::default();
    let wrapped = Subscription { kind: None, is_wrapped: true, ..subscription("news", "a") };
    for one in [wrapped.clone(), subscription("news", "a"), Subscription { name: "b".to_owned(), ..wrapped }]
    {
        topics.subscribe(ME, BOOT, one).unwrap();
    }
    let found = topics.subscribers("news", KIND, |_| true);
    let found: Vec<_> = found.into_iter().map(|(_, one)| (one.name.as_str(), one.is_wrapped)).collect();
    assert_eq!(found, [("a", false), ("b", true)]);
}

#[test]
fn what_an_older_connection_brings_late_changes_nothing() {
    let (mut owner, mut peer) = (Topics::default(), Topics::default());
    let came = owner.subscribe(ME, BOOT, subscription("news", "a")).unwrap();
    let went = owner.unsubscribe(ME, |_| true);
    owner.subscribe(ME, BOOT, subscription("news", "b")).unwrap();
    hear_all(&mut peer, &owner);
    for late in came.into_iter().chain(went) {
        peer.hear(ME, BOOT, late);
    }
    assert_eq!(names(&peer, "news"), ["1/b"]);
}

#[test]
fn a_later_run_of_a_node_begins_anew_and_an_earlier_one_is_not_heard() {
    let mut peer = Topics::default();
    let news = |name: &str, version| TopicNews {
        version,
        is_all: false,
        came: vec![subscription("news", name)],
        went: Vec::new(),
    };
    peer.hear(ME, Boot(1), news("old", 9));
    peer.hear(ME, Boot(2), news("new", 1));
    peer.hear(ME, Boot(1), news("late", 10));
    assert_eq!(names(&peer, "news"), ["1/new"]);
    peer.forget(ME, Boot(1));
    assert_eq!(names(&peer, "news"), ["1/new"]);
    peer.forget(ME, Boot(2));
    assert!(names(&peer, "news").is_empty());
}

#[test]
fn what_breaks_a_rule_is_not_taken_in() {
    let sound = subscription("news", "a");
    let bare = Subscription { kind: None, ..sound.clone() };
    let broken = [
        Subscription { topic: "a//b".to_owned(), ..sound.clone() },
        Subscription { topic: "a/b/c/d/e/f/g".to_owned(), ..sound.clone() },
        Subscription { name: "../x".to_owned(), ..sound.clone() },
        Subscription { kind: Some("no kind".to_owned()), ..sound },
        bare,
    ];
    let mut peer = Topics::default();
    peer.hear(ME, BOOT, TopicNews { version: 1, is_all: true, came: broken.to_vec(), went: Vec::new() });
    assert!(peer.by_node[&ME].subscriptions.is_empty(), "{peer:?}");
    assert!(check_topic("a/b/c/d/e/f").is_ok() && check_topic(&"x".repeat(161)).is_err());
}

proptest! {
    /// Whatever comes and goes, over however many connections: who was told all, and every change since, knows the same.
    #[test]
    fn a_peer_knows_what_the_owner_knows(steps in prop::collection::vec((0u8..4, 0u8..6), 0..60)) {
        let (mut owner, mut peer) = (Topics::default(), Topics::default());
        let mut late = Vec::new();
        hear_all(&mut peer, &owner);
        for (step, number) in steps {
            let one = subscription("news", &format!("s{number}"));
            let news = match step {
                0 | 1 => owner.subscribe(ME, BOOT, one).unwrap(),
                2 => owner.unsubscribe(ME, |known| *known == one),
                _ => {
                    hear_all(&mut peer, &owner);
                    late.drain(..).for_each(|news| peer.hear(ME, BOOT, news));
                    Vec::new()
                }
            };
            for news in news {
                peer.hear(ME, BOOT, news.clone());
                late.push(news);
            }
        }
        late.into_iter().rev().for_each(|news| peer.hear(ME, BOOT, news));
        prop_assert_eq!(names(&peer, "news"), names(&owner, "news"));
    }
}
