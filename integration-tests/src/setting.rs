use std::env;

/// A number from the environment that makes a test longer (`make torture`, `make soak`), or `default`.
///
/// # Panics
/// If it is set to anything but a number: a long run that was asked for must not pass as a short one.
#[must_use]
pub fn setting(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")),
        Err(_) => default,
    }
}
