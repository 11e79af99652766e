use super::{
    super::record::{Record, Seat, Wanted},
    *,
};

fn record(name: &str, epoch: u64, node: u128) -> Record {
    let wanted = Wanted { kind: "agent".to_owned(), args: "null".to_owned(), labels: Vec::new(), idle_ms: 0 };
    let seat = Seat { id: node, boot: 1, name: format!("n{node}") };
    Record { name: name.to_owned(), wanted, epoch, seat, is_new: true, is_removed: false }
}

#[test]
fn the_newest_record_stays_in_whatever_order_they_come() {
    let removed = Record { is_removed: true, ..record("a", 2, 9) };
    let all = [record("a", 1, 1), record("a", 2, 3), record("a", 2, 2), removed.clone()];
    let mut digests = BTreeSet::new();
    for shift in 0..all.len() {
        let mut table = Table::default();
        for at in 0..all.len() {
            table.take(all[(at + shift) % all.len()].clone());
        }
        assert_eq!(table.get("a"), Some(&removed));
        assert!(table.live("a").is_none());
        assert!(table.seated.is_empty(), "{:?}", table.seated);
        digests.insert(table.digest());
    }
    assert_eq!(digests.len(), 1, "equal tables have equal digests");
    let mut table = Table::default();
    assert!(table.take(record("a", 2, 3)));
    assert!(table.take(record("a", 2, 2)), "of one epoch the smaller id wins");
    assert!(!table.take(record("a", 2, 3)));
    assert_eq!((table.seated(NodeId(2)), table.seated(NodeId(3))), (1, 0));
}

#[test]
fn pages_bring_every_record_once() {
    let mut table = Table::default();
    for number in 0..1_000 {
        let mut one = record(&format!("agent-{number:04}"), 1, 1);
        one.wanted.args = "x".repeat(number % 700);
        table.take(one);
    }
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let (page, is_more) = table.page(after.as_deref());
        let bytes: usize = page.iter().map(Record::bytes).sum();
        assert!(page.len() <= PAGE_RECORDS && bytes <= PAGE_BYTES, "{} of {bytes} bytes", page.len());
        after = page.last().map(|record| record.name.clone());
        found.extend(page);
        if !is_more {
            break;
        }
    }
    assert_eq!(found, table.all().cloned().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_was_struck_out_is_forgotten_in_the_end() {
    let mut table = Table::default();
    table.take(Record { is_removed: true, ..record("a", 2, 1) });
    tokio::time::advance(REMOVED_FOR - Duration::from_secs(1)).await;
    table.expire();
    assert!(!table.take(record("a", 1, 1)), "it is remembered");
    tokio::time::advance(Duration::from_secs(2)).await;
    table.expire();
    assert_eq!((table.digest(), table.all().count()), (0, 0));
}
