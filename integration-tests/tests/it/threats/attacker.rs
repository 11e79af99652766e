//! A client with a sound certificate that speaks QUIC by its own rules, made of raw quinn.
#![expect(clippy::unwrap_used, reason = "tests may, but clippy knows only the functions marked as tests")]

use std::any::Any;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use integration_tests::{Lab, Node};
use mesh_net::FrameReader;
use mesh_proto::frame::{
    CONTROL_BYTES_MAX, Content, Control, Features, Hello, MessageHeader, PREAMBLE_BYTES, Preamble, lane_of,
};
use mesh_proto::{Boot, credit::Weight, decode_frame, encode_frame};
use quinn::crypto::rustls::QuicClientConfig;
use quinn_proto::crypto::{
    ClientConfig, CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Packets with these bytes leave with nothing in them: they are acknowledged, and so never sent again.
const GAP: &[u8; 16] = b"never to arrive.";

/// Long enough for what an honest node answers at once.
const SOON: Duration = Duration::from_secs(20);

pub(super) struct Attacker {
    runtime: Runtime,
    connection: quinn::Connection,
    control: quinn::SendStream,
    heard: quinn::RecvStream,
    kept: Vec<quinn::SendStream>,
    _endpoint: quinn::Endpoint,
}

impl Attacker {
    /// Connects to a node of the lab as the client of its state folder, and says hello.
    pub(super) fn connect(lab: &Lab, node: &Node) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (config, cluster) = (config(lab), node.ready()["cluster"].as_str().unwrap().to_owned());
        let addr = node.addr().parse().unwrap();
        let (endpoint, connection, control, heard) = runtime.block_on(async {
            let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
            endpoint.set_default_client_config(config);
            let connecting = endpoint.connect(addr, &format!("node.{cluster}.mesh")).unwrap();
            let connection = timeout(SOON, connecting).await.unwrap().unwrap();
            let mut control = connection.open_uni().await.unwrap();
            let hello = Hello { boot: Boot(1), features: Features::ALL, listens: None };
            control.write_all(&Preamble::Control.encode()).await.unwrap();
            control.write_all(&framed(&Control::Hello(hello))).await.unwrap();
            let heard = timeout(SOON, connection.accept_uni()).await.unwrap().unwrap();
            (endpoint, connection, control, heard)
        });
        Self { runtime, connection, control, heard, kept: Vec::new(), _endpoint: endpoint }
    }

    /// Opens streams that fill `bytes` of their window each, and lack their beginning.
    pub(super) fn leave_gaps(&mut self, streams: usize, bytes: usize) {
        let Self { runtime, connection, kept, .. } = self;
        runtime.block_on(async {
            for _ in 0..streams {
                let mut stream = timeout(SOON, connection.open_uni()).await.unwrap().unwrap();
                let filled = [&GAP[..], &vec![b'x'; bytes]].concat();
                // The window of all of them together may be full by now.
                let _ = timeout(Duration::from_millis(500), stream.write_all(&filled)).await;
                kept.push(stream);
            }
        });
    }

    /// Asks an actor as often as it may, for replies of `bytes` each, and reads none of them.
    pub(super) fn ask_and_never_read(&mut self, path: &str, kind: &str, bytes: usize) {
        let Self { runtime, connection, control, heard, kept, .. } = self;
        let connection = connection.clone();
        runtime.block_on(async {
            control.write_all(&framed(&Control::Open { channel: 1, path: path.to_owned() })).await.unwrap();
            let mut reader = FrameReader::new(CONTROL_BYTES_MAX);
            let (mut skip, mut granted, mut place) = (PREAMBLE_BYTES, Weight::ZERO, None);
            let mut lane = connection.open_uni().await.unwrap();
            lane.write_all(&Preamble::Lane(lane_of(0, 1)).encode()).await.unwrap();
            let mut sent = 0;
            // What it was lent in all is known when nothing more comes for a while.
            while let Ok(Ok(Some(chunk))) =
                timeout(Duration::from_secs(1), heard.read_chunk(4096, true)).await
            {
                let mut bytes_heard = chunk.bytes;
                let preamble = bytes_heard.split_to(skip.min(bytes_heard.len()));
                skip -= preamble.len();
                let fed = reader.feed(&bytes_heard, |frame| match decode_frame(frame.bytes()) {
                    Ok(Control::Opened { kinds, granted: first, .. }) => {
                        place = kinds.iter().position(|known| known.name == kind);
                        granted = first;
                    }
                    Ok(Control::Grant { granted: more, .. }) => granted = more,
                    _ => {}
                });
                fed.unwrap();
                let Some(place) = place else { continue };
                let weight = (bytes + 100) as u64;
                while sent < granted.messages && (sent + 1) * weight <= granted.bytes {
                    sent += 1;
                    let ask = ask(sent, u16::try_from(place).unwrap(), bytes);
                    if timeout(Duration::from_secs(1), lane.write_all(&ask)).await.is_err() {
                        break;
                    }
                }
                let until = Weight { messages: sent + 8, bytes: (sent + 8) * weight };
                control.write_all(&framed(&Control::Want { channel: 1, until })).await.unwrap();
            }
            assert!(sent > 8, "it may ask, and asked {sent} times");
            kept.push(lane);
        });
    }

    /// Why the node has closed the connection, once it has.
    pub(super) fn closed(&mut self) -> Option<String> {
        self.connection.close_reason().map(|reason| reason.to_string())
    }
}

