//! Numbers that look random, and are the same again for the same seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(crate) struct Seed(u64);

impl Seed {
    /// From `MESH_SEED`, or the clock; printed, so that a failure can be had again.
    pub(crate) fn of_the_day() -> Self {
        let given = std::env::var("MESH_SEED").ok().map(|seed| seed.parse().expect("MESH_SEED is a number"));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let seed = given.unwrap_or_else(clock);
        println!("MESH_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
