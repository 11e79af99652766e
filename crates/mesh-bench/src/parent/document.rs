//! The figures as one JSON document.

use anyhow::Result;
use serde::Serialize;

use super::{machine::Machine, results::Results};

#[derive(Serialize)]
struct Document<'a> {
    machine: &'a Machine,
    rows: Vec<Row<'a>>,
    failures: &'a [String],
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    peer: &'static str,
    unit: &'static str,
    value: f64,
    /// Microseconds; null where no ask was timed.
    p50: Option<f64>,
    p99: Option<f64>,
    /// The value of each run, in order.
    runs: &'a [f64],
}

/// Renders machine and figures.
///
/// # Errors
/// If a figure is not a number.
pub(crate) fn render(machine: &Machine, results: &Results) -> Result<String> {
    let rows = results.figures().iter().map(|figure| Row {
        id: &figure.id,
        peer: figure.peer.label(),
        unit: figure.unit.label(),
        value: figure.value(),
        p50: figure.p50(),
        p99: figure.p99(),
        runs: &figure.values,
    });
    let document = Document { machine, rows: rows.collect(), failures: results.failures() };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        peer::PeerName,
        pin::Placement,
        reading::{Reading, Unit},
        row,
    };

    #[test]
    fn a_row_has_the_fields_that_scripts_rely_on() {
        let mut results = Results::default();
        let row = row::Row::R2 { callers: 64 };
        results.add(row, PeerName::RawQuinn, Ok(vec![Reading::new("R2_64", Unit::PerSecond, 7.5)]));
        let machine = Machine::detect(&Placement::detect(), 3);
        let document: Value = serde_json::from_str(&render(&machine, &results).unwrap()).unwrap();
        assert!(document["machine"].is_object());
        let row = &document["rows"][0];
        assert_eq!(
            (&row["id"], &row["peer"], &row["unit"]),
            (&"R2_64".into(), &"raw_quinn".into(), &"1/s".into())
        );
        assert_eq!((&row["value"], &row["p50"], &row["p99"]), (&7.5.into(), &Value::Null, &Value::Null));
    }
}
