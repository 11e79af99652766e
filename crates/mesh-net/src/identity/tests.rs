use mesh_proto::GrantSet;

use super::*;

fn authority() -> Authority {
    Authority::create("farm").unwrap()
}

#[test]
fn an_issued_identity_names_its_cluster_role_and_holder() {
    let node = authority().issue_node("alpha").unwrap();
    assert_eq!(node.peer_id().to_string(), "spiffe://farm/node/alpha");
    assert_eq!((node.peer_id().role, node.peer_id().name.as_str()), (Role::Node, "alpha"));
    let client = authority().issue_client("alice", &GrantSet::all()).unwrap();
    assert_eq!(client.peer_id().to_string(), "spiffe://farm/client/alice");
}

#[test]
fn two_holders_of_one_name_have_different_ids() {
    let authority = authority();
    let (first, second) = (authority.issue_node("alpha").unwrap(), authority.issue_node("alpha").unwrap());
    assert_ne!(first.peer_id().id, second.peer_id().id);
}

#[test]
fn an_identity_survives_its_pem_text() {
    let identity = authority().issue_node("alpha").unwrap();
    let IdentityPem { ca, cert, key } = identity.to_pem();
    assert_eq!(Identity::from_pem(&ca, &cert, &key).unwrap().peer_id(), identity.peer_id());
}

#[test]
fn an_authority_survives_its_pem_text_and_goes_on_issuing() {
    let first = authority();
    let again = Authority::from_pem(first.cert_pem(), &first.key_pem()).unwrap();
    assert_eq!(again.cluster(), "farm");
    assert_eq!(again.issue_node("beta").unwrap().peer_id().cluster, "farm");
}

#[test]
fn keys_of_another_certificate_are_refused() {
    let (first, second) = (authority(), authority());
    let mixed = Authority::from_pem(first.cert_pem(), &second.key_pem());
    assert!(matches!(mixed, Err(IdentityError::Key { .. })), "{mixed:?}");
    let (alpha, beta) =
        (first.issue_node("alpha").unwrap().to_pem(), first.issue_node("beta").unwrap().to_pem());
    let mixed = Identity::from_pem(&alpha.ca, &alpha.cert, &beta.key);
    assert!(matches!(mixed, Err(IdentityError::Key { .. })), "{mixed:?}");
}

#[test]
fn a_leaf_is_no_authority_and_an_authority_is_no_peer() {
    let authority = authority();
    let leaf = authority.issue_node("alpha").unwrap().to_pem();
    let posing = Authority::from_pem(&leaf.cert, &leaf.key);
    assert!(matches!(posing, Err(IdentityError::Certificate { .. })), "{posing:?}");
    let posing = Identity::from_pem(authority.cert_pem(), authority.cert_pem(), &authority.key_pem());
    assert!(matches!(posing, Err(IdentityError::Certificate { .. })), "{posing:?}");
}

#[test]
fn names_that_would_change_a_certificate_are_refused() {
    for name in ["", "alpha.node", "../alpha", "client/alice"] {
        assert!(matches!(authority().issue_node(name), Err(IdentityError::Name(_))), "{name}");
        assert!(matches!(Authority::create(name), Err(IdentityError::Name(_))), "{name}");
    }
}

#[test]
fn text_that_is_no_pem_names_the_part_that_is_broken() {
    let pem = authority().issue_node("alpha").unwrap().to_pem();
    let part = |result: Result<Identity, IdentityError>| match result {
        Err(IdentityError::Pem { part, .. }) => part,
        other => panic!("{other:?}"),
    };
    assert_eq!(part(Identity::from_pem("", &pem.cert, &pem.key)), "ca");
    assert_eq!(part(Identity::from_pem(&pem.ca, "junk", &pem.key)), "certificate");
    assert_eq!(part(Identity::from_pem(&pem.ca, &pem.cert, &pem.cert)), "key");
}

#[test]
fn debug_output_never_shows_a_key() {
    let authority = authority();
    let identity = authority.issue_node("alpha").unwrap();
    let shown = format!("{authority:?} {identity:?} {:?}", identity.to_pem());
    for secret in [authority.key_pem(), identity.to_pem().key] {
        let body = secret.lines().nth(1).unwrap();
        assert!(!shown.contains(body), "a key leaked into {shown}");
    }
}
