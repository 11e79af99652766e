//! What callers see, under a paused clock.

mod breaker;
mod retry;
