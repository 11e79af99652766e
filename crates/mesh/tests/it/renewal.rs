//! Certificates that are made anew before they run out.

use crate::cluster::LIMIT;
use mesh::{
    Authority, Client, ClientConfig, Endpoint, Identity, Mesh, Node, NodeConfig, RenewError, Runtimes,
    TransportConfig,
};
use mesh_net::{DenyList, Expect, Issuer, LedgerError, Lives, TokenId, TokenLedger, TokenOffer};
use mesh_proto::GrantSet;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

struct NoTokens;
impl TokenLedger for NoTokens {
    fn find(&self, _: TokenId) -> Result<TokenOffer, LedgerError> {
        Err(LedgerError::Unknown)
    }
    fn burn(&self, _: TokenId, _: &TokenOffer, _: &str) -> Result<(), LedgerError> {
        Err(LedgerError::Unknown)
    }
}

/// Two nodes, of which the first alone has the authority's key.
struct Farm {
    authority: Arc<Authority>,
    alpha: Node,
    beta: Node,
    beta_identity: Identity,
}

async fn farm() -> Farm {
    let authority = Arc::new(Authority::create("farm").unwrap());
    let config =
        |seeds| NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), seeds, ..NodeConfig::default() };
    let issuer = Issuer::new(Arc::clone(&authority), Arc::new(NoTokens));
    let alpha = Node::builder(config(Vec::new())).issuer(Arc::new(issuer));
    let alpha = alpha.start(authority.issue_node("alpha").unwrap(), Runtimes::current()).await.unwrap();
    let beta_identity = authority.issue_node("beta").unwrap();
    let beta = Node::builder(config(vec![alpha.local_addr().to_string()]));
    let beta = beta.start(beta_identity.clone(), Runtimes::current()).await.unwrap();
    Farm { authority, alpha, beta, beta_identity }
}

async fn client_of(node: &Node, identity: &Identity) -> Mesh {
    let addrs = [node.local_addr().to_string()];
    Client::connect(&addrs, identity, ClientConfig::default(), Runtimes::current()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_renews_its_certificate_by_one_that_has_the_key() {
    let Farm { authority, alpha, beta, beta_identity: identity } = farm().await;
    let renewed = timeout(LIMIT, beta.renew(&identity)).await.unwrap().unwrap();
    assert_eq!(renewed.peer_id(), identity.peer_id());
    assert_ne!(renewed.credential().serial, identity.credential().serial);
    beta.set_identity(&renewed).unwrap();
    let peer =
        Endpoint::client(&authority.issue_client("c", &GrantSet::all()).unwrap(), &TransportConfig::lan());
    let connection = peer.unwrap().connect(beta.local_addr(), Expect::Node("beta")).await.unwrap();
    assert_eq!(connection.credential().serial, renewed.credential().serial);
    let again = beta.renew(&renewed).await;
    assert!(matches!(again, Err(RenewError::Refused { .. })), "one in a second is enough: {again:?}");
    assert!(matches!(alpha.renew(&identity).await, Err(RenewError::NoIssuer)), "nobody else has the key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_renews_its_certificate_through_any_node_and_gets_no_more_than_it_had() {
    let farm = farm().await;
    let grants = GrantSet::new(["ask:*/nothing".parse().unwrap()]).unwrap();
    for (node, name) in [(&farm.alpha, "ann"), (&farm.beta, "bob")] {
        let identity = farm.authority.issue_client(name, &grants).unwrap();
        let client = client_of(node, &identity).await;
        let renewed = timeout(LIMIT, client.renew(&identity)).await.unwrap().unwrap();
        let (was, is) = (identity.credential(), renewed.credential());
        assert_eq!((&is.peer, &is.grants), (&was.peer, &was.grants));
        assert_ne!(is.serial, was.serial);
        assert!(is.not_after >= was.not_after);
        let again = client.renew(&renewed).await;
        assert!(matches!(again, Err(RenewError::Refused { .. })), "one in a second is enough: {again:?}");
        client_of(node, &renewed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_denied_or_whose_time_is_over_is_given_no_new_certificate() {
    let farm = farm().await;
    // The node that it reaches has not heard of it; the one with the key has.
    let eve = farm.authority.issue_client("eve", &GrantSet::all()).unwrap();
    let client = client_of(&farm.beta, &eve).await;
    farm.alpha.deny(DenyList::new(["client/eve".parse().unwrap()]));
    let asked = client.renew(&eve).await;
    assert!(matches!(asked, Err(RenewError::Refused { .. })), "{asked:?}");

    let lives = Lives { client: Duration::from_secs(2), ..Lives::default() };
    let hurried = Authority::from_pem(farm.authority.cert_pem(), &farm.authority.key_pem()).unwrap();
    let late = hurried.with_lives(lives).issue_client("late", &GrantSet::all()).unwrap();
    let client = client_of(&farm.beta, &late).await;
    let ends = late.credential().not_after;
    while std::time::SystemTime::now() <= ends + Duration::from_secs(1) {
        tokio::task::yield_now().await;
    }
    let asked = client.renew(&late).await;
    assert!(matches!(asked, Err(RenewError::Refused { .. })), "{asked:?}");
}
