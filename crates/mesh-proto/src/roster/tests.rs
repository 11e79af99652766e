use super::*;
use proptest::prelude::*;

fn member(id: u128, boot: u64, incarnation: u64, state: MemberState) -> Member {
    Member {
        id: NodeId(id),
        name: format!("n{id}"),
        addr: "127.0.0.1:1".to_owned(),
        boot: Boot(boot),
        incarnation,
        state,
        labels: Vec::new(),
        actors: 0,
    }
}

#[test]
fn a_node_that_hears_of_its_own_death_refutes_it() {
    let mut roster = Roster::new(member(1, 5, 0, MemberState::Alive));
    let told = roster.merge([member(1, 5, 0, MemberState::Down)]);
    assert_eq!(told, vec![member(1, 5, 1, MemberState::Alive)]);
    assert!(roster.merge([member(1, 5, 0, MemberState::Down)]).is_empty(), "once is enough");
}

#[test]
fn a_row_that_nobody_could_refute_is_not_believed() {
    let mut roster = Roster::new(member(1, 5, 0, MemberState::Alive));
    for incarnation in [u64::MAX, INCARNATION_MAX + 1] {
        let told =
            [member(1, 5, incarnation, MemberState::Down), member(2, 5, incarnation, MemberState::Down)];
        assert!(roster.merge(told).is_empty());
    }
    let told = roster.merge([member(1, 5, INCARNATION_MAX - 1, MemberState::Down)]);
    assert_eq!(told, vec![member(1, 5, INCARNATION_MAX, MemberState::Alive)]);
}

#[test]
fn news_of_an_older_boot_changes_nothing() {
    let mut roster = Roster::new(member(1, 5, 0, MemberState::Alive));
    roster.merge([member(2, 8, 0, MemberState::Alive)]);
    assert!(roster.merge([member(2, 7, 99, MemberState::Down)]).is_empty());
    assert!(roster.merge([member(1, 4, 99, MemberState::Down)]).is_empty(), "an older self is no news");
    assert_eq!(roster.mark(NodeId(2), Boot(7), MemberState::Down), None);
}

#[test]
fn a_restarted_node_replaces_its_dead_row() {
    let mut roster = Roster::new(member(1, 5, 0, MemberState::Alive));
    roster.merge([member(2, 8, 3, MemberState::Alive)]);
    roster.mark(NodeId(2), Boot(8), MemberState::Down).unwrap();
    assert_eq!(roster.merge([member(2, 9, 0, MemberState::Alive)]).len(), 1);
    assert_eq!(roster.get(NodeId(2)).unwrap().state, MemberState::Alive);
}

fn any_row() -> impl Strategy<Value = Member> {
    let state = prop_oneof![
        Just(MemberState::Alive),
        Just(MemberState::Suspect),
        Just(MemberState::Down),
        Just(MemberState::Left)
    ];
    (2u128..6, 0u64..3, 0u64..3, state).prop_map(|(id, boot, inc, state)| member(id, boot, inc, state))
}

proptest! {
    #[test]
    fn every_order_of_exchange_ends_in_the_same_roster(rows in prop::collection::vec(any_row(), 0..30), seed in any::<u64>()) {
        let mut shuffled = rows.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, usize::try_from(state >> 33).unwrap() % (i + 1));
        }
        let (mut one, mut other) = (Roster::new(member(1, 1, 0, MemberState::Alive)), Roster::new(member(1, 1, 0, MemberState::Alive)));
        one.merge(rows);
        for row in shuffled {
            other.merge([row]);
        }
        prop_assert!(one.rows().eq(other.rows()));
    }
}
