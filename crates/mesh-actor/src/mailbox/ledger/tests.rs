//! Any sequence of calls, against a model that is written to be obvious.

use std::collections::VecDeque;
use std::task::Waker;

use proptest::prelude::*;

use super::*;

const CAPACITY: Weight = Weight { messages: 8, bytes: 100 };

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit(Weight),
    Reserve(Weight),
    ReserveUpTo(Weight),
    Wait(Weight),
    /// The n-th of those who hold a reservation queues all of it.
    Enqueue(usize),
    Take,
    GiveBack(usize),
    /// The n-th ticket asks whether its turn came.
    Ask(usize),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let weight = || {
        (0..=CAPACITY.messages, 0..=CAPACITY.bytes).prop_map(|(messages, bytes)| Weight { messages, bytes })
    };
    prop_oneof![
        weight().prop_map(Step::Admit),
        weight().prop_map(Step::Reserve),
        weight().prop_map(Step::ReserveUpTo),
        weight().prop_map(Step::Wait),
        any::<usize>().prop_map(Step::Enqueue),
        Just(Step::Take),
        any::<usize>().prop_map(Step::GiveBack),
        any::<usize>().prop_map(Step::Ask),
        any::<usize>().prop_map(Step::Leave),
    ]
}

/// Who holds what, and who stands in line.
#[derive(Default)]
struct Model {
    queued: VecDeque<Weight>,
    held: Vec<Weight>,
    line: VecDeque<(Ticket, Weight)>,
    granted: Vec<(Ticket, Weight)>,
}

impl Model {
    fn used(&self) -> Weight {
        let granted = self.granted.iter().map(|(_, weight)| weight);
        self.queued
            .iter()
            .chain(&self.held)
            .chain(granted)
            .fold(Weight::ZERO, |sum, weight| sum.plus(*weight))
    }

    fn fits(&self, weight: Weight) -> bool {
        self.used().plus(weight).fits_in(CAPACITY)
    }

    /// Nobody overtakes those in line, except who wants nothing.
    fn is_open_to(&self, weight: Weight) -> bool {
        if self.line.is_empty() { self.fits(weight) } else { weight.is_zero() }
    }

    /// Serves the line; gives how many were served.
    fn serve(&mut self) -> usize {
        let mut served = 0;
        while let Some(first) = self.line.front().copied().filter(|(_, weight)| self.fits(*weight)) {
            self.line.pop_front();
            self.granted.push(first);
            served += 1;
        }
        served
    }
}

fn pick<T>(items: &mut Vec<T>, at: usize) -> Option<T> {
    (!items.is_empty()).then(|| items.remove(at % items.len()))
}

fn run(step: Step, ledger: &mut Ledger, model: &mut Model) {
    let mut wakes = Vec::new();
    let mut served = 0;
    match step {
        Step::Admit(weight) => {
            assert_eq!(ledger.admit(weight), model.is_open_to(weight));
            if model.is_open_to(weight) {
                model.queued.push_back(weight);
            }
        }
        Step::Reserve(weight) => {
            assert_eq!(ledger.reserve(weight), model.is_open_to(weight));
            if model.is_open_to(weight) {
                model.held.push(weight);
            }
        }
        Step::ReserveUpTo(weight) => {
            let free = if model.line.is_empty() { CAPACITY.minus(model.used()) } else { Weight::ZERO };
            assert_eq!(ledger.reserve_up_to(weight), weight.min(free));
            model.held.push(weight.min(free));
        }
        // Nobody enters the line for whom there is room.
        Step::Wait(weight) if model.is_open_to(weight) => {}
        Step::Wait(weight) => model.line.push_back((ledger.wait(weight, Waker::noop().clone()), weight)),
        Step::Enqueue(at) => {
            if let Some(weight) = pick(&mut model.held, at) {
                ledger.enqueue(weight);
                model.queued.push_back(weight);
            }
        }
        Step::Take => {
            if let Some(weight) = model.queued.pop_front() {
                ledger.release_queued(weight, &mut wakes);
                served = model.serve();
            }
        }
        Step::GiveBack(at) => {
            if let Some(weight) = pick(&mut model.held, at) {
                ledger.release_reserved(weight, &mut wakes);
                served = model.serve();
            }
        }
        Step::Ask(at) => ask(at, ledger, model),
        Step::Leave(at) => served = leave(at, ledger, model, &mut wakes),
    }
    assert_eq!(wakes.len(), served, "everyone who is served is woken, once");
}

fn ask(at: usize, ledger: &mut Ledger, model: &mut Model) {
    if let Some((ticket, weight)) = pick(&mut model.granted, at) {
        assert!(ledger.poll(ticket, Waker::noop()));
        assert!(!ledger.poll(ticket, Waker::noop()), "a turn is told once");
        model.held.push(weight);
    }
    for (ticket, _) in &model.line {
        assert!(!ledger.poll(*ticket, Waker::noop()));
    }
}

fn leave(at: usize, ledger: &mut Ledger, model: &mut Model, wakes: &mut Vec<Waker>) -> usize {
    let waiting = model.line.len();
    let place = at % (waiting + model.granted.len()).max(1);
    let left =
        if place < waiting { model.line.remove(place) } else { pick(&mut model.granted, place - waiting) };
    if let Some((ticket, weight)) = left {
        ledger.leave(ticket, weight, wakes);
    }
    model.serve()
}

proptest! {
    #[test]
    fn the_books_agree_with_the_model_and_never_exceed_the_capacity(steps in prop::collection::vec(step(), 1..200)) {
        let mut ledger = Ledger::new(CAPACITY);
        let mut model = Model::default();
        for step in steps {
            run(step, &mut ledger, &mut model);
            prop_assert!(ledger.reserved().plus(ledger.queued()).fits_in(CAPACITY));
            prop_assert_eq!(ledger.reserved().plus(ledger.queued()), model.used());
            prop_assert_eq!(ledger.has_waiters(), !model.line.is_empty());
        }
    }
}
