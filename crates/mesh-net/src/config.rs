//! The limits and clocks of a transport.

use std::fmt;
use std::time::Duration;

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// Largest UDP payload of plain Ethernet over IPv4: what we accept even where we send less.
pub(crate) const ETHERNET_PAYLOAD: u16 = 1472;
/// Out-of-order bytes of a handshake that are kept in each packet space: several times a handshake of ours.
pub(crate) const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// Datagrams that wait, each way: beyond it the oldest are dropped.
pub(crate) const DATAGRAM_BUFFER_BYTES: usize = 64 * 1024;
/// Initial, handshake and application (RFC 9000 §12.3).
const PACKET_SPACES: u64 = 3;
/// Packets that one receive call may bring: 32 messages of the system with up to 64 packets each.
const RECEIVE_PACKETS: u64 = 32 * 64;

/// The limits and clocks of an endpoint and its connections.
///
/// Every limit of the QUIC stack that could grow with a peer's wishes is set from here; none keeps its library
/// default. What one connection may cost, at a peer that does its worst ([`connection_bytes_max`](Self::connection_bytes_max)):
///
/// | what | bytes at most | LAN |
/// |---|---|---|
/// | received on streams and not read | min(`connection_window`, `uni_streams_max` × `stream_window`) | 16 MiB |
/// | received in datagrams and not read | 64 KiB | 64 KiB |
/// | received of the handshake, out of order | 16 KiB in each of 3 packet spaces | 48 KiB |
/// | sent on streams and not acknowledged | `send_window` | 8 MiB |
/// | waiting to be sent in datagrams | 64 KiB | 64 KiB |
/// | both ways on streams that the peer opened in both directions | none: 0 are permitted | 0 |
///
/// And what an endpoint costs beside its connections ([`endpoint_bytes_max`](Self::endpoint_bytes_max)):
///
/// | what | bytes at most | LAN |
/// |---|---|---|
/// | the socket's buffers, in the kernel | 2 × `socket_buffer_bytes` | 8 MiB |
/// | the buffer of one receive call | 2,048 × max(`mtu_max`, 1,472) | 2.9 MiB |
/// | first packets of callers who were not looked at | `max_incoming` × `incoming_buffer_bytes` | 16 MiB |
///
/// A process that reads what it receives, as this product's does, holds a small part of it: what may wait above the streams has bounds of
/// its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportConfig {
    /// Silence after which a connection is given up as [`TimedOut`](crate::CloseReason::TimedOut).
    ///
    /// LAN 2 s, WAN 30 s; 100 ms to 10 min. The smaller of the two peers' values holds.
    pub idle_timeout: Duration,
    /// Pause after which an idle connection sends a sign of life.
    ///
    /// LAN 200 ms, WAN 2 s. At most half of `idle_timeout`, so that one lost datagram ends nothing. Each peer costs
    /// one small datagram in each direction per pause: with more than 100 peers choose 500 ms.
    pub keep_alive: Duration,
    /// Pause between two questions to a peer's machine whether the peer's port is still open; see [`Probe`](crate::Probe).
    ///
    /// LAN 50 ms, WAN 1 s; 10 ms to 1 min. A process that was killed is known about one pause and 60 ms later, where
    /// the answers come through. Each peer costs one byte per pause: with more than 100 peers choose 500 ms.
    pub loss_probe: Duration,
    /// How long a handshake may take, dialled or accepted, before it is given up.
    ///
    /// LAN 3 s, WAN 10 s; 10 ms to 1 min.
    pub connect_timeout: Duration,
    /// How long opening a stream waits while the peer permits no more of them.
    ///
    /// LAN 3 s, WAN 10 s; 10 ms to 1 min.
    pub open_timeout: Duration,
    /// Round-trip time assumed before the first is measured; a lost first packet is sent again after three times this.
    ///
    /// LAN 50 ms, WAN 333 ms (RFC 9002 §6.2.2); 1 ms to 5 s.
    pub initial_rtt: Duration,
    /// Bytes that the peer may have in flight or unread on one stream.
    ///
    /// LAN 256 KiB, WAN 1 MiB; 4 KiB to 64 MiB. At least bandwidth times round-trip time of what one stream must carry.
    pub stream_window: u32,
    /// Bytes that the peer may have in flight or unread on all streams of a connection together.
    ///
    /// 16 MiB; from `stream_window` to 1 GiB. Larger than `stream_window`, so that one stream which nobody reads
    /// can't stop the others.
    pub connection_window: u32,
    /// Bytes that we hold for retransmission on one connection before writers wait.
    ///
    /// LAN 8 MiB, WAN 16 MiB; 64 KiB to 1 GiB.
    pub send_window: u32,
    /// Unidirectional streams that the peer may have open at once.
    ///
    /// 64; 1 to 1,024. Counts the long-lived lanes as well as one stream per large body. **Each permitted stream
    /// costs some memory at once**, used or not.
    pub uni_streams_max: u16,
    /// Size asked for each of the socket's two kernel buffers.
    ///
    /// 4 MiB; 64 KiB to 256 MiB. Small buffers lose datagrams in bursts (0.9 % at the usual 208 KiB, none at 4 MiB).
    /// The kernel silently caps it at `net.core.rmem_max` and `wmem_max`.
    pub socket_buffer_bytes: u32,
    /// UDP payload that is used before the path's limit is known, in bytes.
    ///
    /// 1200, which every path must carry (RFC 9000 §14); 1200 to `mtu_max`. Where all paths are known to carry more
    /// (jumbo frames, loopback), starting higher saves the search.
    pub mtu_initial: u16,
    /// Largest UDP payload that the search for the path's limit may try, and that we accept, in bytes.
    ///
    /// 1452, the most that plain Ethernet carries over IPv6; 1200 to 8,191 (larger ones stalled when measured).
    /// 6000 on a jumbo path nearly doubles bulk throughput.
    pub mtu_max: u16,
    /// Whether the kernel splits one large write into datagrams (generic segmentation offload).
    ///
    /// True. Turning it off costs more than half of the throughput; needed only with drivers that break it.
    pub segmentation_offload: bool,
    /// Connections that may exist at once, dialled and accepted; further callers are refused.
    ///
    /// 2,048; 1 to 65,535. An idle one costs about 40 KiB; the worst case is the formula above.
    pub connections_max: u16,
    /// Connection attempts that may wait to be looked at; further ones are ignored, and their callers repeat them.
    ///
    /// 256; 1 to 65,535.
    pub max_incoming: u16,
    /// Bytes buffered for one connection attempt that waits to be looked at.
    ///
    /// 64 KiB; 2 KiB to 1 MiB.
    pub incoming_buffer_bytes: u32,
    /// Accepted handshakes that may be in progress at once; the rest wait among `max_incoming`.
    ///
    /// 64; 2 to 4,096. From half of it on, a caller must first prove that it receives at its address (QUIC Retry),
    /// so that a flood of forged first packets can't occupy more than half.
    pub handshakes_max: u16,
}

