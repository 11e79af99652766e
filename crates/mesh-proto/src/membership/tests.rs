use super::{
    packet::{Claim, State},
    sync::{Known, Message},
    *,
};
use crate::{MemberState, codec::encode_frame, decode_frame};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn machine_with(config: MembershipConfig, node: u128, boot: u64) -> Membership {
    let profile = Profile { name: format!("n{node}"), ..Profile::default() };
    let own = Own { node: NodeId(node), boot: Boot(boot), addr: format!("n{node}:1").into(), profile };
    Membership::new(config, own, u64::try_from(node).unwrap(), Duration::ZERO).unwrap()
}

fn machine(node: u128, boot: u64) -> Membership {
    machine_with(MembershipConfig::lan(), node, boot)
}

fn peer(node: u128, boot: u64) -> Peer {
    Peer { node: NodeId(node), boot: Boot(boot), addr: format!("n{node}:1").into(), dialled: None }
}

fn actions(machine: &mut Membership) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll()).collect()
}

fn changes(machine: &mut Membership) -> Vec<(NodeId, Boot, MemberState, Reason)> {
    let changed = |action| match action {
        Action::Changed(change) => Some((change.node, change.boot, change.state, change.reason)),
        _ => None,
    };
    actions(machine).into_iter().filter_map(changed).collect()
}

fn claim(node: u128, boot: u64, renewal: u32, state: State) -> Claim {
    let addr = format!("n{node}:1").into();
    let id = Identity { node: NodeId(node), boot: Boot(boot), renewal, has_left: false, addr };
    Claim { id, incarnation: 0, state }
}

fn tell(claims: impl IntoIterator<Item = Claim>) -> Sync {
    Sync(Message::Tell { rows: claims.into_iter().map(|claim| Known { claim, row: None }).collect() })
}

/// A datagram from `from` to `to`, as its machine writes it when they have met.
fn datagram(from: &mut Membership, to: u128) -> Vec<u8> {
    from.connected(&peer(to, 1), Duration::ZERO);
    let sent = actions(from).into_iter().find_map(|action| match action {
        Action::Send { bytes, .. } => Some(bytes.to_vec()),
        _ => None,
    });
    sent.expect("it announces itself")
}

#[test]
fn a_datagram_in_anothers_name_is_refused() {
    let (mut one, mut two) = (machine(1, 1), machine(2, 1));
    let bytes = datagram(&mut two, 1);
    let error = one.datagram(NodeId(3), &bytes, Duration::ZERO).unwrap_err();
    assert_eq!(error, DatagramError::WrongSender { from: NodeId(3), claimed: NodeId(2) });
    assert_eq!(one.members().count(), 0);
    one.datagram(NodeId(2), &bytes, Duration::ZERO).unwrap();
    assert_eq!(changes(&mut one), [(NodeId(2), Boot(1), MemberState::Alive, Reason::Joined)]);
}

#[test]
fn bytes_that_are_too_many_or_nonsense_are_refused_and_change_nothing() {
    let mut one = machine(1, 1);
    let long = one.datagram(NodeId(2), &[0; DATAGRAM_BYTES_MAX + 1], Duration::ZERO);
    assert_eq!(long, Err(DatagramError::TooLong { bytes: DATAGRAM_BYTES_MAX + 1 }));
    let nonsense = one.datagram(NodeId(2), &[255; 40], Duration::ZERO);
    assert!(matches!(nonsense, Err(DatagramError::Malformed { .. })), "{nonsense:?}");
    assert_eq!((one.members().count(), actions(&mut one).len()), (0, 0));
}

#[test]
fn a_connection_to_another_run_is_the_death_of_the_one_before() {
    let mut one = machine(1, 1);
    one.connected(&peer(2, 5), Duration::ZERO);
    changes(&mut one);
    one.disconnected(NodeId(2), SECOND / 2);
    one.connected(&peer(2, 6), SECOND / 2);
    let wanted = [
        (NodeId(2), Boot(5), MemberState::Down, Reason::Restarted),
        (NodeId(2), Boot(6), MemberState::Alive, Reason::Joined),
    ];
    assert_eq!(changes(&mut one), wanted);
    one.connected(&peer(2, 5), SECOND);
    assert_eq!(changes(&mut one), [], "an older run is no news");
    assert_eq!(one.member(NodeId(2)).unwrap().boot(), Boot(6));
}

