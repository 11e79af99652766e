//! Rows of the threat table: each is refused in the handshake, and no frame is looked at.

use mesh_net::{
    Authority, CloseReason, ConnectError, Connection, Endpoint, Expect, Identity, Role, TransportConfig,
};

use mesh_proto::GrantSet;

use crate::adversary::{Guise, dialler, forge, listener, past, present};
use crate::pair::{LOOPBACK, connect, soon};

const ALPN: &[u8] = b"mesh/1";

struct Farm {
    authority: Authority,
    victim: Endpoint,
    victim_identity: Identity,
}

fn farm() -> Farm {
    let authority = Authority::create("farm").unwrap();
    let victim_identity = authority.issue_node("victim").unwrap();
    let victim = bind(&victim_identity);
    Farm { authority, victim, victim_identity }
}

fn bind(identity: &Identity) -> Endpoint {
    Endpoint::bind(LOOPBACK, identity, &TransportConfig::lan()).unwrap()
}

/// Dials the victim in the given guise; gives the victim's verdict and checks that the adversary is cut off, although
/// its own handshake may have seemed complete.
async fn dial_victim(farm: &Farm, guise: Guise<'_>) -> ConnectError {
    soon(async {
        let endpoint = dialler(&guise);
        let connecting = endpoint.connect(farm.victim.local_addr(), "victim.node.farm.mesh").unwrap();
        let adversary = async {
            let Ok(connection) = connecting.await else { return };
            // It speaks before it learns of the verdict.
            if let Ok(mut stream) = connection.open_uni().await {
                let _ = stream.write_all(b"\x04\0\0\0evil").await;
            }
            connection.closed().await;
        };
        let (verdict, ()) = tokio::join!(farm.victim.accept(), adversary);
        verdict.expect("the endpoint lives").expect_err("the adversary got in")
    })
    .await
}

/// Lets a node of the farm dial an adversary that listens in the given guise.
async fn dial_adversary(
    farm: &Farm,
    guise: Guise<'_>,
    expect: Expect<'_>,
) -> Result<Connection, ConnectError> {
    let endpoint = listener(&guise);
    let addr = endpoint.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let _ = incoming.await;
        }
    });
    let result = soon(farm.victim.connect(addr, expect)).await;
    serving.abort();
    result
}

fn is_certificate<T: std::fmt::Debug>(result: &Result<T, ConnectError>) -> bool {
    matches!(result, Err(ConnectError::Certificate { .. }))
}

#[tokio::test]
async fn row_1_a_caller_without_a_certificate_is_refused() {
    let farm = farm();
    let guise = Guise { trusts: &farm.victim_identity, shows: None, alpn: &[ALPN] };
    let verdict = dial_victim(&farm, guise).await;
    assert!(matches!(verdict, ConnectError::Certificate { .. }), "{verdict:?}");
}

#[tokio::test]
async fn row_2_a_caller_of_another_authority_is_refused() {
    let farm = farm();
    // The same cluster name: only the signature differs.
    let stranger = Authority::create("farm").unwrap().issue_node("victim").unwrap();
    let guise = Guise { trusts: &farm.victim_identity, shows: Some(&stranger), alpn: &[ALPN] };
    let verdict = dial_victim(&farm, guise).await;
    assert!(matches!(verdict, ConnectError::Certificate { .. }), "{verdict:?}");
}

#[tokio::test]
async fn row_2_a_listener_of_another_authority_is_refused() {
    let farm = farm();
    let stranger = Authority::create("farm").unwrap().issue_node("beta").unwrap();
    let guise = Guise { trusts: &farm.victim_identity, shows: Some(&stranger), alpn: &[ALPN] };
    let result = dial_adversary(&farm, guise, Expect::Node("beta")).await;
    assert!(is_certificate(&result), "{result:?}");
}

#[tokio::test]
async fn row_2_the_dialler_of_another_cluster_learns_it_by_the_close() {
    let farm = farm();
    let stranger = Authority::create("farm").unwrap().issue_node("beta").unwrap();
    let mixed = stranger.to_pem();
    // It trusts the victim, so it gets as far as TLS 1.3 lets a client get.
    let mixed = Identity::from_pem(farm.authority.cert_pem(), &mixed.cert, &mixed.key).unwrap();
    let stranger = bind(&mixed);
    let addr = farm.victim.local_addr();
    let (dialled, verdict) =
        soon(async { tokio::join!(stranger.connect(addr, Expect::AnyNode), farm.victim.accept()) }).await;
    assert!(is_certificate(&verdict.unwrap()));
    let reason = soon(dialled.unwrap().closed()).await;
    assert!(matches!(reason, CloseReason::Transport(_)), "{reason:?}");
}

#[tokio::test]
async fn row_2_an_expired_certificate_is_refused_on_either_side() {
    let farm = farm();
    let hosts = ["late.node.farm.mesh", "node.farm.mesh"];
    let expired = forge(&farm.authority, "spiffe://farm/node/late", &hosts, past());
    let guise = Guise { trusts: &farm.victim_identity, shows: Some(&expired), alpn: &[ALPN] };
    let verdict = dial_victim(&farm, guise).await;
    assert!(matches!(verdict, ConnectError::Certificate { .. }), "{verdict:?}");

    let guise = Guise { trusts: &farm.victim_identity, shows: Some(&expired), alpn: &[ALPN] };
    let result = dial_adversary(&farm, guise, Expect::Node("late")).await;
    assert!(is_certificate(&result), "{result:?}");

    // The same certificate in its time is fine: it was the date that was refused.
    let valid = forge(&farm.authority, "spiffe://farm/node/late", &hosts, present());
    let (_, accepted) = soon(connect(&bind(&valid), &farm.victim)).await;
    assert_eq!(accepted.peer().name, "late");
}

