use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures::poll;
use futures::stream::{FuturesUnordered, StreamExt};
use mesh_resilience::{
    Classify, Cost, Deadline, Limit, LimitConfig, LimitError, Limiter, Limiters, LimitersError, Money,
    Priority, Rate, Reservation, Retry, Retryable, Verdict,
};
use tokio::time::{Instant, advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn limiter(config: LimitConfig) -> Limiter {
    Limiter::new(config).unwrap()
}

/// Ten requests a second, one at a time.
fn ten_a_second() -> LimitConfig {
    LimitConfig { requests: Some(Rate::per_second(10)), ..LimitConfig::default() }
}

async fn reserve(limiter: &Limiter, cost: Cost, seconds: u32) -> Result<Reservation, LimitError> {
    limiter.reserve(cost, Priority::NORMAL, Deadline::after(seconds * SECOND)).await
}

async fn is_waiting<F: Future>(future: &mut Pin<&mut F>) -> bool {
    poll!(future.as_mut()).is_pending()
}

#[tokio::test(start_paused = true)]
async fn calls_pass_at_the_rate_after_the_burst() {
    let limiter = limiter(LimitConfig { requests: Some(Rate::new(10, SECOND, 3)), ..LimitConfig::default() });
    let begun = Instant::now();
    let mut passed = vec![];
    for _ in 0..6 {
        reserve(&limiter, Cost::request(), 10).await.unwrap().keep();
        passed.push(begun.elapsed().as_millis());
    }
    assert_eq!(passed, [0, 0, 0, 100, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn every_limit_holds_by_itself() {
    let rate = Some(Rate::new(100, SECOND, 100));
    for (config, limit) in [
        (LimitConfig { requests: Some(Rate::per_second(1)), ..LimitConfig::default() }, Limit::Requests),
        (LimitConfig { input_tokens: rate, ..LimitConfig::default() }, Limit::InputTokens),
        (LimitConfig { output_tokens: rate, ..LimitConfig::default() }, Limit::OutputTokens),
        (LimitConfig { money: rate, ..LimitConfig::default() }, Limit::Money),
        (LimitConfig { concurrency: Some(1), ..LimitConfig::default() }, Limit::Concurrency),
    ] {
        let limiter = limiter(config);
        let cost = Cost::tokens(80, 80).for_money(Money::from_micros(80));
        let first = limiter.try_reserve(cost).unwrap();
        let error = limiter.try_reserve(cost).unwrap_err();
        assert!(
            matches!(error, LimitError::NotInTime { limit: of, .. } if of == limit),
            "{limit:?}: {error}"
        );
        drop(first);
        assert!(limiter.try_reserve(cost).is_ok(), "{limit:?}: a dropped reservation is given back");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_really_used_is_settled() {
    let config = LimitConfig { output_tokens: Some(Rate::new(100, SECOND, 1_000)), ..LimitConfig::default() };
    let limiter = limiter(config);
    let left = || limiter.view().output_tokens.unwrap();
    limiter.try_reserve(Cost::tokens(0, 600)).unwrap().settle(Cost::tokens(0, 100));
    assert_eq!(left(), 900);
    limiter.try_reserve(Cost::tokens(0, 900)).unwrap().settle(Cost::tokens(0, 1_400));
    // 500 are owed, and paid back before the next token.
    assert_eq!(left(), 0);
    let begun = Instant::now();
    reserve(&limiter, Cost::tokens(0, 100), 60).await.unwrap().keep();
    assert_eq!(begun.elapsed(), 6 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_and_then_cancelled_counts_as_it_was_reserved() {
    let config =
        LimitConfig { concurrency: Some(1), budget: Some(Money::from_micros(100)), ..Default::default() };
    let limiter = limiter(config);
    let cost = Cost::request().for_money(Money::from_micros(60));
    drop(limiter.try_reserve(cost).unwrap().sent());
    let view = limiter.view();
    assert_eq!((view.budget, view.under_way), (Some(Money::from_micros(40)), 0));
    let error = limiter.try_reserve(cost).unwrap_err();
    let expected = LimitError::Exhausted { asked: Money::from_micros(60), left: Money::from_micros(40) };
    assert_eq!((error.retry(), error), (Retry::Never, expected));
}

#[tokio::test(start_paused = true)]
async fn a_429_makes_all_wait_and_those_that_cannot_wait_so_long_fail_at_once() {
    let limiter = limiter(LimitConfig { concurrency: Some(1), ..LimitConfig::default() });
    let busy = limiter.try_reserve(Cost::request()).unwrap();
    let mut patient = pin!(reserve(&limiter, Cost::request(), 60));
    let mut hasty = pin!(reserve(&limiter, Cost::request(), 10));
    assert!(is_waiting(&mut patient).await && is_waiting(&mut hasty).await);

    limiter.penalize(20 * SECOND);
    limiter.penalize(SECOND);
    let begun = Instant::now();
    let error = hasty.await.unwrap_err();
    let expected =
        LimitError::NotInTime { limit: Limit::Penalty, needs: Some(20 * SECOND), waited: Duration::ZERO };
    assert_eq!((error.retry(), error), (Retry::After(20 * SECOND), expected));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(reserve(&limiter, Cost::request(), 10).await.is_err(), "so does one that comes now");
    busy.keep();
    patient.await.unwrap().keep();
    assert_eq!(begun.elapsed(), 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cannot_be_met_fails_at_once_and_says_what_it_needs() {
    let limiter = limiter(ten_a_second());
    limiter.try_reserve(Cost::request()).unwrap().keep();
    let waiting: FuturesUnordered<_> = (0..20).map(|_| reserve(&limiter, Cost::request(), 60)).collect();
    let mut waiting = pin!(waiting.collect::<Vec<_>>());
    assert!(is_waiting(&mut waiting).await);
    let begun = Instant::now();
    let error = reserve(&limiter, Cost::request(), 2).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(error.to_string(), "the limit of requests leaves no room in time, which takes 2.1 s");
    assert_eq!(
        (error.classify(), error.retry()),
        (Verdict::Ignore, Retry::After(Duration::from_millis(2_100)))
    );
    // With as much time as it says, it passes.
    let mut last = pin!(reserve(&limiter, Cost::request(), 3));
    assert!(is_waiting(&mut last).await);
    let (all, last) = tokio::join!(waiting, last);
    assert!(all.iter().all(Result::is_ok) && last.is_ok());
    assert_eq!(begun.elapsed(), Duration::from_millis(2_100));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_place_in_vain_fails_at_its_deadline() {
    let limiter = limiter(LimitConfig { concurrency: Some(1), ..LimitConfig::default() });
    let _busy = limiter.try_reserve(Cost::request()).unwrap();
    let error = reserve(&limiter, Cost::request(), 5).await.unwrap_err();
    let expected = LimitError::NotInTime { limit: Limit::Concurrency, needs: None, waited: 5 * SECOND };
    assert_eq!(error, expected);
    assert_eq!(limiter.view().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_higher_priority_comes_first_and_among_equals_who_came_first() {
    let limiter = limiter(ten_a_second());
    limiter.try_reserve(Cost::request()).unwrap().keep();
    let priorities = [Priority::LOW, Priority::NORMAL, Priority::HIGH, Priority::NORMAL, Priority::HIGH];
    let callers: FuturesUnordered<_> = priorities
        .into_iter()
        .enumerate()
        .map(|(index, priority)| {
            let limiter = limiter.clone();
            async move {
                let deadline = Deadline::after(60 * SECOND);
                limiter.reserve(Cost::request(), priority, deadline).await.unwrap().keep();
                index
            }
        })
        .collect();
    assert_eq!(callers.collect::<Vec<_>>().await, [2, 4, 1, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_large_call_is_not_starved_by_small_ones() {
    let config = LimitConfig { input_tokens: Some(Rate::new(100, SECOND, 1_000)), ..LimitConfig::default() };
    let limiter = limiter(config);
    limiter.try_reserve(Cost::tokens(1_000, 0)).unwrap().keep();
    let mut large = pin!(reserve(&limiter, Cost::tokens(1_000, 0), 60));
    assert!(is_waiting(&mut large).await);
    advance(5 * SECOND).await;
    // There would be room for it, but not before the large one.
    assert!(limiter.try_reserve(Cost::tokens(100, 0)).is_err());
    assert!(reserve(&limiter, Cost::tokens(100, 0), 5).await.is_err());
    large.await.unwrap().keep();
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    let limiter = limiter(LimitConfig { queue_max: 2, ..ten_a_second() });
    limiter.try_reserve(Cost::request()).unwrap().keep();
    let mut first = pin!(reserve(&limiter, Cost::request(), 60));
    let mut second = pin!(reserve(&limiter, Cost::request(), 60));
    assert!(is_waiting(&mut first).await && is_waiting(&mut second).await);
    let error = reserve(&limiter, Cost::request(), 60).await.unwrap_err();
    assert_eq!(error, LimitError::QueueFull { waiting: 2 });
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_queue_lets_the_next_one_pass() {
    let limiter = limiter(LimitConfig { concurrency: Some(1), ..LimitConfig::default() });
    let busy = limiter.try_reserve(Cost::request()).unwrap();
    let mut second = pin!(reserve(&limiter, Cost::request(), 60));
    {
        let mut first =
            Box::pin(limiter.reserve(Cost::request(), Priority::HIGH, Deadline::after(60 * SECOND)));
        assert!(poll!(&mut first).is_pending());
        assert!(is_waiting(&mut second).await);
        // The bell rings for the one that leaves.
        drop(busy);
    }
    let begun = Instant::now();
    second.await.unwrap().keep();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_late_already_does_not_pass() {
    let limiter = limiter(ten_a_second());
    let error = reserve(&limiter, Cost::request(), 0).await.unwrap_err();
    assert_eq!(error, LimitError::NotInTime { limit: Limit::Turn, needs: None, waited: Duration::ZERO });
}

#[tokio::test(start_paused = true)]
async fn a_target_that_wants_to_be_left_alone_for_ever_is_so_for_a_day() {
    let limiter = limiter(LimitConfig::default());
    limiter.penalize(Duration::MAX);
    assert_eq!(limiter.view().penalty_ms, Some(24 * 60 * 60 * 1_000));
}

#[tokio::test(start_paused = true)]
async fn what_can_never_pass_fails_at_once() {
    let limiter = limiter(ten_a_second());
    let error = reserve(&limiter, Cost { requests: 2, ..Cost::default() }, 60).await.unwrap_err();
    assert_eq!(error, LimitError::TooLarge { limit: Limit::Requests, asked: 2, most: 1 });
}

#[tokio::test(start_paused = true)]
async fn the_target_s_own_count_lowers_ours_and_never_raises_it() {
    let limiter =
        limiter(LimitConfig { requests: Some(Rate::new(10, SECOND, 10)), ..LimitConfig::default() });
    limiter.lower_to(Limit::Requests, 50);
    assert_eq!(limiter.view().requests, Some(10));
    limiter.lower_to(Limit::Requests, 2);
    assert_eq!(limiter.view().requests, Some(2));
    advance(Duration::from_millis(500)).await;
    assert_eq!(limiter.view().requests, Some(7));
}

#[tokio::test(start_paused = true)]
async fn one_key_has_one_limiter_and_one_config() {
    let limiters = Limiters::new(1);
    limiters.limiter("team-a", &ten_a_second()).unwrap().try_reserve(Cost::request()).unwrap().keep();
    let same = limiters.limiter("team-a", &ten_a_second()).unwrap();
    assert!(same.try_reserve(Cost::request()).is_err());
    let other = LimitConfig { queue_max: 1, ..ten_a_second() };
    let error = limiters.limiter("team-a", &other).unwrap_err();
    assert_eq!(error, LimitersError::OtherConfig { key: "team-a".to_owned() });
    let full = limiters.limiter("team-b", &ten_a_second()).unwrap_err();
    assert_eq!(full, LimitersError::Full { limiters_max: 1 });
    assert!(limiters.remove("team-a").is_some());
    let bad = LimitConfig { concurrency: Some(0), ..LimitConfig::default() };
    assert!(matches!(limiters.limiter("team-b", &bad), Err(LimitersError::Config { .. })));
    assert!(limiters.list().is_empty());
}

/// A call that passed: when, how much, and when it gave that back, if it did.
type Passed = (Duration, u64, Option<Duration>);

/// Reserves, holds for a while, and then keeps what it reserved or gives it back.
async fn call(limiter: &Limiter, begun: Instant, mut rng: fastrand::Rng) -> Passed {
    let (tokens, priority) = (rng.u64(1..=300), Priority(rng.u8(..)));
    let deadline = Deadline::after(600 * SECOND);
    let reserved = limiter.reserve(Cost::tokens(tokens, 0), priority, deadline).await.unwrap();
    let at = begun.elapsed();
    assert!(limiter.view().under_way <= 3);
    sleep(Duration::from_millis(rng.u64(0..400))).await;
    if rng.u8(0..4) == 0 {
        drop(reserved);
        return (at, tokens, Some(begun.elapsed()));
    }
    reserved.keep();
    (at, tokens, None)
}

#[tokio::test(start_paused = true)]
async fn what_is_used_in_any_stretch_of_time_is_at_most_burst_and_rate_and_what_was_given_back() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let limiter = limiter(LimitConfig {
            input_tokens: Some(Rate::new(1_000, SECOND, 300)),
            concurrency: Some(3),
            ..LimitConfig::default()
        });
        let begun = Instant::now();
        let calls: FuturesUnordered<_> = (0..60).map(|_| call(&limiter, begun, rng.fork())).collect();
        let mut passed: Vec<Passed> = calls.collect().await;
        passed.sort();
        for (from, (start, ..)) in passed.iter().enumerate() {
            let (before, after) = passed.split_at(from);
            let given_back = before.iter().filter(|(.., back)| back.is_some_and(|back| back >= *start));
            let most = 300 + given_back.map(|(_, tokens, _)| tokens).sum::<u64>();
            let mut used = 0;
            for (at, tokens, _) in after.iter().filter(|(.., back)| back.is_none()) {
                used += tokens;
                let most = u128::from(most) + (*at - *start).as_millis();
                assert!(u128::from(used) <= most, "seed {seed}: {used} > {most}");
            }
        }
        assert_eq!((limiter.view().waiting, limiter.view().under_way), (0, 0), "seed {seed}");
    }
}
