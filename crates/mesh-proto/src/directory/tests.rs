use super::*;
use crate::{
    decode_frame, encode_frame,
    frame::{CONTROL_BYTES_MAX, Control, KINDS_MAX},
};

mod sim;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn publication(name: &str, since_ms: u64) -> Publication {
    Entry { name: name.to_owned(), serial: 1, since_ms }.into()
}

fn directory(node: NodeId) -> Directory {
    Directory::new(node, Boot(1))
}

fn tell(from: &Directory, to: &mut Directory, known: Known) -> Need {
    let answer = from.answer(&known);
    let last = answer.parts.len();
    for (at, part) in answer.parts.into_iter().enumerate() {
        let taken = to.take(from.me, Boot(1), part);
        assert_eq!(taken, if at + 1 == last { Taken::Applied } else { Taken::Begun });
    }
    answer.need
}

#[test]
fn a_name_of_a_dead_node_is_gone_with_it() {
    let mut names = directory(NodeId(9));
    names.note(ONE, Boot(1), publication("a", 1).entry);
    names.note(TWO, Boot(1), publication("b", 1).entry);
    names.forget(ONE, Boot(0));
    assert_eq!(names.owner("a", |_| true), Some(ONE), "a run before is over for long");
    names.forget(ONE, Boot(1));
    assert_eq!(names.names(|_| true).collect::<Vec<_>>(), [("b", TWO)]);
}

#[test]
fn who_was_away_is_told_what_has_changed_and_nothing_else() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    for number in 0..1000 {
        one.publish(publication(&format!("name-{number}"), 1));
    }
    let known = two.connected(ONE, Boot(1));
    assert_eq!(tell(&one, &mut two, known), Need::Whole);
    one.publish(publication("new", 1));
    one.publish(publication("name-7", 2));
    one.publish(publication("name-7", 3));
    one.withdraw("name-8").unwrap();
    let known = two.connected(ONE, Boot(1));
    let answer = one.answer(&known);
    assert_eq!(answer.need, Need::Changes);
    let [delta] = &answer.parts[..] else { panic!("{answer:?}") };
    let published: Vec<_> = delta.published.iter().map(|one| &*one.entry.name).collect();
    assert_eq!((published, &*delta.withdrawn[0]), (vec!["name-7", "new"], "name-8"));
    tell(&one, &mut two, known);
    assert!(one.of(ONE).eq(two.of(ONE)));
    let known = two.known(ONE);
    assert_eq!(tell(&one, &mut two, known), Need::Nothing);
}

#[test]
fn who_was_away_for_too_many_changes_is_told_all() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    one.log = Log::of(3);
    one.publish(publication("first", 1));
    let known = two.connected(ONE, Boot(1));
    tell(&one, &mut two, known);
    let known = two.known(ONE);
    for (change, need) in [Need::Changes, Need::Changes, Need::Changes, Need::Whole].into_iter().enumerate() {
        one.publish(publication(&format!("later-{change}"), 1));
        assert_eq!(one.answer(&known).need, need, "after {} changes", change + 1);
    }
    one.withdraw("first").unwrap();
    tell(&one, &mut two, known);
    assert!(one.of(ONE).eq(two.of(ONE)));
}

#[test]
fn a_table_that_is_wrong_at_the_right_version_is_repaired() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    one.publish(publication("a", 1));
    one.publish(publication("b", 1));
    let known = two.connected(ONE, Boot(1));
    tell(&one, &mut two, known);
    two.remove(ONE, "a");
    let known = two.known(ONE);
    assert_eq!(tell(&one, &mut two, known), Need::Repair);
    assert!(one.of(ONE).eq(two.of(ONE)));
    // And by the next change alone, where that comes first.
    two.remove(ONE, "a");
    let Taken::Ask(known) = two.take(ONE, Boot(1), one.publish(publication("c", 1))) else {
        panic!("the digest shows that something is missing")
    };
    assert_eq!(tell(&one, &mut two, known), Need::Repair);
    assert!(one.of(ONE).eq(two.of(ONE)));
}

#[test]
fn a_whole_table_that_never_comes_out_right_is_not_asked_for_without_end() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    let mut delta = one.publish(publication("a", 1));
    delta.digest = Digest::default();
    assert_eq!(two.take(ONE, Boot(1), delta), Taken::Waits);
}

#[test]
fn what_is_missing_is_asked_for_once() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    one.publish(publication("a", 1));
    let later = one.publish(publication("b", 1));
    let last = one.publish(publication("c", 1));
    let Taken::Ask(known) = two.take(ONE, Boot(1), later) else { panic!("version 1 is missing") };
    assert_eq!(two.take(ONE, Boot(1), last.clone()), Taken::Waits);
    assert_eq!(tell(&one, &mut two, known), Need::Whole);
    assert_eq!(two.take(ONE, Boot(1), last), Taken::Old);
}

/// A whole table takes a while; what changed meanwhile could not be used, and is asked for at its end.
#[test]
fn what_came_too_early_is_asked_for_once_it_is_of_use() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    for number in 0..200 {
        one.publish(publication(&format!("name-{number}"), 1));
    }
    let known = two.connected(ONE, Boot(1));
    let mut parts = one.answer(&known).parts;
    let last = parts.pop().unwrap();
    assert!(parts.into_iter().all(|part| two.take(ONE, Boot(1), part) == Taken::Begun));
    let change = one.publish(publication("new", 1));
    assert_eq!(two.take(ONE, Boot(1), change), Taken::Waits, "it was asked when the connection began");
    let Taken::Ask(known) = two.take(ONE, Boot(1), last) else { panic!("a change is missing") };
    assert_eq!(tell(&one, &mut two, known), Need::Changes);
    assert!(one.of(ONE).eq(two.of(ONE)));
}