#[test]
fn who_hears_of_its_own_death_is_alive_with_the_next_identity() {
    let mut one = machine(1, 1);
    one.connected(&peer(2, 1), Duration::ZERO);
    actions(&mut one);
    one.sync(NodeId(2), tell([claim(1, 1, 0, State::Down)]), SECOND / 4).unwrap();
    assert!(actions(&mut one).contains(&Action::Renewed { renewal: 1 }));
    // A lie about a later identity is outdone too.
    one.sync(NodeId(2), tell([claim(1, 1, 9, State::Down)]), SECOND / 4).unwrap();
    assert!(actions(&mut one).contains(&Action::Renewed { renewal: 10 }));
}

#[test]
fn a_later_run_of_this_node_is_told_once() {
    let mut one = machine(1, 1);
    for _ in 0..3 {
        one.sync(NodeId(2), tell([claim(1, 4, 0, State::Alive)]), Duration::ZERO).unwrap();
    }
    assert_eq!(actions(&mut one), [Action::Superseded { boot: Boot(4) }]);
}

#[test]
fn a_death_that_is_forgotten_does_not_come_back_by_hearsay() {
    let mut one = machine(1, 1);
    one.connected(&peer(2, 1), Duration::ZERO);
    one.sync(NodeId(2), tell([claim(3, 1, 0, State::Alive)]), Duration::ZERO).unwrap();
    one.sync(NodeId(2), tell([claim(3, 1, 0, State::Down)]), Duration::ZERO).unwrap();
    changes(&mut one);
    let forget_after = MembershipConfig::lan().forget_after;
    let mut now = Duration::ZERO;
    while now < forget_after + SECOND * 10 {
        now = one.next_at().unwrap();
        one.advance(now);
    }
    assert!(actions(&mut one).contains(&Action::Forgotten { node: NodeId(3), boot: Boot(1) }));
    one.sync(NodeId(2), tell([claim(3, 1, 0, State::Down)]), now).unwrap();
    assert!(one.member(NodeId(3)).is_none());
}

#[test]
fn a_page_that_nobody_asked_for_is_refused() {
    let mut one = machine(1, 1);
    let page = || Sync(Message::Page { after: None, until: None, rows: Vec::new() });
    let unasked = Err(SyncError::Unasked { from: NodeId(2) });
    assert_eq!(one.sync(NodeId(2), page(), Duration::ZERO), unasked);
    one.connected(&peer(2, 1), Duration::ZERO);
    assert_eq!(one.sync(NodeId(2), page(), Duration::ZERO), Ok(()));
    assert_eq!(one.sync(NodeId(2), page(), Duration::ZERO), unasked, "once for a question");
    let rows = (0..600).map(|node| claim(node, 1, 0, State::Alive));
    assert_eq!(
        one.sync(NodeId(2), tell(rows), Duration::ZERO),
        Err(SyncError::TooMany { from: NodeId(2), rows: 600 })
    );
}

#[test]
fn a_table_of_a_thousand_crosses_in_pages_that_fit_a_control_frame() {
    let (mut one, mut two) = (machine(1, 1), machine(2, 1));
    for part in 0..5 {
        let rows = (0..250).map(|node| claim(100 + 250 * part + node, 1, 0, State::Alive));
        one.sync(NodeId(3), tell(rows), Duration::ZERO).unwrap();
    }
    actions(&mut one);
    two.connected(&peer(1, 1), Duration::ZERO);
    let mut pages = 0;
    for _ in 0..100 {
        for message in syncs(&mut two) {
            one.sync(NodeId(2), message, Duration::ZERO).unwrap();
        }
        for message in syncs(&mut one) {
            let mut bytes = Vec::new();
            encode_frame(&message, &mut bytes);
            assert!(bytes.len() <= crate::frame::CONTROL_BYTES_MAX / 2, "{}", bytes.len());
            pages += usize::from(matches!(message.0, Message::Page { .. }));
            two.sync(NodeId(1), decode_frame(&bytes).unwrap(), Duration::ZERO).unwrap();
        }
    }
    assert!(pages > 1, "{pages}");
    assert_eq!((one.active(), two.active()), (1251, 1251));
}

