//! How runs are run.

use std::time::Duration;

use mesh_resilience::{ConfigError, RetryConfig};

use super::Clock;

/// How runs are run.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// How long a run stays with a process that says nothing: so much later another one may take it up. 15 s; 100 ms to
    /// 1 h. A step that blocks its thread for longer loses its run.
    pub lease: Duration,
    /// How often a step is attempted, and the pauses in between. Three times, by the defaults of [`RetryConfig`].
    pub attempts: RetryConfig,
    /// How many checkpoints of a run are kept, beside those that are tagged `pin` or that a run was forked from. 10; at
    /// least 1.
    pub checkpoints: usize,
    /// How long a step has to end by itself when its run is cancelled. 5 s.
    pub cancel_grace: Duration,
    /// How often a run may be taken up in the middle of one and the same step before it has failed (`POISONED`): what it
    /// does may be what ends the processes. 20.
    pub interruptions_max: u32,
    /// What time it is.
    pub clock: Clock,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            attempts: RetryConfig::default(),
            checkpoints: 10,
            cancel_grace: Duration::from_secs(5),
            interruptions_max: 20,
            clock: Clock::system(),
        }
    }
}

impl RunSettings {
    /// Checks the settings of attempts.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.attempts.validate()
    }

    /// The lease in milliseconds, within its range.
    pub(super) fn lease_ms(&self) -> u32 {
        let lease = self.lease.clamp(Duration::from_millis(100), Duration::from_secs(3600));
        u32::try_from(lease.as_millis()).unwrap_or(u32::MAX)
    }
}
