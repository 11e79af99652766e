use std::cell::Cell;
use std::error::Error;
use std::future::pending;
use std::time::Duration;

use mesh_resilience::{
    Attempt, Breaker, BreakerConfig, Classify, Deadline, GaveUp, GuardedError, Jitter, Retry, RetryBudget,
    RetryBudgetConfig, RetryConfig, RetryError, RetryPolicy, Retryable, Verdict,
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no")]
struct No(Retry);

impl Retryable for No {
    fn retry(&self) -> Retry {
        self.0
    }
}

impl Classify for No {
    fn classify(&self) -> Verdict {
        Verdict::Failure
    }
}

const AGAIN: No = No(Retry::Backoff);

fn policy(max_attempts: u32, jitter: Jitter) -> RetryPolicy {
    RetryPolicy::new(RetryConfig { max_attempts, jitter, ..RetryConfig::default() }).unwrap()
}

/// Fails with `error`, each time, and counts.
async fn always(policy: &RetryPolicy, error: No) -> (RetryError<No>, u32) {
    let calls = Cell::new(0);
    let result = policy.run(|_| async {
        calls.set(calls.get() + 1);
        Err::<(), _>(error)
    });
    (result.await.unwrap_err(), calls.get())
}

#[tokio::test(start_paused = true)]
async fn three_attempts_with_doubling_pauses() {
    let begun = Instant::now();
    let (error, calls) = always(&policy(3, Jitter::None), AGAIN).await;
    assert_eq!((calls, error.attempts, error.gave_up), (3, 3, GaveUp::Attempts));
    assert_eq!((error.waited, begun.elapsed()), (3 * SECOND, 3 * SECOND));
    assert_eq!(error.last, Some(AGAIN));
    assert_eq!(error.to_string(), "failed after 3 attempts: no more are allowed");
    assert_eq!(error.source().unwrap().to_string(), "no");
}

#[tokio::test(start_paused = true)]
async fn a_success_tells_what_it_took() {
    let outcome = policy(5, Jitter::None)
        .outcome(
            |attempt| async move { if attempt.number() < 3 { Err(AGAIN) } else { Ok(attempt.number()) } },
        )
        .await;
    assert_eq!((outcome.result, outcome.attempts, outcome.waited), (Ok(3), 3, 3 * SECOND));
}

#[test]
fn zero_attempts_are_a_config_error_and_not_a_call_that_never_runs() {
    let error = RetryPolicy::new(RetryConfig { max_attempts: 0, ..RetryConfig::default() }).unwrap_err();
    assert_eq!(error.to_string(), "max_attempts: 0 is not within 1 to 1000");
}

#[tokio::test(start_paused = true)]
async fn not_everything_is_retryable() {
    let begun = Instant::now();
    let (error, calls) = always(&policy(5, Jitter::Full), No(Retry::Never)).await;
    assert_eq!((calls, error.gave_up, begun.elapsed()), (1, GaveUp::NotRetryable, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_and_never_shortened_by_jitter() {
    for seed in 0..50 {
        let begun = Instant::now();
        // Longer than the cap of our own pauses.
        let (error, _) = always(&policy(2, Jitter::Full).seed(seed), No(Retry::After(90 * SECOND))).await;
        assert_eq!((error.waited, begun.elapsed()), (90 * SECOND, 90 * SECOND), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_deadline_gives_up_at_once() {
    let begun = Instant::now();
    let policy = policy(5, Jitter::Full).until(Deadline::after(30 * SECOND));
    let (error, calls) = always(&policy, No(Retry::After(30 * SECOND))).await;
    assert_eq!((calls, error.gave_up, begun.elapsed()), (1, GaveUp::Deadline, Duration::ZERO));
    assert_eq!(error.last, Some(No(Retry::After(30 * SECOND))));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_one_for_all_attempts() {
    let config = RetryConfig { max_attempts: 100, total: Some(10 * SECOND), ..RetryConfig::default() };
    for seed in 0..50 {
        let policy = RetryPolicy::new(config).unwrap().seed(seed);
        let begun = Instant::now();
        let (error, calls) = always(&policy, AGAIN).await;
        assert_eq!(error.gave_up, GaveUp::Deadline, "seed {seed}");
        assert!(begun.elapsed() < 10 * SECOND && calls > 1, "seed {seed}: {calls} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_cut_off_at_the_deadline_with_the_error_of_the_one_before() {
    let policy = policy(5, Jitter::None).until(Deadline::after(5 * SECOND));
    let hangs_at = |number: u32| {
        policy.run(move |attempt: Attempt| async move {
            if attempt.number() < number { Err::<(), _>(AGAIN) } else { pending().await }
        })
    };
    let begun = Instant::now();
    let error = hangs_at(2).await.unwrap_err();
    assert_eq!((error.gave_up, error.attempts, error.last), (GaveUp::Deadline, 2, Some(AGAIN)));
    assert_eq!(begun.elapsed(), 5 * SECOND);
    let error = hangs_at(1).await.unwrap_err();
    assert_eq!((error.gave_up, error.last), (GaveUp::Deadline, None));
}

#[tokio::test(start_paused = true)]
async fn only_one_layer_retries() {
    let (outer, inner) = (policy(3, Jitter::None), policy(3, Jitter::None));
    let calls = Cell::new(0);
    let (inner, calls) = (&inner, &calls);
    let error = outer
        .run(|attempt| async move {
            assert_eq!(attempt.is_last(), attempt.number() == 3);
            let count = |nested: Attempt| async move {
                assert!(!nested.is_last(), "the layer above may try again");
                calls.set(calls.get() + 1);
                Err::<(), _>(AGAIN)
            };
            inner.within(&attempt).run(count).await
        })
        .await
        .unwrap_err();
    assert_eq!((calls.get(), error.attempts), (3, 3));
    assert_eq!(error.last.unwrap().gave_up, GaveUp::Nested);

    // And one that was not told: its error is final, so there are three calls, not nine.
    let (error, calls) = {
        let calls = Cell::new(0);
        let (inner, seen) = (inner, &calls);
        let unaware = outer.run(|_| {
            inner.run(|_| async {
                seen.set(seen.get() + 1);
                Err::<(), _>(AGAIN)
            })
        });
        (unaware.await.unwrap_err(), calls.get())
    };
    assert_eq!((calls, error.gave_up), (3, GaveUp::NotRetryable));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_hands_its_deadline_down() {
    let outer = policy(3, Jitter::None).until(Deadline::after(2 * SECOND));
    let inner = policy(3, Jitter::None).until(Deadline::after(60 * SECOND));
    let inner = &inner;
    let begun = Instant::now();
    let work = |attempt| async move { inner.within(&attempt).run(|_| pending::<Result<(), No>>()).await };
    let error = outer.run(work).await.unwrap_err();
    assert_eq!((error.gave_up, begun.elapsed()), (GaveUp::Deadline, 2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_target_s_budget_ends_the_retries_of_all_its_callers() {
    let config = RetryBudgetConfig { ratio: 0.1, floor_per_second: 0.0, burst: 10 };
    let policy = policy(3, Jitter::None).budget(RetryBudget::new(config).unwrap());
    let mut calls = 0;
    for _ in 0..1_000 {
        let (error, made) = always(&policy, AGAIN).await;
        calls += made;
        assert!(matches!(error.gave_up, GaveUp::Budget | GaveUp::Attempts));
    }
    // 1,000 first attempts, the 10 that were saved up, and a tenth.
    assert!((1_100..=1_110).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_waited_for_as_long_as_it_says() {
    let config = BreakerConfig { failure_threshold: 1, ..BreakerConfig::default() };
    let breaker = Breaker::new("search", config).unwrap();
    let policy = policy(3, Jitter::None);
    let begun = Instant::now();
    let error = policy.run(|_| breaker.call(async { Err::<(), _>(AGAIN) })).await.unwrap_err();
    // A call that fails, a second for backoff, the breaker's other 59 s, and a probe.
    assert_eq!((error.waited, begun.elapsed()), (60 * SECOND, 60 * SECOND));
    assert_eq!(error.last, Some(GuardedError::Failed(AGAIN)));

    breaker.force_open();
    let error = policy.run(|_| breaker.call(async { Err::<(), _>(AGAIN) })).await.unwrap_err();
    assert_eq!((error.attempts, error.gave_up), (1, GaveUp::NotRetryable));
}

#[tokio::test]
async fn a_run_can_be_spawned() {
    let policy = policy(3, Jitter::Full);
    let task = tokio::spawn(async move { policy.run(|_| async { Ok::<_, No>(1) }).await });
    assert_eq!(task.await.unwrap(), Ok(1));
}
