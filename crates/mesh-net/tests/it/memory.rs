//! What only the network in memory can do. The clock is paused: seconds here take no time.

use std::time::Duration;

use bytes::Bytes;
use mesh_net::{
    BindError, CloseCode, CloseReason, ConnectError, Connection, Endpoint, Expect, MemoryNetwork,
    PeerIdentity, ReadError, Role, TransportConfig, WriteError,
};
use tokio::time::Instant;

use crate::pair::{connect, read, stream};

struct Duo {
    network: MemoryNetwork,
    alpha: Endpoint,
    beta: Endpoint,
    dialled: Connection,
    accepted: Connection,
}

async fn duo() -> Duo {
    let network = MemoryNetwork::new();
    let (alpha, beta) = (network.node("alpha").unwrap(), network.node("beta").unwrap());
    let (dialled, accepted) = connect(&alpha, &beta).await;
    Duo { network, alpha, beta, dialled, accepted }
}

fn idle_timeout() -> Duration {
    TransportConfig::lan().idle_timeout
}

#[tokio::test(start_paused = true)]
async fn a_partition_ends_both_sides_after_the_idle_timeout() {
    let duo = duo().await;
    let (mut send, mut receive) = stream(&duo.dialled, &duo.accepted).await;
    let start = Instant::now();
    duo.network.partition("beta", "alpha");
    assert_eq!(read(&mut receive).await, Err(ReadError::Closed(CloseReason::TimedOut)));
    assert_eq!(start.elapsed(), idle_timeout());
    assert_eq!(duo.dialled.close_reason(), Some(CloseReason::TimedOut));
    let lost = send.write_chunk(Bytes::from_static(b"x")).await;
    assert_eq!(lost, Err(WriteError::Closed(CloseReason::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_into_a_short_cut_arrives_after_it_in_order() {
    let duo = duo().await;
    let (mut send, mut receive) = stream(&duo.dialled, &duo.accepted).await;
    duo.network.partition("alpha", "beta");
    send.write_chunk(Bytes::from_static(b"one")).await.unwrap();
    send.write_chunk(Bytes::from_static(b"two")).await.unwrap();
    send.finish();
    let mut late = duo.dialled.open_uni(0).await.unwrap();
    late.write_chunk(Bytes::from_static(b"late")).await.unwrap();

    let almost = idle_timeout() - Duration::from_millis(1);
    assert!(tokio::time::timeout(almost, read(&mut receive)).await.is_err(), "bytes came through the cut");
    duo.network.heal();
    assert_eq!(read(&mut receive).await, Ok(Some(Bytes::from_static(b"one"))));
    assert_eq!(read(&mut receive).await, Ok(Some(Bytes::from_static(b"two"))));
    assert_eq!(read(&mut receive).await, Ok(None));
    let mut receive = duo.accepted.accept_uni().await.unwrap();
    assert_eq!(read(&mut receive).await, Ok(Some(Bytes::from_static(b"late"))));
}

#[tokio::test(start_paused = true)]
async fn dialling_across_a_cut_waits_for_its_end_or_its_deadline() {
    let duo = duo().await;
    duo.network.partition("alpha", "beta");
    let addr = duo.beta.local_addr();
    let start = Instant::now();
    let lost = duo.alpha.connect(addr, Expect::AnyNode).await;
    assert_eq!(lost.map(|_| ()), Err(ConnectError::TimedOut { addr }));
    assert_eq!(start.elapsed(), TransportConfig::lan().connect_timeout);

    let heal = async { duo.network.heal() };
    let (dialled, ()) = tokio::join!(duo.alpha.connect(addr, Expect::AnyNode), heal);
    assert_eq!(dialled.unwrap().peer().name, "beta");
}

#[tokio::test(start_paused = true)]
async fn a_cut_concerns_its_two_names_only() {
    let duo = duo().await;
    let gamma = duo.network.node("gamma").unwrap();
    let (to_beta, _at_beta) = connect(&gamma, &duo.beta).await;
    duo.network.partition("alpha", "beta");
    assert_eq!(duo.dialled.closed().await, CloseReason::TimedOut);
    assert_eq!(to_beta.close_reason(), None);
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_says_nothing_and_its_peers_time_out() {
    let duo = duo().await;
    let start = Instant::now();
    duo.network.kill("beta");
    assert_eq!(duo.accepted.close_reason(), Some(CloseReason::Local));
    assert!(duo.beta.accept().await.is_none());
    duo.network.heal();
    assert_eq!(duo.dialled.closed().await, CloseReason::TimedOut);
    assert_eq!(start.elapsed(), idle_timeout());
}

#[tokio::test(start_paused = true)]
async fn a_connection_not_yet_accepted_dies_silently_with_its_node() {
    let network = MemoryNetwork::new();
    let (alpha, beta) = (network.node("alpha").unwrap(), network.node("beta").unwrap());
    let dialled = alpha.connect(beta.local_addr(), Expect::AnyNode).await.unwrap();
    network.kill("beta");
    assert_eq!(dialled.closed().await, CloseReason::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_can_come_back_at_its_address_and_a_living_one_keeps_its_own() {
    let duo = duo().await;
    let addr = duo.beta.local_addr();
    let again = duo.dialled.peer().clone();
    let taken = duo.network.endpoint_at(again.clone(), addr).unwrap_err();
    assert!(matches!(taken, BindError::InUse { .. }), "{taken:?}");
    duo.network.kill("beta");
    let second = duo.network.endpoint_at(again.clone(), addr).unwrap();
    drop(duo.beta);
    let (dialled, _accepted) = connect(&duo.alpha, &second).await;
    assert_eq!(dialled.peer(), &again, "the old endpoint's drop must not take the new one's place");
}

#[tokio::test(start_paused = true)]
async fn a_close_into_a_cut_is_learnt_as_a_reset_when_it_heals() {
    let duo = duo().await;
    duo.network.partition("alpha", "beta");
    duo.dialled.close(CloseCode::Leaving, "nobody hears this");
    assert_eq!(duo.accepted.close_reason(), None);
    duo.network.heal();
    assert_eq!(duo.accepted.close_reason(), Some(CloseReason::Reset));
}

#[tokio::test(start_paused = true)]
async fn a_reader_gone_during_a_cut_frees_the_window_for_others() {
    let config = TransportConfig { stream_window: 4096, connection_window: 4096, ..TransportConfig::lan() };
    let network = MemoryNetwork::with_config(&config);
    let (alpha, beta) = (network.node("alpha").unwrap(), network.node("beta").unwrap());
    let (dialled, accepted) = connect(&alpha, &beta).await;
    let (mut send, receive) = stream(&dialled, &accepted).await;
    network.partition("alpha", "beta");
    drop(receive);
    send.write_chunk(Bytes::from_static(&[7; 4096])).await.unwrap();
    network.heal();
    assert_eq!(send.stopped().await, WriteError::Stopped { code: mesh_net::ABANDONED });
    stream(&dialled, &accepted).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_can_dial_and_cannot_be_dialled() {
    let network = MemoryNetwork::new();
    let (client, beta) = (network.client("alice").unwrap(), network.node("beta").unwrap());
    let (_dialled, accepted) = connect(&client, &beta).await;
    assert_eq!(accepted.peer().role, Role::Client);
    let addr = client.local_addr();
    let lost = beta.connect(addr, Expect::AnyNode).await;
    assert_eq!(lost.map(|_| ()), Err(ConnectError::TimedOut { addr }));
}

#[tokio::test(start_paused = true)]
async fn clusters_do_not_mix() {
    let network = MemoryNetwork::new();
    let alpha = network.node("alpha").unwrap();
    let foreign =
        PeerIdentity { cluster: "zoo".to_owned(), role: Role::Node, name: "beta".to_owned(), id: 1 };
    let addr = network.endpoint(foreign).local_addr();
    // The endpoint was dropped with the line above: nobody is there any more.
    let lost = alpha.connect(addr, Expect::AnyNode).await;
    assert_eq!(lost.map(|_| ()), Err(ConnectError::TimedOut { addr }));

    let foreign =
        PeerIdentity { cluster: "zoo".to_owned(), role: Role::Node, name: "beta".to_owned(), id: 1 };
    let foreign = network.endpoint(foreign);
    let refused = alpha.connect(foreign.local_addr(), Expect::AnyNode).await;
    assert!(matches!(refused, Err(ConnectError::Certificate { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn more_callers_than_may_wait_are_refused() {
    let config = TransportConfig { max_incoming: 2, ..TransportConfig::lan() };
    let network = MemoryNetwork::with_config(&config);
    let (alpha, beta) = (network.node("alpha").unwrap(), network.node("beta").unwrap());
    let addr = beta.local_addr();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(alpha.connect(addr, Expect::AnyNode).await.unwrap());
    }
    let refused = alpha.connect(addr, Expect::AnyNode).await;
    assert_eq!(refused.map(|_| ()), Err(ConnectError::Refused { addr }));
    beta.accept().await.unwrap().unwrap();
    alpha.connect(addr, Expect::AnyNode).await.unwrap();
}
