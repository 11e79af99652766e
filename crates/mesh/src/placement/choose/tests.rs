use super::*;
use crate::placement::record::Seat;

fn view(id: u128, others: u64, labels: &[(&str, &str)]) -> View {
    let seat = Seat { id, boot: 1, name: format!("n{id}") };
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut view = View::new(seat, labels, tokio::time::Instant::now());
    view.kinds.insert("agent".to_owned());
    (view.is_heard, view.is_alive, view.others) = (true, true, others);
    view
}

fn wanted(labels: &[(&str, &str)]) -> Wanted {
    let labels = labels.iter().map(|(key, value)| Label::eq(*key, *value)).collect();
    Wanted { kind: "agent".to_owned(), args: "null".to_owned(), labels, idle_ms: 0 }
}

#[test]
fn the_least_loaded_node_that_fits_gets_the_actor() {
    let gpu = [("gpu", "true")];
    let mut views = [view(1, 3, &gpu), view(2, 1, &[]), view(3, 2, &gpu), view(4, 0, &gpu)];
    views[3].is_closed = true;
    let chosen = |labels: &[_], avoid: &[u128], seated: fn(NodeId) -> usize| {
        let avoid = avoid.iter().map(|id| NodeId(*id)).collect();
        choose(&wanted(labels), views.iter(), &avoid, seated).map(|view| view.seat.id)
    };
    assert_eq!(chosen(&[], &[], |_| 0), Some(2));
    assert_eq!(chosen(&gpu, &[], |_| 0), Some(3));
    assert_eq!(chosen(&gpu, &[3], |_| 0), Some(1), "the one that refused it is not asked again");
    assert_eq!(chosen(&gpu, &[], |node| if node == NodeId(3) { 2 } else { 0 }), Some(1));
    assert_eq!(chosen(&[("gpu", "false")], &[], |_| 0), None);
}

#[test]
fn rebalancing_moves_no_more_than_it_must() {
    let views: BTreeMap<NodeId, View> = (1..=3).map(|id| (NodeId(id), view(id, 0, &[]))).collect();
    let records: Vec<Record> = (0..9)
        .map(|number| Record {
            name: format!("a{number}"),
            wanted: wanted(&[]),
            epoch: 1,
            seat: Seat { id: if number < 7 { 1 } else { 2 }, boot: 1, name: String::new() },
            is_new: false,
            is_removed: false,
        })
        .collect();
    let seated = |node| records.iter().filter(|record| record.seat.node() == node).count();
    assert_eq!(moves(records.iter(), &views, seated).len(), 4, "of 7, 2 and 0 come 3, 3 and 3");
    let even: Vec<Record> = records.iter().take(1).cloned().collect();
    assert!(moves(even.iter(), &views, |node| usize::from(node == NodeId(1))).is_empty());
}