impl TransportConfig {
    /// For peers within a data centre or one machine: loss is noticed within about two seconds.
    pub fn lan() -> Self {
        Self {
            idle_timeout: Duration::from_secs(2),
            keep_alive: Duration::from_millis(200),
            loss_probe: Duration::from_millis(50),
            connect_timeout: Duration::from_secs(3),
            open_timeout: Duration::from_secs(3),
            initial_rtt: Duration::from_millis(50),
            stream_window: 256 * KIB,
            connection_window: 16 * MIB,
            send_window: 8 * MIB,
            uni_streams_max: 64,
            socket_buffer_bytes: 4 * MIB,
            mtu_initial: 1200,
            mtu_max: 1452,
            segmentation_offload: true,
            connections_max: 2048,
            max_incoming: 256,
            incoming_buffer_bytes: 64 * KIB,
            handshakes_max: 64,
        }
    }

    /// For peers across the internet: patient clocks, windows for long paths.
    pub fn wan() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(2),
            loss_probe: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(10),
            open_timeout: Duration::from_secs(10),
            initial_rtt: Duration::from_millis(333),
            stream_window: MIB,
            send_window: 16 * MIB,
            ..Self::lan()
        }
    }

    /// Most bytes that one connection may hold, at a peer that does its worst: the first table above.
    pub fn connection_bytes_max(&self) -> u64 {
        let on_streams = u64::from(self.uni_streams_max) * u64::from(self.stream_window);
        let received = on_streams.min(self.connection_window.into()) + DATAGRAM_BUFFER_BYTES as u64;
        let handshake = PACKET_SPACES * HANDSHAKE_BYTES_MAX as u64;
        received + handshake + u64::from(self.send_window) + DATAGRAM_BUFFER_BYTES as u64
    }

    /// Most bytes that an endpoint may hold beside its connections, its socket's buffers in the kernel included: the second
    /// table above.
    pub fn endpoint_bytes_max(&self) -> u64 {
        let socket = 2 * u64::from(self.socket_buffer_bytes);
        let receive = RECEIVE_PACKETS * u64::from(self.mtu_max.max(ETHERNET_PAYLOAD));
        socket + receive + u64::from(self.max_incoming) * u64::from(self.incoming_buffer_bytes)
    }

    /// Checks every field against its documented range.
    ///
    /// # Errors
    /// [`TransportConfigError`] with *all* problems, not only the first.
    pub fn validate(&self) -> Result<(), TransportConfigError> {
        let ms = Duration::from_millis;
        let mut check = Check { problems: Vec::new() };
        check.range("idle_timeout", &self.idle_timeout, &ms(100), &ms(600_000));
        check.range("keep_alive", &self.keep_alive, &ms(10), &(self.idle_timeout / 2));
        check.range("loss_probe", &self.loss_probe, &ms(10), &ms(60_000));
        check.range("connect_timeout", &self.connect_timeout, &ms(10), &ms(60_000));
        check.range("open_timeout", &self.open_timeout, &ms(10), &ms(60_000));
        check.range("initial_rtt", &self.initial_rtt, &ms(1), &ms(5_000));
        check.range("stream_window", &self.stream_window, &(4 * KIB), &(64 * MIB));
        check.range("connection_window", &self.connection_window, &self.stream_window, &(1024 * MIB));
        check.range("send_window", &self.send_window, &(64 * KIB), &(1024 * MIB));
        check.range("uni_streams_max", &self.uni_streams_max, &1, &1024);
        check.range("socket_buffer_bytes", &self.socket_buffer_bytes, &(64 * KIB), &(256 * MIB));
        check.range("mtu_max", &self.mtu_max, &1200, &8191);
        check.range("mtu_initial", &self.mtu_initial, &1200, &self.mtu_max);
        check.range("connections_max", &self.connections_max, &1, &u16::MAX);
        check.range("max_incoming", &self.max_incoming, &1, &u16::MAX);
        check.range("incoming_buffer_bytes", &self.incoming_buffer_bytes, &(2 * KIB), &MIB);
        check.range("handshakes_max", &self.handshakes_max, &2, &4096);
        if check.problems.is_empty() {
            return Ok(());
        }
        Err(TransportConfigError { problems: check.problems })
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self::lan()
    }
}

