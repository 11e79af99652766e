//! The figures as a table for people: a line for each figure, a column for each peer, then the ratios.

use std::io::{self, Write};

use super::results::{Figure, Results};
use crate::peer::PeerName;

/// Columns of peers, in order; one without figures is left out.
const PEERS: [PeerName; 6] = [
    PeerName::Ours,
    PeerName::OursTrusted,
    PeerName::RawQuinn,
    PeerName::RawQuinnUni,
    PeerName::Ractor,
    PeerName::TokioMpsc,
];

/// Columns of ratios: the first peer's figure over the second's.
const RATIOS: [(PeerName, PeerName); 4] = [
    (PeerName::Ours, PeerName::RawQuinn),
    (PeerName::OursTrusted, PeerName::RawQuinn),
    (PeerName::Ours, PeerName::Ractor),
    (PeerName::Ours, PeerName::TokioMpsc),
];

/// Prints the table and, below it, what could not be measured.
///
/// # Errors
/// If `out` can't be written to.
pub(crate) fn print(out: &mut impl Write, results: &Results) -> io::Result<()> {
    let lines = layout(results.figures());
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in &lines {
        let mut text = format!("{:<width$}", line[0], width = widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            text.push_str(&format!("  {cell:>width$}"));
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    for failure in results.failures() {
        writeln!(out, "failed: {failure}")?;
    }
    Ok(())
}

fn layout(figures: &[Figure]) -> Vec<Vec<String>> {
    let is_measured = |peer: &PeerName| figures.iter().any(|figure| figure.peer == *peer);
    let peers: Vec<PeerName> = PEERS.into_iter().filter(is_measured).collect();
    let ratios: Vec<_> = RATIOS.into_iter().filter(|(a, b)| is_measured(a) && is_measured(b)).collect();

    let mut head = vec!["row".to_owned(), "unit".to_owned()];
    head.extend(peers.iter().map(|peer| peer.label().to_owned()));
    head.extend(ratios.iter().map(|(ours, other)| format!("{}/{}", ours.label(), other.label())));
    let mut lines = vec![head];

    let mut ids: Vec<&str> = Vec::new();
    for figure in figures {
        if !ids.contains(&figure.id.as_str()) {
            ids.push(&figure.id);
        }
    }
    for id in ids {
        let find = |peer: PeerName| figures.iter().find(|figure| figure.id == id && figure.peer == peer);
        let unit = figures.iter().find(|figure| figure.id == id).map_or("", |figure| figure.unit.label());
        let mut line = vec![id.to_owned(), unit.to_owned()];
        line.extend(peers.iter().map(|peer| find(*peer).map_or_else(String::new, cell)));
        let ratio = |ours, other| Some(find(ours)?.value() / find(other)?.value());
        line.extend(
            ratios.iter().map(|(ours, other)| ratio(*ours, *other).map_or_else(String::new, in_words)),
        );
        lines.push(line);
    }
    lines
}

/// The value, with p50 and p99 in microseconds where asks were timed.
fn cell(figure: &Figure) -> String {
    let value = scaled(figure.value());
    match (figure.p50(), figure.p99()) {
        (Some(p50), Some(p99)) if figure.unit == crate::reading::Unit::Micros => {
            format!("{}/{}", scaled(p50), scaled(p99))
        }
        (Some(p50), Some(p99)) => format!("{value} ({}/{})", scaled(p50), scaled(p99)),
        _ => value,
    }
}

fn in_words(ratio: f64) -> String {
    if ratio.is_finite() { format!("{ratio:.2}") } else { "-".into() }
}

/// Three digits that matter, with k and M for thousands and millions.
fn scaled(value: f64) -> String {
    let (value, suffix) = match value {
        large if large >= 1e6 => (large / 1e6, "M"),
        medium if medium >= 1e4 => (medium / 1e3, "k"),
        small => (small, ""),
    };
    match value {
        whole if whole >= 100.0 || whole == 0.0 => format!("{whole:.0}{suffix}"),
        tens if tens >= 10.0 => format!("{tens:.1}{suffix}"),
        ones => format!("{ones:.2}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latency::Latencies,
        reading::{Reading, Unit},
        row::Row,
    };

    fn printed(readings: Vec<(PeerName, Reading)>) -> String {
        let mut results = Results::default();
        for (peer, reading) in readings {
            results.add(Row::R3, peer, Ok(vec![reading]));
        }
        let mut out = Vec::new();
        print(&mut out, &results).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_ratio_stands_beside_the_figures_it_compares() {
        let table = printed(vec![
            (PeerName::Ours, Reading::new("R3", Unit::PerSecond, 4.0e6)),
            (PeerName::RawQuinn, Reading::new("R3", Unit::PerSecond, 5.0e6)),
        ]);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["row", "unit", "ours", "raw_quinn", "ours/raw_quinn"]);
        assert_eq!(lines[1], ["R3", "1/s", "4.00M", "5.00M", "0.80"]);
    }

    #[test]
    fn latencies_are_median_and_99th_percentile() {
        let latencies = Latencies::new(vec![std::time::Duration::from_micros(25); 10]);
        let table = printed(vec![(PeerName::RawQuinn, Reading::latency("R1", &latencies))]);
        assert!(table.contains("25.0/25.0"), "{table}");
    }

    #[test]
    fn nothing_measured_prints_a_head_alone() {
        assert_eq!(printed(vec![]), "row  unit\n");
    }
}