fn syncs(machine: &mut Membership) -> Vec<Sync> {
    let sync = |action| match action {
        Action::Sync { message, .. } => Some(message),
        _ => None,
    };
    actions(machine).into_iter().filter_map(sync).collect()
}

#[test]
fn made_up_members_fill_the_table_and_no_more() {
    let mut one = machine_with(MembershipConfig { members_max: 50, ..MembershipConfig::lan() }, 1, 1);
    one.connected(&peer(2, 1), Duration::ZERO);
    for node in (10..5_000).step_by(10) {
        // They come and die, so that there is room for the next.
        for state in [State::Alive, State::Down] {
            let rows = (node..node + 10).map(|node| claim(node, 1, 0, state));
            one.sync(NodeId(2), tell(rows), SECOND).unwrap();
        }
        assert!(one.members().count() <= 50);
        assert!(one.foca.iter_membership_state().len() <= 51);
        assert!(one.foca.updates_backlog() <= 2 * 50 + 10, "{}", one.foca.updates_backlog());
        actions(&mut one);
    }
    assert!(one.refused() > 0);
    let known = one.member(NodeId(2)).map(Member::state);
    assert_eq!(known, Some(MemberState::Alive), "who lives keeps its place");
}

#[test]
fn a_node_that_has_left_is_deaf_and_idle() {
    let mut one = machine(1, 1);
    one.connected(&peer(2, 1), Duration::ZERO);
    actions(&mut one);
    one.leave(SECOND);
    let said = actions(&mut one);
    assert!(said.iter().any(|action| matches!(action, Action::Sync { .. })), "{said:?}");
    assert_eq!(one.next_at(), None);
    one.sync(NodeId(2), tell([claim(1, 1, 0, State::Down)]), SECOND).unwrap();
    one.disconnected(NodeId(2), SECOND);
    one.leave(SECOND * 2);
    one.advance(SECOND * 100);
    assert_eq!(actions(&mut one), []);
}

#[test]
fn labels_that_others_would_refuse_are_refused_here() {
    let mut one = machine(1, 1);
    let labels = vec![("k".to_owned(), "v".repeat(LABEL_BYTES_MAX))];
    let bytes = LABEL_BYTES_MAX + 1;
    assert_eq!(one.set_labels(labels, Duration::ZERO), Err(ProfileError::Labels { labels: 1, bytes }));
    assert!(one.own().2.labels.is_empty());
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let state = prop_oneof![Just(State::Alive), Just(State::Suspect), Just(State::Down)];
    (0u128..5, 0u64..3, any::<u32>(), any::<u16>(), any::<bool>(), state).prop_map(
        |(node, boot, renewal, incarnation, has_left, state)| {
            let mut claim = claim(node, boot, renewal % 4, state);
            claim.id.has_left = has_left && renewal.is_multiple_of(2);
            Claim { incarnation, ..claim }
        },
    )
}

proptest! {
    #[test]
    fn no_peer_can_make_it_panic(
        steps in prop::collection::vec((prop::collection::vec(any_claim(), 0..4), prop::collection::vec(any::<u8>(), 0..60), any::<prop::sample::Index>(), 0u64..3000), 1..40)
    ) {
        let (mut one, mut two) = (machine(1, 1), machine(2, 1));
        let honest = datagram(&mut two, 1);
        let mut now = Duration::ZERO;
        one.connected(&peer(2, 1), now);
        for (claims, bytes, at, wait) in steps {
            now += Duration::from_millis(wait);
            drop(one.sync(NodeId(2), tell(claims), now));
            let mut forged = honest.clone();
            let at = at.index(forged.len());
            let end = (at + bytes.len()).min(forged.len());
            forged[at..end].copy_from_slice(&bytes[..end - at]);
            drop(one.datagram(NodeId(2), &forged, now));
            drop(one.datagram(NodeId(2), &bytes, now));
            one.advance(now);
            prop_assert!(actions(&mut one).len() < 100);
            prop_assert!(one.next_at().is_none_or(|at| at >= now));
        }
    }
}
