use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at. Short beside a process start (tens of milliseconds), long beside a look.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `look` gives `Ok`, and returns what it gave. An `Err` says what is seen instead.
///
/// # Panics
/// When `within` has passed: with `what` and the last thing seen.
pub fn eventually<T>(what: &str, within: Duration, look: impl FnMut() -> Result<T, String>) -> T {
    match poll(within, look) {
        Ok(seen) => seen,
        Err(seen) => panic!("{what}: not within {within:?}; last seen: {seen}"),
    }
}

/// As [`eventually`], for a caller that has something better to say than a panic.
///
/// # Errors
/// The last error of `look`, when `within` has passed. `look` runs at least once.
pub fn poll<T>(within: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let end = Instant::now() + within;
    loop {
        match look() {
            Err(_) if Instant::now() < end => thread::sleep(PAUSE),
            seen => return seen,
        }
    }
}

/// Looks again and again for as long as `lasting`.
///
/// # Panics
/// As soon as `look` gives an `Err`: with `what` and that error.
pub fn throughout(what: &str, lasting: Duration, mut look: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + lasting;
    while Instant::now() < end {
        if let Err(seen) = look() {
            panic!("{what}: not for all of {lasting:?}; seen: {seen}");
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "two looks: not for all of 60s; seen: 3 looks")]
    fn a_condition_that_ceases_is_noticed_at_once() {
        let mut looks = 0;
        throughout("two looks", Duration::from_secs(60), || {
            looks += 1;
            if looks < 3 { Ok(()) } else { Err(format!("{looks} looks")) }
        });
    }

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let seen = eventually("three looks", Duration::from_secs(60), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("{looks} looks")) }
        });
        assert_eq!(seen, 3);
    }

    #[test]
    fn a_condition_that_stays_false_is_given_up_with_what_was_seen() {
        let seen: Result<(), _> = poll(Duration::ZERO, || Err("one node of three".into()));
        assert_eq!(seen, Err("one node of three".into()));
    }

    #[test]
    #[should_panic(expected = "three nodes: not within 0ns; last seen: one node")]
    fn a_wait_in_vain_says_what_it_waited_for() {
        eventually("three nodes", Duration::ZERO, || Err::<(), _>("one node".into()));
    }
}
