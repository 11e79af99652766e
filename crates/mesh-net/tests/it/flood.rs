//! Row 13 of the threat table: a flood of first packets.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mesh_net::{Authority, Endpoint, Expect, Identity, TransportConfig};
use tokio::time::timeout;

use crate::adversary::{Guise, dialler};
use crate::pair::LOOPBACK;

const PACKETS_PER_SECOND: u64 = 10_000;
const HONEST_MAX: Duration = Duration::from_secs(2);
const GROWTH_MAX_KIB: u64 = 32 * 1024;

/// Attempts of different callers, each with its own connection id.
const CALLERS: usize = 400;

/// The first packets of as many callers, each a whole and valid one.
async fn first_packets(guise: &Guise<'_>) -> Vec<Vec<u8>> {
    let caught = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let caller = dialler(guise);
    let mut packets = Vec::new();
    for _ in 0..CALLERS {
        let connecting = caller.connect(caught.local_addr().unwrap(), "victim.node.farm.mesh").unwrap();
        let mut packet = vec![0; 2048];
        let size = caught.recv(&mut packet).await.unwrap();
        packet.truncate(size);
        packets.push(packet);
        drop(connecting);
    }
    packets
}

/// Sends until `is_over`, at the rate of the flood and from many ports.
fn flood(victim: SocketAddr, packets: &[Vec<u8>], is_over: &AtomicBool, sent: &AtomicU64) {
    let sockets: Vec<_> = (0..50).map(|_| UdpSocket::bind(LOOPBACK).unwrap()).collect();
    let began = Instant::now();
    for (number, packet) in (0..).zip(packets.iter().cycle()) {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        // The sockets' answers are never read; a full one refuses nothing.
        let socket = &sockets[usize::try_from(number % 50).unwrap()];
        if socket.send_to(packet, victim).is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
        let due = began + Duration::from_nanos(1_000_000_000 / PACKETS_PER_SECOND * number);
        while Instant::now() < due && !is_over.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_13_a_flood_of_first_packets_keeps_nobody_out_and_costs_little() {
    let authority = Authority::create("farm").unwrap();
    let identity = |name| authority.issue_node(name).unwrap();
    let bind = |identity: &Identity| Endpoint::bind(LOOPBACK, identity, &TransportConfig::lan()).unwrap();
    let (victim_identity, honest_identity) = (identity("victim"), identity("honest"));
    let victim = Arc::new(bind(&victim_identity));
    let accepting = tokio::spawn({
        let victim = Arc::clone(&victim);
        async move {
            // Who got in is let go at once: what counts is who is still outside.
            while victim.accept().await.is_some() {}
        }
    });
    let guise = Guise { trusts: &victim_identity, shows: None, alpn: &[b"mesh/1"] };
    let packets = first_packets(&guise).await;
    let honest = bind(&honest_identity);
    honest.connect(victim.local_addr(), Expect::Node("victim")).await.unwrap();
    let before = resident_kib();
    let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flooding = std::thread::spawn({
        let (is_over, sent, addr) = (Arc::clone(&is_over), Arc::clone(&sent), victim.local_addr());
        move || flood(addr, &packets, &is_over, &sent)
    });
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    // The flood has filled all that it can fill well before the last of them.
    while began.elapsed() < Duration::from_secs(3) {
        let dialled = Instant::now();
        let connected =
            timeout(HONEST_MAX, honest.connect(victim.local_addr(), Expect::Node("victim"))).await;
        let connected = connected.expect("an honest caller gets in within two seconds");
        connected.expect("an honest caller gets in");
        slowest = slowest.max(dialled.elapsed());
    }
    let growth = resident_kib().saturating_sub(before);
    is_over.store(true, Ordering::Relaxed);
    flooding.join().unwrap();
    let rate = sent.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} first packets a second: slowest honest connection {slowest:?}, +{growth} KiB");
    assert!(growth < GROWTH_MAX_KIB, "{growth} KiB more");
    accepting.abort();
}
