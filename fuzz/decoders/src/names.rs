use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh_net::{Authority, Identity};
use mesh_proto::{ActorPath, Kind};

/// A path, a kind and a node's name, as text.
///
/// # Panics
/// When a path or a kind that was accepted is not the text that it was made of, or leads out of where it belongs.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = text.parse::<ActorPath>() {
        assert_eq!(path.to_string(), text);
        assert!(text.is_ascii() && !text.contains("//") && !text.split('/').any(|part| part == ".."));
    }
    if let Ok(kind) = text.parse::<Kind>() {
        assert_eq!(kind.as_str(), text);
    }
    // A node has one name in certificates and in paths.
    let in_path = ActorPath::new(text, "a").is_ok();
    assert_eq!(mesh_net::check_name(text).is_ok(), in_path, "{text:?}");
}

/// A certificate, as a node's and as an authority's, with its key: the first byte says whether the rest is its text, or
/// edits of one that is right (three bytes each: where, in two of them, and what stands there then).
///
/// # Panics
/// When a certificate is accepted that gives a peer a name which is none.
pub fn certificate(bytes: &[u8]) {
    let Some((&sort, rest)) = bytes.split_first() else { return };
    for (cert, key) in right_ones() {
        if sort % 2 == 0 {
            accepted(&edited(cert, rest), key);
        } else if let Ok(text) = std::str::from_utf8(rest) {
            accepted(text, key);
            drop(Identity::from_pem(&pem(cert), &pem(cert), text));
        }
    }
}

fn accepted(cert: &str, key: &str) {
    if let Ok(identity) = Identity::from_pem(cert, cert, key) {
        let peer = identity.peer_id();
        assert!(
            [&peer.name, &peer.cluster].into_iter().all(|name| mesh_net::check_name(name).is_ok()),
            "{peer:?}"
        );
    }
    if let Ok(authority) = Authority::from_pem(cert, key) {
        assert!(mesh_net::check_name(authority.cluster()).is_ok(), "{authority:?}");
    }
}

/// A node's and an authority's certificate, and their keys. Made anew in each process: no key is kept with the samples.
fn right_ones() -> &'static [(Vec<u8>, String); 2] {
    static ONES: OnceLock<[(Vec<u8>, String); 2]> = OnceLock::new();
    ONES.get_or_init(|| {
        let authority = Authority::create("c-fuzz").expect("this machine can make keys");
        let node = authority.issue_node("alpha").expect("this machine can make keys").to_pem();
        [(node.cert, node.key), (authority.cert_pem().to_owned(), authority.key_pem())]
            .map(|(cert, key)| (der(&cert), key))
    })
}

fn der(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(lines).expect("PEM is base64 between its marks")
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn edited(der: &[u8], edits: &[u8]) -> String {
    let mut der = der.to_owned();
    for edit in edits.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % der.len();
        der[place] = edit[2];
    }
    pem(&der)
}
