use super::*;
use proptest::prelude::*;

const CAPACITY: Weight = Weight { messages: 64, bytes: 64 * 1024 };

#[test]
fn a_message_heavier_than_the_mailbox_is_charged_the_whole_of_it() {
    assert_eq!(Weight::of_message(1 << 20, CAPACITY), Weight { messages: 1, bytes: CAPACITY.bytes });
    assert_eq!(Weight::of_message(64, CAPACITY), Weight { messages: 1, bytes: 128 });
}

#[test]
fn an_overrun_is_refused_and_changes_nothing() {
    let mut credit = ReceiverCredit::new(CAPACITY);
    credit.grant(Weight { messages: 1, bytes: 100 });
    let heavy = Weight { messages: 1, bytes: 101 };
    assert!(credit.receive(heavy).is_err());
    assert_eq!(credit.outstanding(), Weight { messages: 1, bytes: 100 });
    assert!(credit.take_back(heavy).is_err());
}

#[test]
fn an_overtaken_grant_changes_nothing() {
    let mut credit = SenderCredit::new(Weight { messages: 8, bytes: 800 });
    credit.granted(Weight { messages: 4, bytes: 400 });
    assert_eq!(credit.available(), Weight { messages: 8, bytes: 800 });
}

#[test]
fn a_want_that_overtakes_its_messages_waits_for_them() {
    let mut receiver = ReceiverCredit::new(CAPACITY);
    let mut sender = SenderCredit::new(receiver.grant(CAPACITY));
    let small = Weight { messages: 1, bytes: 140 };
    assert!(sender.try_charge(small));
    let whole = Weight::of_message(usize::MAX / 2, CAPACITY);
    let until = sender.until(whole);
    assert_eq!(receiver.short_of(until), Shortage::Awaits, "the small message is still under way");
    receiver.receive(small).unwrap();
    assert_eq!(receiver.short_of(until), Shortage::Lend(Weight { messages: 0, bytes: 140 }));
    sender.granted(receiver.grant(Weight { messages: 0, bytes: 140 }));
    assert_eq!(receiver.short_of(until), Shortage::None);
    assert!(sender.try_charge(whole));
}

#[test]
fn a_peer_that_wants_more_than_the_mailbox_holds_waits_alone() {
    let receiver = ReceiverCredit::new(CAPACITY);
    assert_eq!(receiver.short_of(Weight { messages: u64::MAX, bytes: 1 }), Shortage::Awaits);
}

#[test]
fn a_busy_sender_soon_has_the_widest_window() {
    let mut credit = ReceiverCredit::new(CAPACITY);
    for _ in 0..10 {
        let room = credit.wanted();
        credit.grant(room);
        while credit.receive(Weight { messages: 1, bytes: 100 }).is_ok() {}
    }
    assert_eq!(credit.wanted().messages, CAPACITY.messages);
}

#[test]
fn a_window_that_is_filled_up_early_widens_all_the_same() {
    let mut credit = ReceiverCredit::new(CAPACITY);
    credit.grant(credit.wanted());
    for _ in 0..10 * CAPACITY.messages {
        credit.receive(Weight { messages: 1, bytes: 100 }).unwrap();
        // Filled up at every quarter, so that the sender never sees it half empty.
        credit.grant(credit.wanted());
    }
    assert!(credit.outstanding().messages * 4 >= CAPACITY.messages * 3, "{:?}", credit.outstanding());
}

#[test]
fn a_sender_that_let_credit_lie_idle_starts_small_again() {
    let mut credit = ReceiverCredit::new(CAPACITY);
    for _ in 0..10 {
        let room = credit.wanted();
        credit.grant(room);
        while credit.receive(Weight { messages: 1, bytes: 100 }).is_ok() {}
    }
    credit.grant(Weight { messages: 32, bytes: 3200 });
    credit.take_back(credit.outstanding()).unwrap();
    assert_eq!(credit.wanted().messages, 4);
}

#[derive(Debug, Clone)]
enum Step {
    Send { channel: usize, payload: usize },
    Grant { channel: usize },
    Deliver { channel: usize },
    Handle,
    Reclaim { channel: usize },
    Return { channel: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    let channel = 0usize..3;
    prop_oneof![
        (channel.clone(), 0usize..100_000).prop_map(|(channel, payload)| Step::Send { channel, payload }),
        channel.clone().prop_map(|channel| Step::Grant { channel }),
        channel.clone().prop_map(|channel| Step::Deliver { channel }),
        Just(Step::Handle),
        channel.clone().prop_map(|channel| Step::Reclaim { channel }),
        channel.prop_map(|channel| Step::Return { channel }),
    ]
}

struct Wire {
    sender: SenderCredit,
    receiver: ReceiverCredit,
    messages: Vec<Weight>,
    grants: Vec<Weight>,
    returns: Vec<Weight>,
}

proptest! {
    /// Three peers and one mailbox, frames delayed at will: what is lent and what is queued never exceed
    /// the mailbox, no honest peer is ever refused, and all room comes back.
    #[test]
    fn lent_and_queued_room_never_exceed_the_mailbox(steps in prop::collection::vec(any_step(), 0..400)) {
        let mut wires: Vec<Wire> = (0..3).map(|_| Wire {
            sender: SenderCredit::default(), receiver: ReceiverCredit::new(CAPACITY),
            messages: vec![], grants: vec![], returns: vec![],
        }).collect();
        let mut used = Weight::ZERO;
        let mut queue: Vec<Weight> = Vec::new();
        for step in steps {
            match step {
                Step::Send { channel, payload } => {
                    let weight = Weight::of_message(payload, CAPACITY);
                    let wire = &mut wires[channel];
                    if wire.sender.try_charge(weight) {
                        wire.messages.push(weight);
                    }
                }
                Step::Grant { channel } => {
                    let wire = &mut wires[channel];
                    let room = wire.receiver.wanted().min(CAPACITY.minus(used));
                    used = used.plus(room);
                    wire.grants.push(wire.receiver.grant(room));
                    // Frames of one stream arrive in order, but the sender may hear late.
                    if wire.grants.len() > 1 {
                        let granted = wire.grants.remove(0);
                        wire.sender.granted(granted);
                    }
                }
                Step::Deliver { channel } => {
                    let wire = &mut wires[channel];
                    if !wire.messages.is_empty() {
                        let weight = wire.messages.remove(0);
                        prop_assert!(wire.receiver.receive(weight).is_ok());
                        queue.push(weight);
                    }
                }
                Step::Handle => if let Some(weight) = queue.pop() {
                    used = used.minus(weight);
                },
                Step::Reclaim { channel } => {
                    let wire = &mut wires[channel];
                    wire.returns.push(wire.sender.give_back());
                }
                Step::Return { channel } => {
                    let wire = &mut wires[channel];
                    if !wire.returns.is_empty() {
                        let freed = wire.receiver.take_back(wire.returns.remove(0));
                        prop_assert!(freed.is_ok());
                        used = used.minus(freed.unwrap());
                    }
                }
            }
            let lent = wires.iter().fold(Weight::ZERO, |sum, wire| sum.plus(wire.receiver.outstanding()));
            let queued = queue.iter().fold(Weight::ZERO, |sum, weight| sum.plus(*weight));
            prop_assert_eq!(lent.plus(queued), used);
            prop_assert!(CAPACITY.covers(used));
        }
    }
}
