//! What membership costs and how fast it is, in simulated meshes.
//!
//! ```text
//! cargo run --release -p mesh-proto --features sim --example membership_figures [SEED]
//! ```
//!
//! Bytes are those of datagrams and frames, without what QUIC and UDP add (about 60 a datagram). It takes minutes.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use mesh_proto::membership::sim::{
    Conditions,
    figures::{Figure, deaths, joined, partition, quiet},
};
use std::{env, error::Error, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let seed: u64 = env::args().nth(1).map_or(Ok(1), |seed| seed.parse())?;
    let (lan, lossy) = (Conditions::lan(), Conditions::lossy(100));
    let minute = Duration::from_secs(60);
    for nodes in [5, 100, 300] {
        show(|| quiet(nodes, minute * 5, lan, seed))?;
    }
    for (nodes, dead) in [(5, 1), (100, 1), (100, 10), (300, 1), (300, 30)] {
        show(|| deaths(nodes, dead, lan, seed))?;
        show(|| deaths(nodes, dead, lossy, seed))?;
    }
    show(|| partition(5, 2, minute / 2, seed))?;
    show(|| partition(100, 50, minute / 2, seed))?;
    for nodes in [5, 100, 300] {
        show(|| joined(nodes, lan, seed).map(|(_, figure)| figure))?;
    }
    for nodes in [5, 100, 300] {
        show(|| quiet(nodes, minute * 60, lossy, seed))?;
    }
    show(|| joined(1000, lan, seed).map(|(_, figure)| figure))?;
    Ok(())
}

fn show(scenario: impl FnOnce() -> Result<Figure, String>) -> Result<(), String> {
    println!("{}", scenario()?);
    Ok(())
}
