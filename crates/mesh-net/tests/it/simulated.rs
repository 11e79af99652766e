//! QUIC on a simulated network under virtual time: packets are lost and cables are cut by a seed, and the same seed gives
//! the same packets at the same times.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use mesh_net::{Authority, Connection, Endpoint, Expect, Identity, TransportConfig};
use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use turmoil::net::UdpSocket;

use crate::adversary::{forge_ed25519, present};

const PORT: u16 = 7946;

/// Frames that each side sends to the other, of up to 20 kB.
const FRAMES: usize = 60;

/// As long as frames are sent, one way between the two is cut for 0.3 s in each second or so. Longer ones are for the mesh,
/// which dials anew: with both windows full, neither side of a QUIC connection gets its acknowledgements through.
const CUT: Duration = Duration::from_millis(300);
const BETWEEN_CUTS: Duration = Duration::from_millis(700);

type SimResult = Result<(), Box<dyn std::error::Error>>;

/// Every packet that was sent: when, to whom, how long, and whether it was lost.
type Trace = Arc<Mutex<Vec<(Duration, IpAddr, usize, bool)>>>;

/// A socket of the simulated network, as quinn wants one.
struct Socket {
    socket: Arc<UdpSocket>,
    arrived: Mutex<mpsc::Receiver<(Vec<u8>, SocketAddr)>>,
    dice: Mutex<Rng>,
    loss: f64,
    trace: Trace,
}

impl Socket {
    async fn bind(seed: u64, loss: f64, trace: Trace) -> io::Result<Arc<Self>> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?);
        let (arrives, arrived) = mpsc::channel(256);
        let reader = Arc::clone(&socket);
        // Ends with the host's runtime.
        tokio::spawn(async move {
            let mut buffer = vec![0; 2048];
            while let Ok((size, from)) = reader.recv_from(&mut buffer).await {
                // A full queue loses packets, as a socket's buffer does.
                let _ = arrives.try_send((buffer[..size].to_vec(), from));
            }
        });
        let dice = Mutex::new(Rng::with_seed(seed));
        Ok(Arc::new(Self { socket, arrived: Mutex::new(arrived), dice, loss, trace }))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let is_lost = self.dice.lock().f64() < self.loss;
        let row = (turmoil::elapsed(), transmit.destination.ip(), transmit.contents.len(), is_lost);
        self.trace.lock().push(row);
        if !is_lost {
            self.socket.try_send_to(transmit.contents, transmit.destination)?;
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let Some((packet, addr)) = ready!(self.arrived.lock().poll_recv(cx)) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        buffers[0][..packet.len()].copy_from_slice(&packet);
        meta[0] = RecvMeta { addr, len: packet.len(), stride: packet.len(), ecn: None, dst_ip: None };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

#[derive(Debug)]
struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What happens in one run.
#[derive(Clone, Copy)]
struct Run {
    seed: u64,
    loss: f64,
    cuts: bool,
}

/// Two nodes exchange frames; gives the packets that this took.
fn run(run: Run, identities: &[Identity; 2]) -> Vec<(Duration, IpAddr, usize, bool)> {
    let trace = Trace::default();
    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(300))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(5))
        .udp_capacity(1024)
        .rng_seed(run.seed)
        .build();
    let [alpha, beta] = identities.clone();
    sim.host("beta", {
        let trace = Arc::clone(&trace);
        move || {
            let (beta, trace) = (beta.clone(), Arc::clone(&trace));
            async move {
                let endpoint = endpoint(run.seed + 1, run.loss, &beta, trace).await?;
                let connection = endpoint.accept().await.ok_or("closed")??;
                exchange(&connection, run.seed + 1).await?;
                // Whoever closes first must know that the other has everything.
                connection.open_uni(0).await?.finish();
                connection.closed().await;
                Ok(())
            }
        }
    });
    sim.client("alpha", {
        let trace = Arc::clone(&trace);
        async move {
            let endpoint = endpoint(run.seed, run.loss, &alpha, trace).await?;
            let to = SocketAddr::new(turmoil::lookup("beta"), PORT);
            let connection = endpoint.connect(to, Expect::Node("beta")).await?;
            if run.cuts {
                tokio::select! {
                    done = exchange(&connection, run.seed) => done?,
                    never = cut(run.seed) => never,
                }
                turmoil::repair("alpha", "beta");
            } else {
                exchange(&connection, run.seed).await?;
            }
            connection.accept_uni().await?;
            Ok(())
        }
    });
    sim.run().unwrap_or_else(|error| panic!("seed {}: {error:?}", run.seed));
    std::mem::take(&mut *trace.lock())
}

