//! Our limits as quinn's.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::congestion::CubicConfig;
use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{DATAGRAM_BUFFER_BYTES, ETHERNET_PAYLOAD, HANDSHAKE_BYTES_MAX, TransportConfig};
use crate::endpoint::BindError;
use crate::identity::Identity;

const RESET_LABEL: &[u8] = b"mesh/1 stateless reset";
const CONNECTION_ID_LABEL: &[u8] = b"mesh/1 connection id";

pub(super) fn transport(config: &TransportConfig) -> quinn::TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(config.mtu_max);
    let idle = IdleTimeout::try_from(config.idle_timeout).expect("validated to be at most ten minutes");
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(config.keep_alive))
        .initial_rtt(config.initial_rtt)
        .stream_receive_window(config.stream_window.into())
        .receive_window(config.connection_window.into())
        .send_window(config.send_window.into())
        .max_concurrent_uni_streams(VarInt::from(u32::from(config.uni_streams_max)))
        .max_concurrent_bidi_streams(VarInt::from(0u32))
        .crypto_buffer_size(HANDSHAKE_BYTES_MAX)
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
        .initial_mtu(config.mtu_initial)
        .mtu_discovery_config(Some(discovery))
        .enable_segmentation_offload(config.segmentation_offload)
        // BBR gained nothing in measurements, and is the less tried one.
        .congestion_controller_factory(Arc::new(CubicConfig::default()))
        // It would tell observers our round-trip times.
        .allow_spin(false);
    transport
}

pub(super) fn server(
    crypto: Arc<quinn::crypto::rustls::QuicServerConfig>,
    config: &TransportConfig,
) -> quinn::ServerConfig {
    let mut server = quinn::ServerConfig::with_crypto(crypto);
    server
        .transport_config(Arc::new(transport(config)))
        .max_incoming(config.max_incoming.into())
        .incoming_buffer_size(config.incoming_buffer_bytes.into())
        .incoming_buffer_size_total(u64::from(config.incoming_buffer_bytes) * u64::from(config.max_incoming))
        // Who dialled us may come from another address later (RFC 9000 §9), which is believed once it has answered there.
        // That is the dialler's alone: at a new address of the side that was dialled, it is dialled again.
        .migration(true);
    server
}

/// Limits of connections that carry one question and its answer.
pub(super) fn enrolment() -> quinn::TransportConfig {
    let bytes_max = VarInt::from(64 * 1024u32);
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from(5_000u32))))
        .stream_receive_window(bytes_max)
        .receive_window(bytes_max)
        .send_window(64 * 1024)
        .max_concurrent_uni_streams(VarInt::from(0u32))
        .max_concurrent_bidi_streams(VarInt::from(1u32))
        .crypto_buffer_size(HANDSHAKE_BYTES_MAX)
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0)
        .allow_spin(false);
    transport
}

pub(super) fn enroll_server(crypto: Arc<quinn::crypto::rustls::QuicServerConfig>) -> quinn::ServerConfig {
    let mut server = quinn::ServerConfig::with_crypto(crypto);
    // A caller's address proves nothing, and one question needs no second address.
    server.transport_config(Arc::new(enrolment())).migration(false);
    server
}

/// Endpoint settings whose reset and connection-id keys outlive the process.
///
/// With them a node that was killed and restarted on the same port tells its old peers so (a stateless reset,
/// RFC 9000 §10.3) with its first answer, instead of leaving them to their idle timeout. The keys come from the
/// private key, so nothing else must be stored; the port is mixed in, because RFC 9000 §21.11 warns of two live
/// endpoints with one reset key.
pub(super) fn endpoint(identity: &Identity, port: u16, config: &TransportConfig) -> EndpointConfig {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, identity.key().secret_der());
    let derive = |label: &[u8]| {
        let mut context = hmac::Context::with_key(&secret);
        context.update(label);
        context.update(&port.to_be_bytes());
        context.sign()
    };
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, derive(RESET_LABEL).as_ref());
    let tag = derive(CONNECTION_ID_LABEL);
    let (first, _) = tag.as_ref().split_first_chunk().expect("an HMAC-SHA-256 tag has 32 bytes");
    let connection_id_key = u64::from_be_bytes(*first);
    let mut endpoint = EndpointConfig::new(Arc::new(reset_key));
    endpoint
        .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_id_key)))
        .max_udp_payload_size(config.mtu_max.max(ETHERNET_PAYLOAD))
        .expect("validated to be at least 1200");
    endpoint
}

