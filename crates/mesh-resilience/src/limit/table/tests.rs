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

/// A table, the time, and holders whose answers always come.
struct Bench {
    table: LeaseTable,
    now: Instant,
    leases: BTreeMap<String, u64>,
}

impl Bench {
    fn new() -> Self {
        let table = LeaseTable::new(whole(), LeaseConfig::default()).unwrap();
        Self { table, now: Instant::now(), leases: BTreeMap::new() }
    }

    fn ask(&mut self, holder: &str, demand: Demand) -> Share {
        let known = self.leases.entry(holder.to_owned()).or_default();
        let lease = self.table.ask(holder, Demand { lease: *known, ..demand }, self.now).unwrap();
        *known = lease.number;
        lease.share
    }
}

#[test]
fn shares_follow_demand_within_two_rounds() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("alpha", wants(500)).requests, 90);
    assert_eq!(bench.ask("beta", wants(30)).requests, 0);
    assert_eq!(bench.ask("alpha", wants(500)).requests, 60);
    assert_eq!(bench.ask("alpha", wants(500)).requests, 60);
    assert_eq!(bench.ask("beta", wants(30)).requests, 30);
}

#[test]
fn a_share_that_shrinks_counts_as_it_was_until_its_holder_knows() {
    let mut bench = Bench::new();
    bench.ask("alpha", wants(500));
    bench.ask("beta", wants(500));
    bench.now += 3 * SECOND;
    // The answer is lost: alpha lives on what it had.
    bench.table.ask("alpha", Demand { lease: 1, ..wants(500) }, bench.now).unwrap();
    assert_eq!(bench.ask("beta", wants(500)).requests, 0);
    bench.now += 3 * SECOND;
    bench.table.ask("alpha", Demand { lease: 1, ..wants(500) }, bench.now).unwrap();
    assert_eq!(bench.ask("beta", wants(500)).requests, 0);
    // Until that runs out.
    bench.now += 4 * SECOND;
    assert_eq!(bench.ask("beta", wants(500)).requests, 45);
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

/// A holder as it sees itself.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    lease: Option<(Lease, Instant)>,
    spent: u64,
}

impl Own {
    fn share(&self, now: Instant) -> Option<Share> {
        self.lease.filter(|(_, until)| now < *until).map(|(lease, _)| lease.share)
    }

    /// What it may spend yet.
    fn in_hand(&self, now: Instant) -> u64 {
        let Some((lease, until)) = self.lease else { return 0 };
        let allowed = lease.spent.saturating_add(lease.share.budget).micros();
        if now < until { allowed.saturating_sub(self.spent) } else { 0 }
    }

    fn demand(&self, amount: u64) -> Demand {
        let share = Share {
            requests: amount,
            concurrency: u32::try_from(amount % 9).unwrap(),
            budget: Money::from_micros(amount),
            ..Share::default()
        };
        Demand { lease: self.lease.map_or(0, |(lease, _)| lease.number), share, ..spent(self.spent) }
    }
}

proptest! {
    /// Whichever answers are lost, whoever dies or spends what it has while its answer is on the way.
    #[test]
    fn the_shares_that_hold_never_add_up_to_more_than_the_whole(
        steps in prop::collection::vec((0..9_u8, 0..5_usize, 0..200_u64, 0..4_000_u64), 1..300),
    ) {
        let mut bench = Bench::new();
        let mut holders = [Own::default(); 5];
        let mut lives = [0; 5];
        let mut spent_by_the_dead = 0;
        for (step, at, amount, ms) in steps {
            let name = format!("node-{at}-{}", lives[at]);
            let own = &mut holders[at];
            match step {
                0 | 1 => bench.now += Duration::from_millis(ms),
                2 | 3 => own.spent += amount.min(own.in_hand(bench.now)),
                4 => {
                    // It ends, and may say goodbye; its next life has another name.
                    if amount % 2 == 0 {
                        bench.table.release(&name, Some(own.demand(0)));
                        spent_by_the_dead += own.spent;
                        (*own, lives[at]) = (Own::default(), lives[at] + 1);
                    }
                }
                _ => {
                    let lease = bench.table.ask(&name, own.demand(amount), bench.now).unwrap();
                    // While the answer is on its way, the old share is used on.
                    own.spent += (ms % 50).min(own.in_hand(bench.now));
                    if step != 8 {
                        own.lease = Some((lease, bench.now + lease.term));
                    }
                }
            }
            let held = || holders.iter().filter_map(|own| own.share(bench.now));
            prop_assert!(held().map(|share| share.requests).sum::<u64>() <= 90);
            prop_assert!(held().map(|share| share.concurrency).sum::<u32>() <= 4);
            let money: u64 = holders.iter().map(|own| own.spent + own.in_hand(bench.now)).sum();
            prop_assert!(money + spent_by_the_dead <= 1_600, "{money} and {spent_by_the_dead}");
        }
    }
}
