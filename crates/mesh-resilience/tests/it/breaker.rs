use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_resilience::{
    Advice, Breaker, BreakerConfig, CircuitOpen, Classify, Deadline, GuardedError, Permit, Registry,
    RegistryConfig, RegistryError, State, Verdict, Why,
};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server answered {0}")]
struct Status(u16);

impl Classify for Status {
    fn classify(&self) -> Verdict {
        Verdict::of_http_status(self.0)
    }

    fn code(&self) -> &str {
        if self.0 == 501 { "NOT_IMPLEMENTED" } else { "" }
    }
}

fn breaker(config: BreakerConfig) -> Breaker {
    Breaker::new("search", config).unwrap()
}

async fn fail(breaker: &Breaker, status: u16, times: usize) {
    for _ in 0..times {
        let failed = breaker.call(ready(Err::<(), _>(Status(status)))).await;
        assert_eq!(failed, Err(GuardedError::Failed(Status(status))));
    }
}

fn open_breaker() -> Breaker {
    let breaker = breaker(BreakerConfig::default());
    breaker.trip();
    breaker
}

#[tokio::test(start_paused = true)]
async fn a_rejected_caller_gets_circuit_open_at_once_and_never_a_bare_timeout() {
    let breaker = breaker(BreakerConfig::default());
    fail(&breaker, 503, 5).await;
    advance(20 * SECOND).await;
    let begun = Instant::now();
    let refused = breaker.call(async { panic!("it is not begun") as Result<(), Status> }).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(refused.to_string(), "the circuit breaker of search is open, for 40.0 s more");
    let GuardedError::Open(CircuitOpen { name, state, retry_after, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((name.as_str(), state, retry_after), ("search", State::Open, Some(40 * SECOND)));

    // Beyond the probes of a half-open one, too.
    advance(40 * SECOND).await;
    let probes: Vec<Permit> = (0..3).map(|_| breaker.acquire().unwrap()).collect();
    let begun = Instant::now();
    let refused = breaker.acquire().unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!((refused.state, refused.retry_after), (State::HalfOpen, None));
    drop(probes);
}

#[tokio::test(start_paused = true)]
async fn a_429_belongs_to_the_limiter_and_opens_no_breaker() {
    let breaker = breaker(BreakerConfig::default());
    fail(&breaker, 429, 100).await;
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().view.calls, 0);
}

#[tokio::test(start_paused = true)]
async fn an_excluded_error_says_nothing_about_the_target() {
    let breaker =
        breaker(BreakerConfig { excluded: vec!["NOT_IMPLEMENTED".to_owned()], ..Default::default() });
    fail(&breaker, 501, 100).await;
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 500, 5).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_somebody_else_is_classified_by_the_caller() {
    let breaker = breaker(BreakerConfig { failure_threshold: 1, ..BreakerConfig::default() });
    let error = breaker.call_as(ready(Err::<(), _>("no")), |_| Verdict::Ignore).await.unwrap_err();
    assert_eq!(error.into_failed(), Some("no"));
    let _ = breaker.call_as(ready(Err::<(), _>("no")), |_| Verdict::Failure).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_says_nothing_and_gives_its_probe_back() {
    let breaker = open_breaker();
    advance(60 * SECOND).await;
    for _ in 0..20 {
        let call = breaker.call(pending::<Result<(), Status>>());
        Deadline::after(SECOND).timeout(call).await.unwrap_err();
    }
    let view = breaker.snapshot().view;
    assert_eq!((view.state, view.probes, view.probe_successes), (State::HalfOpen, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_says_what_it_was_told_to_say() {
    let breaker = breaker(BreakerConfig { failure_threshold: 2, ..BreakerConfig::default() });
    drop(breaker.acquire().unwrap());
    assert_eq!(breaker.snapshot().view.calls, 0);
    for _ in 0..2 {
        drop(breaker.acquire().unwrap().on_drop(Verdict::Failure));
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_late_result_of_an_older_generation_changes_nothing_for_callers() {
    let breaker = breaker(BreakerConfig::default());
    let late: Vec<Permit> = (0..10).map(|_| breaker.acquire().unwrap()).collect();
    breaker.trip();
    advance(60 * SECOND).await;
    breaker.acquire().unwrap().success();
    late.into_iter().for_each(Permit::failure);
    let view = breaker.snapshot().view;
    assert_eq!((view.state, view.probe_successes), (State::HalfOpen, 1));
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_with_its_reason_and_its_time() {
    let breakers = Registry::new(RegistryConfig::default()).unwrap();
    let mut changes = breakers.subscribe();
    let breaker = breakers.breaker("search", &BreakerConfig::default()).unwrap();
    fail(&breaker, 500, 5).await;
    let opened = Instant::now();
    advance(60 * SECOND).await;
    for _ in 0..3 {
        breaker.call(ready(Ok::<_, Status>(()))).await.unwrap();
    }
    let told: Vec<_> = (0..3).map(|_| changes.try_recv().unwrap()).collect();
    assert_eq!(
        told.iter().map(|told| told.change.why).collect::<Vec<_>>(),
        [Why::Failures, Why::ResetElapsed, Why::Recovered]
    );
    assert_eq!((told[0].name.as_str(), told[0].at, told[1].at), ("search", opened, opened + 60 * SECOND));
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test(start_paused = true)]
async fn one_name_with_two_configs_is_an_error() {
    let breakers = Registry::new(RegistryConfig::default()).unwrap();
    let first = breakers.breaker("search", &BreakerConfig::default()).unwrap();
    first.trip();
    let same = breakers.breaker("search", &BreakerConfig::default()).unwrap();
    assert_eq!(same.state(), State::Open);
    let other = BreakerConfig { failure_threshold: 6, ..BreakerConfig::default() };
    let error = breakers.breaker("search", &other).unwrap_err();
    assert_eq!(error, RegistryError::OtherConfig { name: "search".to_owned() });
    assert_eq!(breakers.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_registry_is_bounded_and_refuses_bad_settings() {
    let breakers = Registry::new(RegistryConfig { breakers_max: 1, ..RegistryConfig::default() }).unwrap();
    let bad = BreakerConfig { window_calls: 0, ..BreakerConfig::default() };
    assert!(matches!(breakers.breaker("a", &bad), Err(RegistryError::Config { .. })));
    breakers.breaker("a", &BreakerConfig::default()).unwrap();
    let full = breakers.breaker("b", &BreakerConfig::default()).unwrap_err();
    assert_eq!(full, RegistryError::Full { breakers_max: 1 });
    assert!(breakers.remove("a").is_some());
    assert!(breakers.breaker("b", &BreakerConfig::default()).is_ok());
    assert!(breakers.get("a").is_none());
}

#[tokio::test(start_paused = true)]
async fn advice_trusts_what_was_seen_here_before_what_was_heard() {
    let breakers = Registry::new(RegistryConfig::default()).unwrap();
    let breaker = breakers.breaker("search", &BreakerConfig::default()).unwrap();
    assert_eq!(breakers.advice("search"), Advice::Prefer);
    assert!(breakers.learn("search", "beta", State::Open));
    assert_eq!(breakers.advice("search"), Advice::Avoid);
    breaker.call(ready(Ok::<_, Status>(()))).await.unwrap();
    assert_eq!(breakers.advice("search"), Advice::Prefer);
    breaker.trip();
    assert_eq!(breakers.advice("search"), Advice::Avoid);
    advance(60 * SECOND).await;
    assert_eq!(breakers.advice("search"), Advice::Probe);
}

#[tokio::test(start_paused = true)]
async fn what_others_said_is_bounded_expires_and_goes_with_them() {
    let breakers = Registry::new(RegistryConfig { heard_max: 2, ..RegistryConfig::default() }).unwrap();
    assert!(breakers.is_empty());
    assert!(breakers.learn("search", "beta", State::Open));
    assert!(breakers.learn("search", "gamma", State::Closed));
    assert!(!breakers.learn("index", "beta", State::Open));
    assert!(!breakers.learn(&"x".repeat(257), "beta", State::Open));
    assert!(breakers.learn("search", "beta", State::HalfOpen));
    assert_eq!(
        breakers.heard("search"),
        [("beta".to_owned(), State::HalfOpen), ("gamma".to_owned(), State::Closed)]
    );
    breakers.forget("gamma");
    assert!(!breakers.is_empty());
    assert!(breakers.learn("index", "beta", State::Open));
    advance(121 * SECOND).await;
    assert_eq!(breakers.heard("search"), []);
    assert_eq!(breakers.advice("index"), Advice::Prefer);
    assert!(breakers.learn("search", "delta", State::Open), "what is too old makes room");
}

/// Real threads, since what is to be shown is a race: a thousand callers of which each asks until it was let through once.
/// The seed is the machine's; what must hold, holds of every order.
#[test]
fn half_open_admits_at_most_its_limit_however_many_callers_ask() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_time().build().unwrap();
    let config = BreakerConfig {
        reset: Duration::from_millis(1),
        success_threshold: 1_000,
        ..BreakerConfig::default()
    };
    let breaker = breaker(config);
    breaker.trip();
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let admitted = runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let (breaker, under_way, most) = (breaker.clone(), Arc::clone(&under_way), Arc::clone(&most));
            calls.spawn(async move {
                loop {
                    let Ok(permit) = breaker.acquire() else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    return permit.success();
                }
            });
        }
        let all = async { calls.join_all().await.len() };
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap()
    });
    let most = most.load(Ordering::SeqCst);
    assert_eq!((admitted, breaker.state()), (1_000, State::Closed));
    assert!((1..=3).contains(&most), "{most} probes at once");
}