/// A UDP socket on `addr`. On an IPv6 wildcard it takes IPv4 peers too, where the system can.
pub(super) fn socket(addr: SocketAddr, buffer_bytes: u32) -> Result<UdpSocket, BindError> {
    let failed = |source| BindError::from_io(addr, source);
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP)).map_err(failed)?;
    if addr.is_ipv6()
        && addr.ip().is_unspecified()
        && let Err(error) = socket.set_only_v6(false)
    {
        tracing::debug!(%addr, %error, "socket takes no IPv4 peers");
    }
    socket.bind(&addr.into()).map_err(failed)?;
    enlarge_buffers(&socket, addr, buffer_bytes).map_err(failed)?;
    Ok(socket.into())
}

fn enlarge_buffers(socket: &Socket, addr: SocketAddr, wanted: u32) -> std::io::Result<()> {
    let wanted = usize::try_from(wanted).expect("usize has at least 32 bits where sockets exist");
    socket.set_recv_buffer_size(wanted)?;
    socket.set_send_buffer_size(wanted)?;
    let (receive, send) = (socket.recv_buffer_size()?, socket.send_buffer_size()?);
    if receive.min(send) < wanted {
        tracing::info!(%addr, wanted, receive, send, "socket buffers are capped by the system");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What quinn says that it was given, field by field.
    fn given(config: &quinn::TransportConfig) -> Vec<String> {
        let text = format!("{config:?}");
        let fields = text.trim_start_matches("TransportConfig { ").trim_end_matches(", .. }");
        fields.split(", ").map(str::to_owned).collect()
    }

    /// The tables of [`TransportConfig`] speak of these: quinn's own are as large as 2^62, or for other uses.
    #[test]
    fn the_limits_that_the_tables_count_with_are_those_that_quinn_is_given() {
        for ours in [TransportConfig::lan(), TransportConfig::wan()] {
            let given = given(&transport(&ours));
            for expected in [
                format!("max_concurrent_uni_streams: {}", ours.uni_streams_max),
                "max_concurrent_bidi_streams: 0".to_owned(),
                format!("stream_receive_window: {}", ours.stream_window),
                format!("receive_window: {}", ours.connection_window),
                format!("send_window: {}", ours.send_window),
                format!("crypto_buffer_size: {HANDSHAKE_BYTES_MAX}"),
                format!("datagram_receive_buffer_size: Some({DATAGRAM_BUFFER_BYTES})"),
                format!("datagram_send_buffer_size: {DATAGRAM_BUFFER_BYTES}"),
                format!("max_idle_timeout: Some({})", ours.idle_timeout.as_millis()),
                format!("initial_mtu: {}", ours.mtu_initial),
            ] {
                assert!(given.contains(&expected), "{expected} is not in {given:?}");
            }
        }
    }

    /// A limit that a later quinn adds is to be looked at here, and set or left on purpose.
    #[test]
    fn quinn_has_the_limits_that_are_known_here_and_no_others() {
        let text = format!("{:?}", transport(&TransportConfig::lan()));
        let mut left_alone = Vec::new();
        let set = [
            "max_concurrent_bidi_streams",
            "max_concurrent_uni_streams",
            "max_idle_timeout",
            "stream_receive_window",
            "receive_window",
            "send_window",
            "initial_rtt",
            "initial_mtu",
            "mtu_discovery_config",
            "keep_alive_interval",
            "crypto_buffer_size",
            "allow_spin",
            "datagram_receive_buffer_size",
            "datagram_send_buffer_size",
            "enable_segmentation_offload",
        ];
        let mut depth = 0;
        for field in text.split(['{', ',']).map(str::trim) {
            let Some((name, rest)) = field.split_once(':') else { continue };
            if depth == 0 && !set.contains(&name) {
                left_alone.push(name);
            }
            // What stands inside of the search for the path's limit is not counted.
            depth = match (name, rest.contains('}')) {
                ("mtu_discovery_config", _) => 1,
                (_, true) => 0,
                _ => depth,
            };
        }
        // How loss is found, in which order equal streams send, and what is never padded: nothing of it takes memory.
        assert_eq!(
            left_alone,
            [
                "send_fairness",
                "packet_threshold",
                "time_threshold",
                "min_mtu",
                "pad_to_mtu",
                "ack_frequency_config",
                "persistent_congestion_threshold",
            ],
            "{text}"
        );
    }
}