async fn endpoint(
    seed: u64,
    loss: f64,
    identity: &Identity,
    trace: Trace,
) -> Result<Endpoint, Box<dyn std::error::Error>> {
    let socket = Socket::bind(seed, loss, trace).await?;
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    // A cut of a second is no end of a connection.
    Ok(Endpoint::over(socket, Some(bytes), identity, &TransportConfig::wan())?)
}

/// Lets virtual time pass: nothing waits for it.
async fn passes(time: Duration) {
    sleep_until(Instant::now() + time).await;
}

/// Cuts one way or the other, again and again.
async fn cut(seed: u64) {
    let mut dice = Rng::with_seed(seed ^ 0xC07);
    loop {
        passes(BETWEEN_CUTS).await;
        let (from, to) = if dice.bool() { ("alpha", "beta") } else { ("beta", "alpha") };
        turmoil::partition_oneway(from, to);
        passes(CUT).await;
        turmoil::repair_oneway(from, to);
    }
}

/// Sends frames of lengths that the seed gives, and checks that the peer's come whole and in order.
async fn exchange(connection: &Connection, seed: u64) -> SimResult {
    let sends = async {
        let mut dice = Rng::with_seed(seed);
        let mut send = connection.open_uni(0).await?;
        for number in 0..FRAMES {
            let mut frame = vec![u8::try_from(number)?; dice.usize(4..20_000)];
            let length = u32::try_from(frame.len() - 4)?;
            frame[..4].copy_from_slice(&length.to_le_bytes());
            send.write_chunk(Bytes::from(frame)).await?;
            passes(Duration::from_millis(dice.u64(0..200))).await;
        }
        send.finish();
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let reads = async {
        let mut receive = connection.accept_uni().await?;
        let mut reader = mesh_net::FrameReader::new(64 * 1024);
        let (mut frames, mut chunks) = (0, [Bytes::new()]);
        while receive.read_chunks(&mut chunks).await?.is_some() {
            reader.feed(&std::mem::take(&mut chunks[0]), |frame| {
                let is_its = frame.bytes().iter().all(|byte| usize::from(*byte) == frames);
                assert!(is_its, "frame {frames} is another's");
                frames += 1;
            })?;
        }
        assert_eq!(frames, FRAMES);
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let (sent, read) = tokio::join!(sends, reads);
    sent?;
    read
}

/// Signatures of one length: those of ECDSA differ by a byte or two, and with them the packets.
fn identities() -> [Identity; 2] {
    let authority = Authority::create("farm").unwrap();
    ["alpha", "beta"].map(|name| {
        let uri = format!("spiffe://farm/node/{name}");
        forge_ed25519(&authority, &uri, &[&format!("{name}.node.farm.mesh"), "node.farm.mesh"], present())
    })
}

fn seeds() -> u64 {
    std::env::var("MESH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).map_or(20, |seeds: u64| seeds / 10)
}

#[test]
fn the_same_seed_gives_the_same_packets() {
    let identities = identities();
    let with_seed = |seed| run(Run { seed, loss: 0.03, cuts: true }, &identities);
    let first = with_seed(7);
    assert!(first.len() > 500 && first.iter().any(|(.., is_lost)| *is_lost), "{} packets", first.len());
    assert_eq!(with_seed(7), first);
    assert_ne!(with_seed(8), first);
}

#[test]
fn frames_arrive_whole_and_in_order_whatever_the_network_does() {
    let identities = identities();
    for seed in 0..seeds() {
        let loss = [0.0, 0.01, 0.03, 0.1][usize::try_from(seed % 4).unwrap()];
        run(Run { seed, loss, cuts: loss < 0.1 && seed % 3 == 0 }, &identities);
    }
}
