//! `meshctl publish` and `meshctl subscribe`, across real nodes.

use std::time::Duration;

use integration_tests::{Ctl, Lab, Node, Outcome, Pending, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

const TOPIC: &str = "news/weather";
const ECHO: &str = "lab.echo.v1";
const HELLO: &str = r#"{"text": "hello"}"#;

/// Two nodes that know each other.
fn pair(lab: &Lab) -> [Node; 2] {
    let alpha = lab.start("alpha");
    let beta = lab.join("beta", &alpha);
    [alpha, beta]
}

fn publish(ctl: &Ctl<'_>, kind: &str, body: &str) -> Outcome {
    ctl.run(&["publish", TOPIC, kind, body, "--timeout", "500ms"])
}

fn rows(outcome: &Outcome) -> Vec<Value> {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// Publishes until so many have subscribed; their rows.
fn published_to(ctl: &Ctl<'_>, count: usize) -> Vec<Value> {
    eventually(&format!("{count} subscribers"), SOON, || {
        let rows = rows(&publish(ctl, ECHO, HELLO));
        if rows.len() == count { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
}

fn lines(subscriber: &Pending) -> Vec<Value> {
    let printed = subscriber.printed();
    let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).expect("each line is a document")).collect()
}

#[test]
fn what_is_published_at_one_node_is_printed_by_who_subscribed_at_another() {
    let lab = Lab::new();
    let [alpha, beta] = pair(&lab);
    let (at_alpha, at_beta) = (lab.ctl(&alpha), lab.ctl(&beta));
    let nobody = publish(&at_alpha, ECHO, HELLO);
    assert_eq!((nobody.code, rows(&nobody)), (0, Vec::new()), "{nobody:?}");

    let mut all = at_beta.begin(&["subscribe", TOPIC]);
    let adds = at_beta.begin(&["subscribe", TOPIC, "--kind", "lab.add.v1"]);
    let rows = published_to(&at_alpha, 1);
    let to = rows[0]["to"].as_str().unwrap_or_default();
    assert!(to.starts_with("beta/taps/news/weather/") && rows[0]["error"].is_null(), "{rows:?}");
    let expected = json!({"topic": TOPIC, "kind": ECHO, "body": {"text": "hello"}});
    eventually("the message", SOON, || match lines(&all) {
        lines if lines.first() == Some(&expected) => Ok(()),
        lines => Err(format!("{lines:?}")),
    });

    let add = json!({"topic": TOPIC, "kind": "lab.add.v1", "body": {"by": 2}});
    eventually("both", SOON, || {
        let published = publish(&at_alpha, "lab.add.v1", r#"{"by":2}"#);
        if published.code == 0 && lines(&adds).contains(&add) && lines(&all).contains(&add) {
            Ok(())
        } else {
            Err(format!("{published:?}"))
        }
    });
    assert!(lines(&adds).iter().all(|line| *line == add), "it asked for one kind");

    all.interrupt();
    assert_eq!(all.outcome().code, 130);
    published_to(&at_alpha, 0);
}

#[test]
fn who_does_not_read_is_full_in_its_own_row_and_the_others_have_the_message() {
    let lab = Lab::new();
    let [alpha, beta] = pair(&lab);
    let (at_alpha, at_beta) = (lab.ctl(&alpha), lab.ctl(&beta));
    let free = at_beta.begin(&["subscribe", TOPIC]);
    published_to(&at_alpha, 1);
    let mut frozen = at_alpha.begin(&["subscribe", TOPIC]);
    published_to(&at_alpha, 2);
    frozen.freeze();
    // 60 KB each: the mailbox for the reader has room for 1 MiB, its stream for 256 KiB. All at once, since who says nothing
    // for two seconds is taken for lost, and has no row any more.
    let body = json!({"text": "x".repeat(60_000)}).to_string();
    let publishers: Vec<_> =
        (0..30).map(|_| at_alpha.begin(&["publish", TOPIC, ECHO, &body, "--timeout", "300ms"])).collect();
    let mut outcomes = publishers.into_iter().map(Pending::outcome);
    let full = outcomes.find(|outcome| outcome.code != 0).expect("the frozen reader's mailbox is full");
    let document = full.refusal();
    assert_eq!(document["code"], "NOT_DELIVERED", "{document}");
    let rows = rows(&full);
    assert_eq!(document["details"]["failed"], json!([rows[0]["to"]]), "alpha's is the frozen one");
    assert_eq!(rows[0]["error"]["code"], "MAILBOX_FULL", "{rows:?}");
    assert!(rows[1]["error"].is_null(), "{rows:?}");
    let last = json!({"text": "last"});
    eventually("the other one reads on", SOON, || {
        publish(&at_alpha, ECHO, &last.to_string());
        let lines = lines(&free);
        if lines.last().is_some_and(|line| line["body"] == last) {
            Ok(())
        } else {
            Err(lines.len().to_string())
        }
    });
}

#[test]
fn a_topic_that_is_none_is_a_usage_error_and_one_of_a_node_that_leaves_ends() {
    let lab = Lab::new();
    let alpha = lab.start("alpha");
    let ctl = lab.ctl(&alpha);
    for args in
        [&["subscribe", "a//b"][..], &["publish", "a/../b", ECHO, HELLO], &["publish", TOPIC, "echo", HELLO]]
    {
        assert_eq!(ctl.run(args).code, 2, "{args:?}");
    }
    let reader = ctl.begin(&["subscribe", TOPIC]);
    published_to(&ctl, 1);
    assert_eq!(alpha.terminate(), 0);
    let outcome = reader.outcome();
    assert_eq!(outcome.code, 3, "{outcome:?}");
}
