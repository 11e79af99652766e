//! Row 4 of the threat table: a token makes one certificate at most, whatever is done with it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_net::{
    Authority, ConnectError, Endpoint, EnrollError, Identity, Issuer, JoinToken, LedgerError, Role, TokenId,
    TokenLedger, TokenOffer, TransportConfig, enroll,
};
use mesh_proto::{GrantSet, Verb};
use parking_lot::Mutex;

use crate::pair::{LOOPBACK, connect, soon};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Ledger {
    offers: Mutex<HashMap<TokenId, Option<TokenOffer>>>,
    names: Mutex<Vec<String>>,
}

impl TokenLedger for Ledger {
    fn find(&self, token: TokenId) -> Result<TokenOffer, LedgerError> {
        let offer = self.offers.lock().get(&token).cloned();
        offer.ok_or(LedgerError::Unknown)?.ok_or(LedgerError::Used)
    }

    fn burn(&self, token: TokenId, _: &TokenOffer, name: &str) -> Result<(), LedgerError> {
        let offer = self.offers.lock().get_mut(&token).and_then(Option::take);
        offer.ok_or(LedgerError::Used)?;
        self.names.lock().push(name.to_owned());
        Ok(())
    }
}

struct Office {
    authority: Arc<Authority>,
    ledger: Arc<Ledger>,
    endpoint: Endpoint,
}

fn office() -> Office {
    let authority = Arc::new(Authority::create("farm").unwrap());
    let ledger = Arc::new(Ledger::default());
    let endpoint = bind(&authority.issue_node("alpha").unwrap());
    endpoint.set_registrar(Arc::new(Issuer::new(Arc::clone(&authority), Arc::clone(&ledger) as _)));
    serve(&endpoint);
    Office { authority, ledger, endpoint }
}

fn bind(identity: &Identity) -> Endpoint {
    Endpoint::bind(LOOPBACK, identity, &TransportConfig::lan()).unwrap()
}

fn serve(endpoint: &Endpoint) {
    let serving = endpoint.clone();
    tokio::spawn(async move { while serving.accept().await.is_some() {} });
}

impl Office {
    fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    fn token(&self, role: Role, name: Option<&str>, ttl: Duration) -> JoinToken {
        let token = JoinToken::create(&self.authority, role, HOUR).unwrap();
        let grants = "ask:*/echo".parse().map(|grant| GrantSet::new([grant]).unwrap()).unwrap();
        let (name, expires) = (name.map(str::to_owned), SystemTime::now() + ttl);
        let offer = TokenOffer { key: token.key(), role, name, grants, expires };
        self.ledger.offers.lock().insert(token.id(), Some(offer));
        token
    }

