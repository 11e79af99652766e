//! What callers see, under a paused clock.

#![expect(clippy::unwrap_used, reason = "a fixture that breaks fails its test")]

mod breaker;
mod leases;
mod limiter;
mod retry;
mod throttle;