struct Check {
    problems: Vec<ConfigProblem>,
}

impl Check {
    fn range<T: PartialOrd + fmt::Debug>(&mut self, key: &'static str, value: &T, min: &T, max: &T) {
        if value < min || value > max {
            self.problems
                .push(ConfigProblem { key, problem: format!("{value:?} is not within {min:?} to {max:?}") });
        }
    }
}

/// One field of a configuration that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The field's name.
    pub key: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

/// A configuration that can't be used: the operator's fault, nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct TransportConfigError {
    /// Every problem found; never empty.
    pub problems: Vec<ConfigProblem>,
}

impl fmt::Display for TransportConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ConfigProblem { key, problem }) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{key}: {problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_are_valid() {
        assert_eq!(TransportConfig::lan().validate(), Ok(()));
        assert_eq!(TransportConfig::wan().validate(), Ok(()));
    }

    #[test]
    fn the_worst_case_is_what_the_tables_say() {
        let lan = TransportConfig::lan();
        assert_eq!(lan.connection_bytes_max(), u64::from(24 * MIB + (64 + 48 + 64) * KIB));
        assert_eq!(lan.endpoint_bytes_max(), u64::from(24 * MIB) + 2048 * 1472);
        let few = TransportConfig { uni_streams_max: 2, ..lan };
        assert_eq!(few.connection_bytes_max(), u64::from(8 * MIB + (512 + 64 + 48 + 64) * KIB));
    }

    #[test]
    fn validation_reports_every_problem_at_once() {
        let config = TransportConfig {
            keep_alive: Duration::from_secs(5),
            mtu_initial: 9000,
            uni_streams_max: 0,
            ..TransportConfig::lan()
        };
        let error = config.validate().expect_err("three fields are wrong");
        let keys: Vec<_> = error.problems.iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["keep_alive", "uni_streams_max", "mtu_initial"]);
        assert!(error.to_string().starts_with("keep_alive: 5s is not within 10ms to 1s; "), "{error}");
    }
}
