use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use mesh_resilience::{Rate, throttle};
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

/// Items that each take so long to make.
fn source(pause: Duration, count: u32) -> impl Stream<Item = u32> {
    stream::iter(0..count).then(move |index| async move {
        sleep(pause).await;
        index
    })
}

/// When each item came.
async fn arrivals(stream: impl Stream) -> Vec<u128> {
    let begun = Instant::now();
    stream.map(|_| begun.elapsed().as_millis()).collect().await
}

#[tokio::test(start_paused = true)]
async fn ten_items_a_second_by_default() {
    let calm = throttle(stream::iter(0..5), Rate::default()).unwrap();
    assert_eq!(arrivals(calm).await, [0, 100, 200, 300, 400]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_is_not_slowed_further() {
    let calm = throttle(source(80 * MS, 4), Rate::default()).unwrap();
    // Each is made while the one before has its time: not 80 ms after it.
    assert_eq!(arrivals(calm).await, [80, 180, 280, 380]);
    let slower = throttle(source(150 * MS, 4), Rate::default()).unwrap();
    assert_eq!(arrivals(slower).await, [150, 300, 450, 600]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_0_is_an_error_and_not_a_division() {
    let error = throttle(stream::iter(0..5), Rate::per_second(0)).unwrap_err();
    assert!(error.to_string().starts_with("rate.amount: 0 is not within 1"), "{error}");
    assert!(throttle(stream::iter(0..5), Rate::new(1, Duration::ZERO, 1)).is_err());
}

#[tokio::test(start_paused = true)]
async fn burst_is_explicit_and_comes_back_after_a_pause() {
    let calm = throttle(stream::iter(0..6), Rate::new(10, 1_000 * MS, 3)).unwrap();
    assert_eq!(arrivals(calm).await, [0, 0, 0, 100, 200, 300]);
    let no_burst = throttle(stream::iter(0..3), Rate::per_second(1_000)).unwrap();
    assert_eq!(arrivals(no_burst).await, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_at_once() {
    let begun = Instant::now();
    let mut calm = Box::pin(throttle(stream::iter(0..1), Rate::new(1, 60_000 * MS, 1)).unwrap());
    assert_eq!((calm.next().await, calm.next().await), (Some(0), None));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_paid_back_in_a_burst() {
    let mut calm = Box::pin(throttle(stream::iter(0..4), Rate::default()).unwrap());
    calm.next().await;
    sleep(1_000 * MS).await;
    assert_eq!(arrivals(calm).await, [0, 100, 200]);
}
