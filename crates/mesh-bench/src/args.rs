//! The command line.

use std::{num::NonZeroU32, path::PathBuf};

use clap::Parser;

use crate::{peer::PeerName, row::RowFilter};

/// Measures the mesh beside its peers on this machine and prints the table.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Rows to measure, as in `R1,R3`; a family (`R2`) or one of its figures (`R5_lost`) will do. Default: all.
    #[arg(long, value_name = "ROWS", value_delimiter = ',')]
    pub(crate) only: Vec<RowFilter>,

    /// Peers to measure, as in `ours,raw_quinn`. Default: all that a row has.
    #[arg(long, value_name = "PEERS", value_delimiter = ',')]
    pub(crate) peers: Vec<PeerName>,

    /// Also writes the figures as one JSON document to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Runs of which the median is taken; fewer than three are for a quick look only.
    #[arg(long, default_value = "3")]
    pub(crate) runs: NonZeroU32,

    /// Length of each timed measurement in seconds. Default: R2 3, R5 10, R6 3, S300 3.
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<NonZeroU32>,

    /// Runs as one end of a measurement, under orders on stdin.
    #[arg(long, hide = true)]
    pub(crate) child: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_unknown_row_is_a_usage_error_that_lists_the_rows() {
        let error = Args::try_parse_from(["mesh-bench", "--only", "R99"]).unwrap_err().to_string();
        assert!(error.contains("R99") && error.contains("R2_64"), "{error}");
    }

    #[test]
    fn rows_and_peers_come_as_lists() {
        let args =
            Args::try_parse_from(["mesh-bench", "--only", "R1,R2", "--peers", "ours,raw_quinn"]).unwrap();
        assert_eq!(args.only.len(), 2);
        assert_eq!(args.peers, [PeerName::Ours, PeerName::RawQuinn]);
    }
}
