//! Readings of all runs, by figure and peer.

use anyhow::Result;

use crate::{
    latency::median,
    peer::PeerName,
    reading::{Reading, Unit},
    row::Row,
};

/// All figures so far, in the order in which they first came.
#[derive(Debug, Default)]
pub(crate) struct Results {
    figures: Vec<Figure>,
    failures: Vec<String>,
}

/// One figure of one peer over all runs.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) id: String,
    pub(crate) peer: PeerName,
    pub(crate) unit: Unit,
    pub(crate) values: Vec<f64>,
    p50s: Vec<f64>,
    p99s: Vec<f64>,
}

impl Figure {
    pub(crate) fn value(&self) -> f64 {
        median(&self.values)
    }

    pub(crate) fn p50(&self) -> Option<f64> {
        (!self.p50s.is_empty()).then(|| median(&self.p50s))
    }

    pub(crate) fn p99(&self) -> Option<f64> {
        (!self.p99s.is_empty()).then(|| median(&self.p99s))
    }
}

impl Results {
    /// Takes in one measurement.
    pub(crate) fn add(&mut self, row: Row, peer: PeerName, outcome: Result<Vec<Reading>>) {
        match outcome {
            Ok(readings) => readings.into_iter().for_each(|reading| self.add_reading(peer, reading)),
            Err(error) => self.failures.push(format!("{} {}: {error:#}", row.id(), peer.label())),
        }
    }

    /// The figures, a figure's peers beside one another.
    pub(crate) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// What could not be measured, and why.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    fn add_reading(&mut self, peer: PeerName, reading: Reading) {
        let Reading { id, unit, value, p50, p99 } = reading;
        let figure = match self.figures.iter_mut().position(|figure| figure.id == id && figure.peer == peer) {
            Some(known) => &mut self.figures[known],
            None => {
                self.figures.push(Figure { id, peer, unit, values: vec![], p50s: vec![], p99s: vec![] });
                self.figures.last_mut().expect("one was just pushed")
            }
        };
        figure.values.push(value);
        figure.p50s.extend(p50);
        figure.p99s.extend(p99);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_its_runs() {
        let mut results = Results::default();
        for value in [5.0, 1.0, 3.0] {
            results.add(Row::R3, PeerName::RawQuinn, Ok(vec![Reading::new("R3", Unit::PerSecond, value)]));
        }
        let [figure] = results.figures() else { panic!("one figure") };
        assert!((figure.value() - 3.0).abs() < 1e-9);
        assert_eq!(figure.p99(), None);
    }

    #[test]
    fn a_failure_names_row_and_peer_and_leaves_the_rest() {
        let mut results = Results::default();
        results.add(Row::R1, PeerName::RawQuinn, Err(anyhow::anyhow!("no reply")));
        results.add(Row::R3, PeerName::RawQuinn, Ok(vec![Reading::new("R3", Unit::PerSecond, 1.0)]));
        assert_eq!(results.failures(), ["R1 raw_quinn: no reply"]);
        assert_eq!(results.figures().len(), 1);
    }
}
