use std::time::Duration;

use mesh_net::TransportConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, units};

/// The limits and clocks of connections to other nodes: a profile, and what differs from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct TransportSettings {
    /// "lan" for a data centre or one machine, where silence is noticed within seconds; "wan" for the internet. It
    /// decides whatever is not given below.
    pub profile: Profile,
    /// Silence after which a connection is given up; 100 ms to 10 min. Default: 2 s (lan), 30 s (wan).
    #[serde(with = "units::duration_or_default")]
    #[schemars(with = "Option<String>", example = &"2s")]
    pub idle_timeout: Option<Duration>,
    /// Pause after which an idle connection sends a sign of life; at most half of idle_timeout. Default: 200 ms (lan),
    /// 2 s (wan). With more than 100 nodes take 500 ms or more.
    #[serde(with = "units::duration_or_default")]
    #[schemars(with = "Option<String>", example = &"200ms")]
    pub keep_alive: Option<Duration>,
    /// How long a handshake may take; 10 ms to 1 min. Default: 3 s (lan), 10 s (wan).
    #[serde(with = "units::duration_or_default")]
    #[schemars(with = "Option<String>", example = &"3s")]
    pub connect_timeout: Option<Duration>,
    /// Bytes in flight or unread on one stream; 4 KiB to 64 MiB. Default: 256 KiB (lan), 1 MiB (wan).
    #[serde(with = "units::size_or_default")]
    #[schemars(with = "Option<String>", example = &"256KiB")]
    pub stream_window: Option<u32>,
    /// Bytes in flight or unread on one connection, and so what a peer can cost at most; from stream_window to 1 GiB.
    /// Default: 16 MiB.
    #[serde(with = "units::size_or_default")]
    #[schemars(with = "Option<String>", example = &"16MiB")]
    pub connection_window: Option<u32>,
    /// Bytes held for retransmission on one connection before writers wait; 64 KiB to 1 GiB. Default: 8 MiB (lan),
    /// 16 MiB (wan).
    #[serde(with = "units::size_or_default")]
    #[schemars(with = "Option<String>", example = &"8MiB")]
    pub send_window: Option<u32>,
    /// Size of the socket's buffers in the kernel; 64 KiB to 256 MiB. Default: 4 MiB. Smaller ones lose datagrams.
    #[serde(with = "units::size_or_default")]
    #[schemars(with = "Option<String>", example = &"4MiB")]
    pub socket_buffer_bytes: Option<u32>,
    /// Largest datagram that is tried, in bytes; 1200 to 8191. Default: 1452, the most that Ethernet carries.
    #[schemars(example = 1452)]
    pub mtu_max: Option<u16>,
}

/// How far the other nodes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Profile {
    /// In the same data centre, or on the same machine.
    #[default]
    Lan,
    /// Across the internet.
    Wan,
}

impl TransportSettings {
    /// The profile with what differs from it.
    #[must_use]
    pub fn config(&self) -> TransportConfig {
        let base = match self.profile {
            Profile::Lan => TransportConfig::lan(),
            Profile::Wan => TransportConfig::wan(),
        };
        TransportConfig {
            idle_timeout: self.idle_timeout.unwrap_or(base.idle_timeout),
            keep_alive: self.keep_alive.unwrap_or(base.keep_alive),
            connect_timeout: self.connect_timeout.unwrap_or(base.connect_timeout),
            stream_window: self.stream_window.unwrap_or(base.stream_window),
            connection_window: self.connection_window.unwrap_or(base.connection_window),
            send_window: self.send_window.unwrap_or(base.send_window),
            socket_buffer_bytes: self.socket_buffer_bytes.unwrap_or(base.socket_buffer_bytes),
            mtu_max: self.mtu_max.unwrap_or(base.mtu_max),
            ..base
        }
    }

    pub(super) fn validate(&self) -> Vec<Problem> {
        let Err(error) = self.config().validate() else { return Vec::new() };
        let problem = |problem: mesh_net::ConfigProblem| {
            Problem::new(format!("transport.{}", problem.key), problem.problem)
        };
        error.problems.into_iter().map(problem).collect()
    }
}
