//! Settings of a node and of a client.

use mesh_net::TransportConfig;
use mesh_proto::membership::MembershipConfig;
use mesh_resilience::BreakerConfig;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// The most labels of a node. Every member keeps those of every other, and tells them on.
pub const LABELS_MAX: usize = 16;

/// The most bytes of a node's labels, keys and values together.
pub const LABELS_BYTES_MAX: usize = 1024;

/// Settings of a node. Nothing here is read from files or the environment.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where to accept connections. Port 0 takes a free one. Default `127.0.0.1:7946`.
    pub listen: SocketAddr,
    /// What others are told to dial, `HOST:PORT`, when it is not the bound address. Default `None`.
    pub advertise: Option<String>,
    /// Nodes to join through, `HOST:PORT`. Names are resolved anew at every attempt. Default none: a mesh of one.
    pub seeds: Vec<String>,
    /// What placement may ask for, such as `gpu=true`. At most [`LABELS_MAX`], of [`LABELS_BYTES_MAX`]
    /// together.
    pub labels: BTreeMap<String, String>,
    /// Limits and timers of connections. Default [`TransportConfig::lan`].
    pub transport: TransportConfig,
    /// How long joining may take before the node gives up: default 10 s, at least 100 ms.
    pub join_timeout: Duration,
    /// How long a leaving node lets its actors finish their mailboxes: default 30 s.
    pub drain_timeout: Duration,
    /// How long a stream is kept for a reader that was cut off, before its handler finds it closed: default 30 s, up to
    /// 1 h. Zero keeps none: a stream ends with its reader's connection. At most 4,096 streams and 64 MiB are kept.
    pub stream_parking: Duration,
    /// Settings of the circuit breakers of actors, and, but for slow calls, of nodes. Default [`BreakerConfig::default`].
    pub breakers: BreakerConfig,
    /// Settings of SWIM, but for the seeds, which are those above. Default [`MembershipConfig::lan`].
    pub membership: MembershipConfig,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7946)),
            advertise: None,
            seeds: Vec::new(),
            labels: BTreeMap::new(),
            transport: TransportConfig::lan(),
            join_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            stream_parking: Duration::from_secs(30),
            breakers: BreakerConfig::default(),
            membership: MembershipConfig::lan(),
        }
    }
}

impl NodeConfig {
    /// Every setting that is out of its range, as `key: what is wrong`.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(error) = self.transport.validate() {
            problems
                .extend(error.problems.iter().map(|one| format!("transport.{}: {}", one.key, one.problem)));
        }
        let too_short = |key: &str, least: Duration| format!("{key}: must be at least {least:?}");
        if self.join_timeout < Duration::from_millis(100) {
            problems.push(too_short("join_timeout", Duration::from_millis(100)));
        }
        if self.stream_parking > Duration::from_secs(3600) {
            problems.push("stream_parking: must be at most 1 h".to_owned());
        }
        if let Err(error) = self.breakers.validate() {
            problems
                .extend(error.problems.iter().map(|one| format!("breakers.{}: {}", one.field, one.problem)));
        }
        if let Err(error) = self.membership.validate() {
            problems.extend(error.problems.iter().map(|one| format!("membership.{one}")));
        }
        let label_bytes: usize = self.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        if self.labels.len() > LABELS_MAX || label_bytes > LABELS_BYTES_MAX {
            let labels = self.labels.len();
            problems.push(format!(
                "labels: {labels} labels of {label_bytes} bytes are more than {LABELS_MAX} of {LABELS_BYTES_MAX}"
            ));
        }
        for (index, seed) in self.seeds.iter().enumerate() {
            if seed
                .rsplit_once(':')
                .is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
            {
                problems.push(format!("seeds[{index}]: {seed:?} is not HOST:PORT"));
            }
        }
        problems
    }
}
