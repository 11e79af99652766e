use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn whole() -> Share {
    Share { requests: 90, concurrency: 4, budget: Money::from_micros(1_600), ..Share::default() }
}

fn wants(requests: u64) -> Demand {
    Demand { share: Share { requests, ..Share::default() }, ..Demand::default() }
}

fn spent(micros: u64) -> Demand {
    Demand { spent: Money::from_micros(micros), ..Demand::default() }
}

struct Bench {
    table: LeaseTable,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { table: LeaseTable::new(whole(), LeaseConfig::default()).unwrap(), now: Instant::now() }
    }

    fn ask(&mut self, holder: &str, demand: Demand) -> Share {
        self.table.ask(holder, demand, self.now).unwrap().share
    }
}

#[test]
fn shares_follow_demand_within_one_round() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("alpha", wants(500)).requests, 90);
    assert_eq!(bench.ask("beta", wants(30)).requests, 0);
    assert_eq!(bench.ask("alpha", wants(500)).requests, 60);
    assert_eq!(bench.ask("beta", wants(30)).requests, 30);
}

#[test]
fn a_dead_holder_s_share_comes_back_when_its_term_is_over_and_not_before() {
    let mut bench = Bench::new();
    bench.ask("alpha", wants(500));
    bench.now += 9 * SECOND;
    assert_eq!(bench.ask("beta", wants(500)).requests, 0);
    bench.now += SECOND;
    assert_eq!(bench.ask("beta", wants(500)).requests, 90);
}

#[test]
fn who_says_goodbye_returns_its_share_at_once() {
    let mut bench = Bench::new();
    bench.ask("alpha", wants(500));
    bench.table.release("alpha", None);
    assert_eq!(bench.ask("beta", wants(500)).requests, 90);
}

#[test]
fn places_that_are_fewer_than_the_nodes_go_round() {
    let mut bench = Bench::new();
    let nodes = ["a", "b", "c", "d", "e", "f", "g"];
    let mut had = [0; 7];
    for _ in 0..100 {
        for (node, had) in nodes.iter().zip(&mut had) {
            *had += bench.ask(node, Demand::default()).concurrency;
            bench.now += SECOND / 7;
        }
    }
    assert!(had.iter().all(|had| *had > 20), "{had:?}");
}

#[test]
fn a_table_that_was_lost_grants_nothing_until_its_shares_have_run_out() {
    let now = Instant::now();
    let lost = Money::from_micros(600);
    let mut table = LeaseTable::after_loss(whole(), LeaseConfig::default(), lost, now).unwrap();
    let quiet = table.ask("alpha", wants(1), now + SECOND);
    assert_eq!(quiet, Err(LeaseError::Quiet { retry_after: 9 * SECOND }));
    assert!(table.ask("alpha", wants(1), now + 10 * SECOND).is_ok());
    assert_eq!(table.spent(), lost);
}

#[test]
fn money_is_handed_out_in_pieces_and_a_dead_holder_s_piece_counts_as_spent() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("alpha", Demand::default()).budget, Money::from_micros(100));
    // A report that comes twice counts once.
    bench.ask("alpha", spent(60));
    bench.ask("alpha", spent(60));
    assert_eq!(bench.table.spent(), Money::from_micros(60));
    let piece = bench.ask("beta", Demand::default()).budget;
    bench.table.release("beta", None);
    assert_eq!(bench.table.spent(), Money::from_micros(60).saturating_add(piece));
    bench.table.release("alpha", Some(spent(70)));
    assert_eq!(bench.table.spent(), Money::from_micros(70).saturating_add(piece));
}

#[test]
fn all_the_money_can_be_spent_and_no_more() {
    let mut bench = Bench::new();
    let mut sum = 0;
    for _ in 0..10_000 {
        let piece = bench.ask("alpha", spent(sum)).budget.micros();
        sum += piece;
    }
    assert_eq!(sum, 1_600);
}

#[test]
fn a_table_is_bounded_and_forgets_those_whose_term_is_over() {
    let config = LeaseConfig { holders_max: 1, ..LeaseConfig::default() };
    let mut table = LeaseTable::new(whole(), config).unwrap();
    let now = Instant::now();
    table.ask("alpha", wants(1), now).unwrap();
    assert_eq!(table.ask("beta", wants(1), now), Err(LeaseError::Full { holders_max: 1 }));
    assert!(table.ask("beta", wants(1), now + 10 * SECOND).is_ok());
}

proptest! {
    #[test]
    fn the_shares_that_hold_never_add_up_to_more_than_the_whole(
        steps in prop::collection::vec((0..8_u8, 0..5_u8, 0..200_u64, 0..4_000_u64), 1..200),
    ) {
        let mut bench = Bench::new();
        // What each holder has in hand, and until when: as the holders themselves see it.
        let mut held: BTreeMap<String, (Share, Instant)> = BTreeMap::new();
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for (life, (step, node, amount, ms)) in steps.into_iter().enumerate() {
            let mut name = format!("node-{node}");
            match step {
                // Some time passes, and the holder spends what it may.
                0 | 1 => bench.now += Duration::from_millis(ms),
                2 => {
                    if let Some((share, until)) = held.get_mut(&name).filter(|(_, until)| bench.now < *until) {
                        let spends = amount.min(share.budget.micros());
                        share.budget = share.budget.saturating_sub(Money::from_micros(spends));
                        *used.entry(name).or_default() += spends;
                        prop_assert!(bench.now < *until);
                    }
                }
                3 => {
                    let last = Demand { spent: Money::from_micros(*used.get(&name).unwrap_or(&0)), ..wants(0) };
                    bench.table.release(&name, (amount % 2 == 0).then_some(last));
                    held.remove(&name);
                    // Who comes back is another life; what the old one spent is spent.
                    let sum = used.remove(&name).unwrap_or_default();
                    name.push_str(&life.to_string());
                    used.insert(name, sum);
                }
                _ => {
                    let share = Share {
                        requests: amount,
                        concurrency: u32::try_from(amount % 9).unwrap(),
                        budget: Money::from_micros(amount),
                        ..Share::default()
                    };
                    let demand = Demand { share, spent: Money::from_micros(*used.get(&name).unwrap_or(&0)) };
                    let lease = bench.table.ask(&name, demand, bench.now).unwrap();
                    held.insert(name, (lease.share, bench.now + lease.term));
                }
            }
            let holding: Vec<Share> =
                held.values().filter(|(_, until)| bench.now < *until).map(|(share, _)| *share).collect();
            prop_assert!(holding.iter().map(|share| share.requests).sum::<u64>() <= 90);
            prop_assert!(holding.iter().map(|share| share.concurrency).sum::<u32>() <= 4);
            let in_hand: u64 = holding.iter().map(|share| share.budget.micros()).sum();
            let spent: u64 = used.values().sum();
            prop_assert!(in_hand + spent <= 1_600, "{in_hand} in hand, {spent} spent");
        }
    }
}
