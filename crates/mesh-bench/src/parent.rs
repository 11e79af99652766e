//! The parent: what to measure, in which order, and what became of it.

mod document;
mod machine;
mod measurement;
mod process;
mod results;
mod table;

use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use self::{machine::Machine, measurement::Measurement, results::Results};
use crate::{args::Args, peer::PeerName, pin::Placement, row::Row, tls::Certificates};

/// Measures what `args` ask for and prints the table.
///
/// A measurement that fails is named in the output and costs its own cell only; the exit code is then 1.
///
/// # Errors
/// If there is nothing to measure, or the table or the JSON file can't be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let certificates = Certificates::generate()?;
    let placement = Placement::detect();
    let rows: Vec<Row> = Row::ALL.into_iter().filter(|row| is_wanted(args, *row)).collect();
    ensure!(
        rows.iter().any(|row| !peers(args, *row).is_empty()),
        "no peer among those asked for has these rows"
    );

    let machine = Machine::detect(&placement, args.runs.get());
    let mut out = io::stdout().lock();
    machine.print(&mut out)?;
    let mut results = Results::default();
    for row in rows {
        measure_row(args, row, &placement, &certificates, &mut results)?;
    }
    table::print(&mut out, &results)?;
    if let Some(path) = &args.json {
        let document = document::render(&machine, &results)?;
        fs::write(path, document).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(if results.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The peers take turns within each run, so that noise hits all of them.
fn measure_row(
    args: &Args,
    row: Row,
    placement: &Placement,
    certificates: &Certificates,
    results: &mut Results,
) -> Result<()> {
    let length =
        args.seconds.map_or(row.default_length(), |seconds| Duration::from_secs(seconds.get().into()));
    for run in 1..=args.runs.get() {
        for peer in peers(args, row) {
            let measurement = Measurement { row, peer, length, placement, certificates };
            let outcome = measurement.run();
            progress(row, peer, run, &outcome)?;
            results.add(row, peer, outcome);
        }
    }
    Ok(())
}

fn progress<T>(row: Row, peer: PeerName, run: u32, outcome: &Result<T>) -> Result<()> {
    let (row, peer) = (row.id(), peer.label());
    match outcome {
        Ok(_) => writeln!(io::stderr(), "{row} {peer} run {run}")?,
        Err(error) => writeln!(io::stderr(), "{row} {peer} run {run} failed: {error:#}")?,
    }
    Ok(())
}

fn is_wanted(args: &Args, row: Row) -> bool {
    args.only.is_empty() || args.only.iter().any(|filter| filter.admits(row))
}

fn peers(args: &Args, row: Row) -> Vec<PeerName> {
    let wanted = |peer: &PeerName| args.peers.is_empty() || args.peers.contains(peer);
    row.peers().iter().copied().filter(wanted).collect()
}