    async fn refusal(&self, token: &JoinToken) -> String {
        match soon(enroll(self.addr(), token, "beta")).await {
            Err(EnrollError::Refused { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_makes_a_node_that_is_let_in() {
    let office = office();
    let token = office.token(Role::Node, None, HOUR);
    let beta = soon(enroll(office.addr(), &token, "beta")).await.unwrap();
    assert_eq!(beta.peer_id().to_string(), "spiffe://farm/node/beta");
    let gamma = bind(&office.authority.issue_node("gamma").unwrap());
    let (_, accepted) = connect(&bind(&beta), &gamma).await;
    assert_eq!(accepted.peer(), beta.peer_id());
}

#[tokio::test]
async fn a_token_makes_a_client_of_its_name_with_its_grants_and_no_others() {
    let office = office();
    let token = office.token(Role::Client, Some("laptop"), HOUR);
    let laptop = soon(enroll(office.addr(), &token, "root")).await.unwrap();
    assert_eq!(laptop.peer_id().to_string(), "spiffe://farm/client/laptop");
    assert!(laptop.credential().grants.allows(Verb::Ask, "any/echo"));
    assert!(!laptop.credential().grants.allows(Verb::Tell, "any/echo"));
}

#[tokio::test]
async fn row_4_a_token_is_used_once() {
    let office = office();
    let token = office.token(Role::Node, None, HOUR);
    soon(enroll(office.addr(), &token, "beta")).await.unwrap();
    assert_eq!(office.refusal(&token).await, "TOKEN_USED");
    assert_eq!(office.ledger.names.lock().as_slice(), ["beta"]);
}

#[tokio::test]
async fn row_4_of_many_who_race_one_gets_a_certificate() {
    let office = office();
    let token = office.token(Role::Node, None, HOUR);
    let racers: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .map(|name| {
            let (addr, token) = (office.addr(), token.to_text().parse::<JoinToken>().unwrap());
            tokio::spawn(async move { enroll(addr, &token, name).await })
        })
        .into();
    let mut issued = 0;
    for racer in racers {
        match soon(racer).await.unwrap() {
            Ok(_) => issued += 1,
            Err(EnrollError::Refused { code, .. }) => assert_eq!(code, "TOKEN_USED"),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(issued, 1);
    assert_eq!(office.ledger.names.lock().len(), 1);
}

#[tokio::test]
async fn row_4_an_expired_token_is_refused_and_not_used() {
    let office = office();
    // The joiner's clock is late, or its token's text was made up: the ledger decides.
    let token = office.token(Role::Node, None, Duration::ZERO);
    assert_eq!(office.refusal(&token).await, "TOKEN_EXPIRED");
    assert!(office.ledger.names.lock().is_empty());

    let expired = JoinToken::create(&office.authority, Role::Node, Duration::ZERO).unwrap();
    let refused = soon(enroll(office.addr(), &expired, "beta")).await;
    assert!(matches!(refused, Err(EnrollError::Expired)), "{refused:?}");
}

#[tokio::test]
async fn row_4_a_token_that_nobody_made_is_refused() {
    let office = office();
    let token = JoinToken::create(&office.authority, Role::Node, HOUR).unwrap();
    assert_eq!(office.refusal(&token).await, "TOKEN_UNKNOWN");
}

#[tokio::test]
async fn a_token_whose_secret_is_another_is_refused_and_not_used() {
    let office = office();
    let token = office.token(Role::Node, None, HOUR);
    let other = JoinToken::create(&office.authority, Role::Node, HOUR).unwrap();
    // The ledger knows the id, and another key for it: as for whoever has seen the id in a log.
    {
        let mut offers = office.ledger.offers.lock();
        offers.get_mut(&token.id()).unwrap().as_mut().unwrap().key = other.key();
    }
    assert_eq!(office.refusal(&token).await, "BAD_PROOF");
    assert!(office.ledger.names.lock().is_empty());
}

#[tokio::test]
async fn a_joiner_speaks_only_with_the_mesh_of_its_token() {
    let (office, stranger) = (office(), office());
    let token = office.token(Role::Node, None, HOUR);
    let refused = soon(enroll(stranger.addr(), &token, "beta")).await;
    assert!(matches!(refused, Err(EnrollError::Connect(ConnectError::Certificate { .. }))), "{refused:?}");
    soon(enroll(office.addr(), &token, "beta")).await.expect("the token is as it was");
}

#[tokio::test]
async fn a_node_without_the_authority_says_so() {
    let office = office();
    let other = bind(&office.authority.issue_node("gamma").unwrap());
    serve(&other);
    let token = office.token(Role::Node, None, HOUR);
    match soon(enroll(other.local_addr(), &token, "beta")).await {
        Err(EnrollError::Refused { code, .. }) => assert_eq!(code, "NO_AUTHORITY"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn row_3_who_comes_to_enrol_without_a_certificate_can_speak_nothing_else() {
    let office = office();
    let addr = office.addr();
    let guise = crate::adversary::Guise {
        trusts: &office.authority.issue_node("x").unwrap(),
        shows: None,
        alpn: &[b"mesh/1"],
    };
    let endpoint = crate::adversary::dialler_with_id(&guise, b"mesh-enr-and-more");
    let refused = soon(endpoint.connect(addr, "node.farm.mesh").unwrap()).await;
    assert!(refused.is_err(), "{refused:?}");
}
