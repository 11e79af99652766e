//! What only QUIC can do.

use std::net::UdpSocket;
use std::time::Duration;

use mesh_net::{
    Authority, BindError, CloseReason, ConnectError, Endpoint, Expect, Identity, TransportConfig,
};

use crate::adversary::{Guise, dialler, silent_caller};
use crate::pair::{LOOPBACK, connect, read, soon, stream};

fn bind(identity: &Identity, config: &TransportConfig) -> Endpoint {
    Endpoint::bind(LOOPBACK, identity, config).unwrap()
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let identity = Authority::create("farm").unwrap().issue_node("alpha").unwrap();
    let first = bind(&identity, &TransportConfig::lan());
    let addr = first.local_addr();
    let error = Endpoint::bind(addr, &identity, &TransportConfig::lan()).unwrap_err();
    assert!(matches!(error, BindError::InUse { addr: at } if at == addr), "{error:?}");
    assert_eq!(error.to_string(), format!("{addr} is already in use"));
}

#[tokio::test]
async fn an_invalid_configuration_opens_no_socket() {
    let identity = Authority::create("farm").unwrap().issue_node("alpha").unwrap();
    let config = TransportConfig { mtu_max: 9000, ..TransportConfig::lan() };
    let error = Endpoint::bind(LOOPBACK, &identity, &config).unwrap_err();
    assert!(matches!(error, BindError::Config(_)), "{error:?}");
}

#[tokio::test]
async fn dialling_where_nobody_answers_fails_at_its_deadline() {
    let config = TransportConfig { connect_timeout: Duration::from_millis(50), ..TransportConfig::lan() };
    let alpha = bind(&Authority::create("farm").unwrap().issue_node("alpha").unwrap(), &config);
    let deaf = UdpSocket::bind(LOOPBACK).unwrap();
    let addr = deaf.local_addr().unwrap();
    let error = soon(alpha.connect(addr, Expect::AnyNode)).await.unwrap_err();
    assert_eq!(error, ConnectError::TimedOut { addr });
}

#[tokio::test]
async fn an_address_that_no_packet_can_reach_is_refused_at_once() {
    let alpha =
        bind(&Authority::create("farm").unwrap().issue_node("alpha").unwrap(), &TransportConfig::lan());
    let error = alpha.connect(LOOPBACK, Expect::AnyNode).await.unwrap_err();
    assert!(matches!(error, ConnectError::Address { .. }), "{error:?}");
}

#[tokio::test]
async fn a_caller_that_falls_silent_delays_no_other() {
    let authority = Authority::create("farm").unwrap();
    let (alpha, beta) = (authority.issue_node("alpha").unwrap(), authority.issue_node("beta").unwrap());
    let beta_endpoint = bind(&beta, &TransportConfig::lan());
    let guise = Guise { trusts: &beta, shows: Some(&alpha), alpn: &[b"mesh/1"] };
    let silent = silent_caller(beta_endpoint.local_addr(), &guise).await;
    let (_, accepted) = connect(&bind(&alpha, &TransportConfig::lan()), &beta_endpoint).await;
    assert_eq!(accepted.peer().name, "alpha");

    let Some(Err(error)) = soon(beta_endpoint.accept()).await else { panic!("the silent caller got in") };
    assert_eq!(error, ConnectError::TimedOut { addr: silent.local_addr().unwrap() });
}

#[tokio::test]
async fn callers_that_prove_their_address_get_past_a_flood_of_silent_ones() {
    let authority = Authority::create("farm").unwrap();
    let (alpha, beta) = (authority.issue_node("alpha").unwrap(), authority.issue_node("beta").unwrap());
    let config = TransportConfig { handshakes_max: 4, ..TransportConfig::lan() };
    let beta_endpoint = bind(&beta, &config);
    let guise = Guise { trusts: &beta, shows: Some(&alpha), alpn: &[b"mesh/1"] };
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(silent_caller(beta_endpoint.local_addr(), &guise).await);
    }
    // Half of the places are taken by the silent ones, for three seconds; the others are for those who answer.
    let (_, accepted) = connect(&bind(&alpha, &TransportConfig::lan()), &beta_endpoint).await;
    assert_eq!(accepted.peer().name, "alpha");
}

#[tokio::test]
async fn a_dropped_endpoint_answers_nobody_and_its_connections_live_on() {
    let authority = Authority::create("farm").unwrap();
    let alpha = bind(&authority.issue_node("alpha").unwrap(), &TransportConfig::lan());
    let beta = bind(&authority.issue_node("beta").unwrap(), &TransportConfig::lan());
    let addr = beta.local_addr();
    let (dialled, accepted) = connect(&alpha, &beta).await;
    drop(beta);
    let impatient = TransportConfig { connect_timeout: Duration::from_millis(50), ..TransportConfig::lan() };
    let gamma = bind(&authority.issue_node("gamma").unwrap(), &impatient);
    let error = soon(gamma.connect(addr, Expect::AnyNode)).await.unwrap_err();
    assert_eq!(error, ConnectError::TimedOut { addr });
    let (_send, _receive) = soon(stream(&dialled, &accepted)).await;
}

