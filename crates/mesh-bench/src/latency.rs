//! Latencies and their percentiles.

use std::time::Duration;

/// A sorted set of latencies.
#[derive(Debug)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// Takes samples in any order.
    pub(crate) fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self { sorted: samples }
    }

    /// The latency below which `percent` of the samples lie, in microseconds; 0 without samples.
    pub(crate) fn percentile_us(&self, percent: usize) -> f64 {
        let rank = (self.sorted.len() * percent / 100).min(self.sorted.len().saturating_sub(1));
        self.sorted.get(rank).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// The median of figures from several runs; 0 without figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.as_slice() {
        [] => 0.0,
        [one] => *one,
        many if many.len().is_multiple_of(2) => f64::midpoint(many[many.len() / 2 - 1], many[many.len() / 2]),
        many => many[many.len() / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_sorted_samples() {
        let latencies = Latencies::new((1..=100).rev().map(Duration::from_micros).collect());
        assert!((latencies.percentile_us(50) - 51.0).abs() < 1e-9);
        assert!((latencies.percentile_us(99) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn no_samples_and_no_figures_are_zero() {
        assert!(Latencies::new(Vec::new()).percentile_us(99).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert!((median(&[4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!((median(&[9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
