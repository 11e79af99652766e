use std::sync::Mutex;
use std::time::Duration;

use mesh_resilience::{
    Admission, Cost, Deadline, Demand, Lease, LeaseConfig, LeaseError, LeaseTable, Limit, LimitConfig,
    LimitError, Limiter, Money, Priority, Rate, Reservation, Share, keep_leased,
};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

/// A table within reach, which can be cut off.
struct Table {
    table: Mutex<LeaseTable>,
    is_cut_off: Mutex<bool>,
}

impl Table {
    fn new(config: &LimitConfig) -> Self {
        let table = LeaseTable::new(Share::whole(config), LeaseConfig::default()).unwrap();
        Self { table: Mutex::new(table), is_cut_off: Mutex::new(false) }
    }
}

impl Admission for Table {
    type Error = LeaseError;

    async fn lease(&self, holder: &str, demand: Demand) -> Result<Lease, LeaseError> {
        if *self.is_cut_off.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        self.table.lock().unwrap().ask(holder, demand, Instant::now())
    }
}

fn config() -> LimitConfig {
    LimitConfig { requests: Some(Rate::new(90, SECOND, 9)), ..LimitConfig::default() }
}

async fn reserve(limiter: &Limiter, seconds: u32) -> Result<Reservation, LimitError> {
    limiter.reserve(Cost::request(), Priority::NORMAL, Deadline::after(seconds * SECOND)).await
}

/// Calls as fast as it may, and counts, until `until`.
async fn greedy(limiter: &Limiter, until: Deadline) -> u32 {
    let mut count = 0;
    while let Ok(reservation) = limiter.reserve(Cost::request(), Priority::NORMAL, until).await {
        reservation.keep();
        count += 1;
    }
    count
}

#[tokio::test(start_paused = true)]
async fn one_limit_holds_for_all_nodes_together() {
    let table = Table::new(&config());
    let nodes: Vec<Limiter> = (0..3).map(|_| Limiter::leased(config()).unwrap()).collect();
    let minute = async || {
        let until = Deadline::after(60 * SECOND);
        let (a, b, c) =
            tokio::join!(greedy(&nodes[0], until), greedy(&nodes[1], until), greedy(&nodes[2], until));
        [a, b, c]
    };
    let minutes = async { [minute().await, minute().await] };
    let minutes = tokio::select! {
        biased;
        minutes = minutes => minutes,
        _ = keep_leased(&nodes[0], "alpha", &table) => unreachable!(),
        _ = keep_leased(&nodes[1], "beta", &table) => unreachable!(),
        _ = keep_leased(&nodes[2], "gamma", &table) => unreachable!(),
    };
    for counts in minutes {
        // A minute's worth, the burst, and one that each node may owe.
        assert!(counts.iter().sum::<u32>() <= 90 * 60 + 9 + 3, "{minutes:?}");
    }
    // In the first one the shares find their balance; then nothing is lost, and all have the same.
    assert!(minutes[1].iter().all(|count| (1_700..=1_900).contains(count)), "{minutes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_stops_when_its_share_runs_out() {
    let (table, limiter) = (Table::new(&config()), Limiter::leased(config()).unwrap());
    let calls = async {
        reserve(&limiter, 1).await.unwrap().keep();
        *table.is_cut_off.lock().unwrap() = true;
        let begun = Instant::now();
        let count = greedy(&limiter, Deadline::after(60 * SECOND)).await;
        assert_eq!(begun.elapsed(), 60 * SECOND);
        assert!((850..=10 * 90 + 9).contains(&count), "{count}");
        let error = limiter.try_reserve(Cost::request()).unwrap_err();
        assert!(matches!(error, LimitError::NotInTime { limit: Limit::Share, needs: None, .. }), "{error}");
        // The way is free again: the next try brings a share.
        *table.is_cut_off.lock().unwrap() = false;
        reserve(&limiter, 5).await.unwrap().keep();
    };
    tokio::select! {
        biased;
        () = calls => {}
        _ = keep_leased(&limiter, "alpha", &table) => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_allowed_before_the_first_share() {
    let (table, limiter) = (Table::new(&config()), Limiter::leased(config()).unwrap());
    *table.is_cut_off.lock().unwrap() = true;
    let keeper = keep_leased(&limiter, "alpha", &table);
    let _ = Deadline::after(SECOND).timeout(keeper).await;
    assert!(limiter.try_reserve(Cost::request()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_larger_than_the_share_s_burst_waits_and_leaves_a_debt() {
    let config = LimitConfig { input_tokens: Some(Rate::new(100, SECOND, 100)), ..LimitConfig::default() };
    let limiter = Limiter::new(config).unwrap();
    let share = Share { input_tokens: 10, ..Share::default() };
    let lease = Lease { number: 1, share, spent: Money::ZERO, term: 600 * SECOND };
    limiter.set_share(&lease, Instant::now());
    let begun = Instant::now();
    for expected in [0, 10, 20] {
        let deadline = Deadline::after(60 * SECOND);
        limiter.reserve(Cost::tokens(100, 0), Priority::NORMAL, deadline).await.unwrap().keep();
        assert_eq!(begun.elapsed(), expected * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_on_one_budget_spend_all_of_it_and_no_more() {
    let config = LimitConfig { budget: Some(Money::from_micros(1_000)), ..LimitConfig::default() };
    let table = Table::new(&config);
    let nodes: Vec<Limiter> = (0..2).map(|_| Limiter::leased(config.clone()).unwrap()).collect();
    // Each call costs more than the piece that comes unasked.
    let cost = Cost::request().for_money(Money::from_micros(90));
    let spend = async |limiter: &Limiter| {
        let until = Deadline::after(300 * SECOND);
        let mut calls = 0;
        while let Ok(reservation) = limiter.reserve(cost, Priority::NORMAL, until).await {
            reservation.keep();
            calls += 1;
        }
        calls
    };
    let (a, b) = tokio::select! {
        biased;
        calls = async { tokio::join!(spend(&nodes[0]), spend(&nodes[1])) } => calls,
        _ = keep_leased(&nodes[0], "alpha", &table) => unreachable!(),
        _ = keep_leased(&nodes[1], "beta", &table) => unreachable!(),
    };
    // A rest that is less than the even part of it which a call needs stays.
    assert!(a > 0 && b > 0 && (9..=11).contains(&(a + b)), "{a} and {b}");
}

#[tokio::test(start_paused = true)]
async fn demand_is_what_was_asked_for_and_twice_the_share_where_calls_had_to_wait() {
    let limiter = Limiter::new(config()).unwrap();
    for _ in 0..8 {
        limiter.try_reserve(Cost::request()).unwrap().keep();
    }
    advance(2 * SECOND).await;
    assert_eq!(limiter.demand().share.requests, 4);
    // Callers that find no room would ask for more if there were.
    while limiter.try_reserve(Cost::request()).map(Reservation::keep).is_ok() {}
    advance(SECOND).await;
    assert_eq!(limiter.demand().share.requests, 180);
    advance(SECOND).await;
    assert_eq!(limiter.demand().share.requests, 0);
}
