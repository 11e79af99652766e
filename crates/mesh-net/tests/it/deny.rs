//! Who is no longer let in, and certificates that are replaced while connections are open.

use std::time::Duration;

use mesh_net::{
    Authority, CloseCode, CloseReason, ConnectError, DenyList, Endpoint, Expect, Identity, Lives, Role,
    TransportConfig,
};
use mesh_proto::{GrantSet, Verb};

use crate::pair::{LOOPBACK, Transport, connect, soon};

fn bind(identity: &Identity) -> Endpoint {
    Endpoint::bind(LOOPBACK, identity, &TransportConfig::lan()).unwrap()
}

fn list(entry: &str) -> DenyList {
    DenyList::new([entry.parse().unwrap()])
}

#[tokio::test]
async fn row_2_a_denied_peer_is_cut_off_and_not_let_in_again() {
    for transport in [Transport::Quic, Transport::Memory] {
        let pair = transport.pair(&TransportConfig::lan()).await;
        pair.beta.deny(list("node/alpha"));
        let CloseReason::Peer { code, reason } = soon(pair.dialled.closed()).await else { panic!("closed") };
        assert_eq!(code, CloseCode::Denied, "{reason}");
        assert!(reason.contains("deny list"), "{reason}");

        let (dialled, verdict) = soon(async {
            tokio::join!(pair.alpha.connect(pair.beta.local_addr(), Expect::AnyNode), pair.beta.accept())
        })
        .await;
        assert!(matches!(verdict, Some(Err(ConnectError::Certificate { .. }))), "{verdict:?}");
        soon(dialled.unwrap().closed()).await;

        pair.beta.deny(DenyList::default());
        connect(&pair.alpha, &pair.beta).await;
    }
}

#[tokio::test]
async fn a_denied_node_is_not_dialled_either() {
    let pair = Transport::Quic.pair(&TransportConfig::lan()).await;
    pair.alpha.deny(list("node/beta"));
    let (refused, _) = soon(async {
        tokio::join!(pair.alpha.connect(pair.beta.local_addr(), Expect::Node("beta")), pair.beta.accept())
    })
    .await;
    assert!(matches!(refused, Err(ConnectError::Certificate { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_peer_on_either_side() {
    let authority = Authority::create("farm").unwrap();
    let (alpha, beta) = (authority.issue_node("alpha").unwrap(), authority.issue_node("beta").unwrap());
    let (at_alpha, at_beta) = (bind(&alpha), bind(&beta));
    let (before, accepted) = connect(&at_alpha, &at_beta).await;
    assert_eq!(accepted.credential().serial, alpha.credential().serial);

    let alpha = alpha.renewed(&authority.renew(alpha.credential().certificate()).unwrap()).unwrap();
    assert_eq!(alpha.peer_id(), accepted.peer(), "the same node");
    at_alpha.set_identity(&alpha).unwrap();
    let (_, accepted) = connect(&at_alpha, &at_beta).await;
    assert_eq!(accepted.credential().serial, alpha.credential().serial);
    let (dialled, _) = connect(&at_beta, &at_alpha).await;
    assert_eq!(dialled.credential().serial, alpha.credential().serial);
    assert_eq!(before.close_reason(), None, "what was open stays open");
}

#[tokio::test]
async fn another_nodes_certificate_is_no_renewal() {
    let authority = Authority::create("farm").unwrap();
    let (alpha, beta) = (authority.issue_node("alpha").unwrap(), authority.issue_node("beta").unwrap());
    let other = authority.renew(beta.credential().certificate()).unwrap();
    assert!(alpha.renewed(&other).is_err());
    let elsewhere = Authority::create("zoo").unwrap();
    assert!(elsewhere.renew(alpha.credential().certificate()).is_err());
}

#[tokio::test]
async fn a_clients_certificate_is_believed_only_if_the_authority_signed_it_and_it_counts() {
    let authority = Authority::create("farm").unwrap();
    let endpoint = bind(&authority.issue_node("alpha").unwrap());
    let grants = GrantSet::new(["ask:*/echo".parse().unwrap()]).unwrap();
    let alice = authority.issue_client("alice", &grants).unwrap();
    let known = endpoint.verify_client(alice.credential().certificate()).unwrap();
    assert_eq!((known.peer.role, known.peer.name.as_str()), (Role::Client, "alice"));
    assert!(known.grants.allows(Verb::Ask, "a/echo") && !known.grants.allows(Verb::Ask, "a/slow"));

    let forged = Authority::create("farm").unwrap().issue_client("alice", &GrantSet::all()).unwrap();
    assert!(endpoint.verify_client(forged.credential().certificate()).is_err());
    let lives = Lives { client: Duration::ZERO, ..Lives::default() };
    let authority =
        Authority::from_pem(authority.cert_pem(), &authority.key_pem()).unwrap().with_lives(lives);
    let expired = authority.issue_client("alice", &GrantSet::all()).unwrap();
    let error = soon(expires(&endpoint, expired.credential().certificate())).await;
    assert!(error.to_lowercase().contains("expired"), "{error}");
    let node = authority.issue_node("beta").unwrap();
    assert!(endpoint.verify_client(node.credential().certificate()).is_err(), "a node is no client");
    assert!(endpoint.verify_client(b"").is_err());

    endpoint.deny(list("client/alice"));
    assert!(endpoint.verify_client(alice.credential().certificate()).unwrap_err().contains("deny list"));
}

/// A certificate counts to the end of its last second.
async fn expires(endpoint: &Endpoint, certificate: &[u8]) -> String {
    loop {
        match endpoint.verify_client(certificate) {
            Err(error) => return error,
            Ok(_) => tokio::task::yield_now().await,
        }
    }
}