#[tokio::test]
async fn peers_of_a_killed_node_learn_of_it_when_it_is_back() {
    let authority = Authority::create("farm").unwrap();
    let beta = authority.issue_node("beta").unwrap();
    // The idle timeout is out of reach: only the reset can end the connection.
    let config = TransportConfig { idle_timeout: Duration::from_secs(600), ..TransportConfig::lan() };
    let alpha = bind(&authority.issue_node("alpha").unwrap(), &config);

    // A runtime that is thrown away sends nothing more, like a killed process.
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let binding = (beta.clone(), config.clone());
    let first = process.spawn(async move { bind(&binding.0, &binding.1) }).await.unwrap();
    let addr = first.local_addr();
    let accepting = process.spawn(async move { (first.accept().await.unwrap().unwrap(), first) });
    let dialled = soon(alpha.connect(addr, Expect::Node("beta"))).await.unwrap();
    let life = soon(accepting).await.unwrap();
    process.shutdown_background();
    drop(life);

    let second = soon(async {
        loop {
            match Endpoint::bind(addr, &beta, &config) {
                Ok(endpoint) => break endpoint,
                // The thrown-away runtime closes its socket on its own thread.
                Err(BindError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .await;
    assert_eq!(soon(dialled.closed()).await, CloseReason::Reset);
    drop(second);
}

#[tokio::test]
async fn a_peer_whose_port_is_closed_is_refused_and_one_that_listens_is_not() {
    let config = TransportConfig::lan();
    let authority = Authority::create("farm").unwrap();
    let (alpha, beta) = (authority.issue_node("alpha").unwrap(), authority.issue_node("beta").unwrap());
    let (alpha, beta) = (bind(&alpha, &config), bind(&beta, &config));
    let (dialled, accepted) = connect(&alpha, &beta).await;
    let mut probe = dialled.probe().await.unwrap();
    let wait = Duration::from_millis(50);
    assert!(!probe.is_refused(wait).await);
    assert!(!probe.is_refused(wait).await, "nothing of the question before comes back");

    let heard = dialled.heard();
    let (mut send, _receive) = stream(&accepted, &dialled).await;
    send.write_chunk("still here".into()).await.unwrap();
    assert!(dialled.heard() > heard);

    beta.close();
    drop((accepted, send));
    beta.wait_idle(Duration::from_secs(5)).await;
    drop(beta);
    soon(async { while !probe.is_refused(wait).await {} }).await;
}

#[tokio::test]
async fn a_stream_in_flight_goes_on_when_its_dialler_moves_to_another_address() {
    let authority = Authority::create("farm").unwrap();
    let (alpha, beta) = (authority.issue_node("alpha").unwrap(), authority.issue_node("beta").unwrap());
    let beta_endpoint = bind(&beta, &TransportConfig::lan());
    let guise = Guise { trusts: &beta, shows: Some(&alpha), alpn: &[b"mesh/1"] };
    let caller = dialler(&guise);
    let dials = caller.connect(beta_endpoint.local_addr(), "beta.node.farm.mesh").unwrap();
    let (dialled, accepted) = soon(async { tokio::join!(dials, beta_endpoint.accept()) }).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap().unwrap());
    let mut up = dialled.open_uni().await.unwrap();
    up.write_all(b"1").await.unwrap();
    let mut heard = soon(accepted.accept_uni()).await.unwrap();
    assert_eq!(soon(read(&mut heard)).await, Ok(Some("1".into())));
    let mut down = accepted.open_uni(0).await.unwrap();
    down.write_chunk("a".into()).await.unwrap();
    let mut told = soon(dialled.accept_uni()).await.unwrap();
    assert_eq!(soon(told.read_chunk(9, true)).await.unwrap().unwrap().bytes, "a");

    let mut before = accepted.remote_addr();
    for _ in 0..3 {
        let socket = UdpSocket::bind(LOOPBACK).unwrap();
        let moved = socket.local_addr().unwrap();
        caller.rebind(socket).unwrap();
        up.write_all(b"2").await.unwrap();
        assert_eq!(soon(read(&mut heard)).await, Ok(Some("2".into())));
        down.write_chunk("b".into()).await.unwrap();
        assert_eq!(soon(told.read_chunk(9, true)).await.unwrap().unwrap().bytes, "b");
        assert_ne!(before, moved);
        assert_eq!(accepted.remote_addr(), moved, "it is known where it is");
        before = moved;
    }
    assert_eq!(accepted.close_reason(), None);
}