fn framed(frame: &Control) -> Vec<u8> {
    let mut body = Vec::new();
    encode_frame(frame, &mut body);
    with_length(&body)
}

fn with_length(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], body].concat()
}

fn ask(correlation: u64, kind: u16, bytes: usize) -> Vec<u8> {
    let content = Content::Json;
    let header =
        MessageHeader { channel: 1, kind, content, correlation, sender: 0, budget_ms: 0, body: None };
    let mut body = Vec::new();
    header.encode(&mut body);
    body.extend_from_slice(format!("{{\"text\":\"{}\"}}", "x".repeat(bytes)).as_bytes());
    with_length(&body)
}

fn config(lab: &Lab) -> quinn::ClientConfig {
    let read = |name: &str| fs::read(lab.state().join("client").join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read("ca.pem")).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&read("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut crypto = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    crypto.alpn_protocols = vec![b"mesh/1".to_vec()];
    let crypto: Arc<dyn ClientConfig> = Arc::new(QuicClientConfig::try_from(crypto).unwrap());
    let mut transport = quinn::TransportConfig::default();
    // Streams that it does not read take little, so that what waits is the node's.
    transport.stream_receive_window(16_384u32.into()).keep_alive_interval(Some(Duration::from_millis(200)));
    let mut config = quinn::ClientConfig::new(Arc::new(Gapped(crypto)));
    config.transport_config(Arc::new(transport));
    config
}

/// TLS that empties some of the packets that it is to encrypt.
struct Gapped<T: ?Sized>(T);

impl ClientConfig for Gapped<Arc<dyn ClientConfig>> {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        Ok(Box::new(Gapped(Arc::clone(&self.0).start_session(version, name, params)?)))
    }
}

fn gapped(pair: KeyPair<Box<dyn PacketKey>>) -> KeyPair<Box<dyn PacketKey>> {
    KeyPair { local: Box::new(Gapped(pair.local)), remote: pair.remote }
}

impl Session for Gapped<Box<dyn Session>> {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        self.0.initial_keys(id, side)
    }
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.0.handshake_data()
    }
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.0.peer_identity()
    }
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.0.early_crypto()
    }
    fn early_data_accepted(&self) -> Option<bool> {
        self.0.early_data_accepted()
    }
    fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }
    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.0.read_handshake(bytes)
    }
    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.0.transport_parameters()
    }
    fn write_handshake(&mut self, bytes: &mut Vec<u8>) -> Option<Keys> {
        let Keys { header, packet } = self.0.write_handshake(bytes)?;
        Some(Keys { header, packet: gapped(packet) })
    }
    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.0.next_1rtt_keys().map(gapped)
    }
    fn is_valid_retry(&self, id: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.0.is_valid_retry(id, header, payload)
    }
    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.0.export_keying_material(output, label, context)
    }
}

impl PacketKey for Gapped<Box<dyn PacketKey>> {
    fn encrypt(&self, packet: u64, bytes: &mut [u8], header_len: usize) {
        let end = bytes.len() - self.0.tag_len();
        let frames = &mut bytes[header_len..end];
        if frames.windows(GAP.len()).any(|window| window == GAP) {
            // All of it is padding now (RFC 9000 §19.1).
            frames.fill(0);
        }
        self.0.encrypt(packet, bytes, header_len);
    }
    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        self.0.decrypt(packet, header, payload)
    }
    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }
    fn confidentiality_limit(&self) -> u64 {
        self.0.confidentiality_limit()
    }
    fn integrity_limit(&self) -> u64 {
        self.0.integrity_limit()
    }
}