#[test]
fn every_part_of_the_largest_table_is_a_frame() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    for number in 0..9 {
        let mut largest = publication(&format!("{number}{}", "n".repeat(199)), u64::MAX);
        largest.entry.serial = u64::MAX;
        largest.capabilities = (0..CAPABILITIES_MAX).map(|at| format!("{at:c<64}")).collect();
        largest.kinds = (0..KINDS_MAX).map(|at| format!("{at:k<100}")).collect();
        one.publish(largest);
    }
    for number in 0..500 {
        // Many short labels: they claim more of the decoder than they have bytes.
        let mut small = publication(&format!("{number}"), 1);
        small.capabilities = (0..CAPABILITIES_MAX).map(|at| at.to_string()).collect();
        small.kinds = (0..KINDS_MAX).map(|at| format!("a.b.v{at}")).collect();
        one.publish(small);
    }
    let mut answer = one.answer(&two.connected(ONE, Boot(1)));
    for part in &mut answer.parts {
        let (frame, mut bytes) = (Control::NamesChanged(part.clone()), Vec::new());
        encode_frame(&frame, &mut bytes);
        assert!(bytes.len() < CONTROL_BYTES_MAX, "{} bytes", bytes.len());
        assert_eq!(decode_frame(&bytes), Ok(frame));
    }
    tell(&one, &mut two, Known::default());
    assert!(one.of(ONE).eq(two.of(ONE)));
}

#[test]
fn who_can_do_something_is_found_while_it_takes_part() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    let able = |name: &str, capability: &str| Publication {
        capabilities: vec![capability.to_owned()],
        kinds: vec!["lab.echo.v1".to_owned()],
        ..publication(name, 1)
    };
    one.publish(able("b", "tool:fetch"));
    one.publish(able("a", "tool:fetch"));
    two.publish(able("a", "tool:fetch"));
    two.publish(able("c", "lang:rust"));
    let known = two.connected(ONE, Boot(1));
    tell(&one, &mut two, known);
    let all = |_: NodeId| true;
    assert_eq!(
        two.with_capability("tool:fetch", all).collect::<Vec<_>>(),
        [("a", ONE), ("a", TWO), ("b", ONE)]
    );
    assert_eq!(two.with_capability("tool:fetch", |node| node != TWO).count(), 2);
    assert_eq!(two.with_kind("lab.echo.v1", all).count(), 4);
    two.publish(able("a", "lang:go"));
    assert_eq!(two.with_capability("tool:fetch", all).collect::<Vec<_>>(), [("a", ONE), ("b", ONE)]);
    two.forget(ONE, Boot(1));
    assert_eq!(two.with_capability("tool:fetch", all).count(), 0);
    assert_eq!(two.with_capability("nothing", all).count(), 0);
}

/// A later version may have other rules: what it publishes counts for the digest, and is not found here.
#[test]
fn a_name_that_breaks_the_rules_is_not_found_and_does_no_harm() {
    let (mut one, mut two) = (directory(ONE), directory(TWO));
    one.publish(publication("no such name!", 1));
    one.publish(publication("a", 1));
    let known = two.connected(ONE, Boot(1));
    tell(&one, &mut two, known);
    assert_eq!(two.names(|_| true).collect::<Vec<_>>(), [("a", ONE)]);
    let known = two.known(ONE);
    assert_eq!(tell(&one, &mut two, known), Need::Nothing);
}

#[test]
fn of_two_owners_the_younger_knows_that_it_has_lost_until_the_older_is_gone() {
    let mut two = directory(TWO);
    two.publish(publication("shared", 20));
    assert_eq!(two.lost(|_| true), []);
    two.note(ONE, Boot(1), publication("shared", 10).entry);
    assert_eq!(two.lost(|_| true), [("shared", ONE)]);
    assert_eq!(two.lost(|node| node == TWO), [], "the other does not take part");
    two.note(ONE, Boot(1), publication("shared", 30).entry);
    assert_eq!(two.lost(|_| true), [], "it is the older one now");
    two.note(ONE, Boot(1), publication("shared", 20).entry);
    assert_eq!(two.lost(|_| true), [("shared", ONE)], "of the same age: the smaller id");
    two.strike(ONE, "shared");
    assert_eq!(two.lost(|_| true), []);
}

#[test]
fn a_name_leads_to_the_highest_epoch_whoever_is_older() {
    let placed = |name: &str, since_ms, epoch| Publication {
        capabilities: vec![epoch_capability(epoch)],
        ..Publication::from(Entry { name: name.to_owned(), serial: 1, since_ms })
    };
    let mut directory = Directory::new(NodeId(1), Boot(1));
    directory.publish(placed("agent", 10, 2));
    for (node, epoch, since_ms) in [(3, 3, 20), (2, 3, 30), (4, 1, 1)] {
        let mut other = Directory::new(NodeId(node), Boot(1));
        let delta = other.publish(placed("agent", since_ms, epoch));
        assert_eq!(directory.take(NodeId(node), Boot(1), delta), Taken::Applied);
    }
    let order = [NodeId(2), NodeId(3), NodeId(1), NodeId(4)];
    assert_eq!(directory.owners("agent", |_| true), order, "of one epoch the smaller id, not the older");
    assert_eq!(directory.owner("agent", |_| true), Some(NodeId(2)));
    assert_eq!(directory.lost(|_| true), [("agent", NodeId(2))]);
}