#[tokio::test]
async fn row_3_another_protocol_is_refused_on_either_side() {
    let farm = farm();
    let friend = farm.authority.issue_node("beta").unwrap();
    let guise = Guise { trusts: &farm.victim_identity, shows: Some(&friend), alpn: &[b"mesh/2"] };
    let verdict = dial_victim(&farm, guise).await;
    assert!(matches!(verdict, ConnectError::Protocol { .. }), "{verdict:?}");

    let guise = Guise { trusts: &farm.victim_identity, shows: Some(&friend), alpn: &[b"h3"] };
    let result = dial_adversary(&farm, guise, Expect::Node("beta")).await;
    assert!(matches!(result, Err(ConnectError::Protocol { .. })), "{result:?}");
}

/// The highest version that both speak is taken, whoever dials.
#[tokio::test]
async fn a_peer_of_the_next_version_that_speaks_this_one_too_is_understood() {
    let farm = farm();
    let friend = farm.authority.issue_node("beta").unwrap();
    let guise = || Guise {
        trusts: &farm.victim_identity,
        shows: Some(&friend),
        alpn: &[b"mesh/2", ALPN, b"mesh/none"],
    };
    let dialler = dialler(&guise());
    let dials = async {
        let connection =
            dialler.connect(farm.victim.local_addr(), "victim.node.farm.mesh").unwrap().await.unwrap();
        let data = connection.handshake_data().unwrap();
        let data = data.downcast::<quinn::crypto::rustls::HandshakeData>().unwrap();
        (data.protocol.unwrap(), connection)
    };
    let ((protocol, _theirs), accepted) = soon(async { tokio::join!(dials, farm.victim.accept()) }).await;
    assert_eq!(protocol, ALPN);
    assert_eq!(accepted.unwrap().unwrap().peer().name, "beta");
    let dialled = dial_adversary(&farm, guise(), Expect::Node("beta")).await;
    assert!(dialled.is_ok(), "{dialled:?}");
}

#[tokio::test]
async fn two_peers_without_a_version_in_common_are_told_both() {
    let farm = farm();
    let friend = farm.authority.issue_node("beta").unwrap();
    let guise = || Guise {
        trusts: &farm.victim_identity,
        shows: Some(&friend),
        alpn: &[b"mesh/3", b"mesh/2", b"mesh/none"],
    };
    let dialler = dialler(&guise());
    let dials = async {
        let connection =
            dialler.connect(farm.victim.local_addr(), "victim.node.farm.mesh").unwrap().await.unwrap();
        connection.closed().await
    };
    let (closed, refused) = soon(async { tokio::join!(dials, farm.victim.accept()) }).await;
    let quinn::ConnectionError::ApplicationClosed(close) = closed else { panic!("{closed:?}") };
    assert_eq!((close.error_code, &*close.reason), (5u32.into(), &b"mesh/1"[..]));
    assert!(matches!(refused, Some(Err(ConnectError::Version { .. }))), "{refused:?}");

    let listener = listener(&guise());
    let accepts = async {
        let connection = listener.accept().await.unwrap().await.unwrap();
        connection.close(5u32.into(), b"mesh/3, mesh/2");
        connection.closed().await
    };
    let addr = listener.local_addr().unwrap();
    let (dialled, _) =
        soon(async { tokio::join!(farm.victim.connect(addr, Expect::Node("beta")), accepts) }).await;
    let error = dialled.expect_err("they have no version in common").to_string();
    assert_eq!(error, format!("VERSION: this node speaks mesh/1, and {addr} speaks mesh/3, mesh/2"));
}

#[tokio::test]
async fn row_3_a_client_that_listens_is_taken_for_a_node_by_nobody() {
    let farm = farm();
    let client = farm.authority.issue_client("alice", &GrantSet::all()).unwrap();
    for expect in [Expect::AnyNode, Expect::Node("alice")] {
        let guise = Guise { trusts: &farm.victim_identity, shows: Some(&client), alpn: &[ALPN] };
        let result = dial_adversary(&farm, guise, expect).await;
        assert!(is_certificate(&result), "{result:?}");
        let result = soon(farm.victim.connect(bind_and_serve(&client).local_addr(), expect)).await;
        assert!(is_certificate(&result), "{result:?}");
    }
}

/// An endpoint of ours that accepts in the background until the test's runtime ends.
fn bind_and_serve(identity: &Identity) -> Endpoint {
    let endpoint = bind(identity);
    let serving = endpoint.clone();
    tokio::spawn(async move { while serving.accept().await.is_some() {} });
    endpoint
}

#[tokio::test]
async fn row_3_a_client_that_dials_is_known_as_a_client() {
    let farm = farm();
    let identity = farm.authority.issue_client("alice", &GrantSet::all()).unwrap();
    let client = Endpoint::client(&identity, &TransportConfig::lan()).unwrap();
    let (dialled, accepted) = connect(&client, &farm.victim).await;
    assert_eq!((accepted.peer().role, accepted.peer().name.as_str()), (Role::Client, "alice"));
    assert_eq!(accepted.peer(), identity.peer_id());
    assert_eq!(dialled.peer(), farm.victim_identity.peer_id());
}

#[tokio::test]
async fn a_certificate_of_our_authority_for_another_cluster_is_refused() {
    let farm = farm();
    let hosts = ["beta.node.farm.mesh", "node.farm.mesh"];
    let odd = forge(&farm.authority, "spiffe://zoo/node/beta", &hosts, present());
    let guise = Guise { trusts: &farm.victim_identity, shows: Some(&odd), alpn: &[ALPN] };
    let verdict = dial_victim(&farm, guise).await;
    assert!(matches!(verdict, ConnectError::Certificate { .. }), "{verdict:?}");
}
