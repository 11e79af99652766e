//! Times as people read them.

use std::fmt;
use std::time::Duration;

/// A time to the precision that people care for: `250ms`, `59.5s`, `1m 30s`, `2h 5m`, `3d 4h`.
///
/// It is for errors and progress. A setting is shown as it was given, which this may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded(pub Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded before the unit is chosen: 59.96 s are a minute.
        let to = |nanos: u128| (self.0.as_nanos() + nanos / 2) / nanos;
        let (millis, tenths, seconds, minutes) =
            (to(1_000_000), to(100_000_000), to(1_000_000_000), to(60_000_000_000));
        match (millis, tenths, seconds, minutes) {
            (0, ..) if !self.0.is_zero() => f.write_str("under 1ms"),
            (0, ..) => f.write_str("0s"),
            (..1_000, ..) => write!(f, "{millis}ms"),
            (_, ..600, ..) if tenths % 10 != 0 => write!(f, "{}.{}s", tenths / 10, tenths % 10),
            (_, ..600, ..) => write!(f, "{}s", tenths / 10),
            (_, _, ..3_600, _) => two(f, (seconds / 60, "m"), (seconds % 60, "s")),
            (_, _, _, ..1_440) => two(f, (minutes / 60, "h"), (minutes % 60, "m")),
            _ => two(f, (minutes / 1_440, "d"), (minutes % 1_440 / 60, "h")),
        }
    }
}

fn two(f: &mut fmt::Formatter<'_>, (much, of): (u128, &str), (little, unit): (u128, &str)) -> fmt::Result {
    if little == 0 { write!(f, "{much}{of}") } else { write!(f, "{much}{of} {little}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_to_the_precision_that_people_care_for() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.000_2, "under 1ms"),
            (0.25, "250ms"),
            (0.999_9, "1s"),
            (1.234, "1.2s"),
            (59.494_525_123, "59.5s"),
            (59.96, "1m"),
            (120.0, "2m"),
            (90.4, "1m 30s"),
            (3_599.7, "1h"),
            (7_500.0, "2h 5m"),
            (273_600.0, "3d 4h"),
        ] {
            assert_eq!(Rounded(Duration::from_secs_f64(seconds)).to_string(), text, "{seconds}");
        }
        assert!(!Rounded(Duration::MAX).to_string().is_empty());
    }
}
