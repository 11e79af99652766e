//! Which protocol two endpoints speak, agreed on in the handshake (ALPN, RFC 7301).
//!
//! Each side offers all versions that it speaks, and the highest that both speak is taken: a node that speaks `mesh/2` and
//! `mesh/1` speaks `mesh/1` with one that knows no other. Features within a version are announced in the hello.
//!
//! Two that have no version in common would only be told so by a TLS alert, which names nothing. So every endpoint offers
//! one more name, under which no message is ever sent: when nothing else is left, the accepting side closes the connection
//! with the versions that it speaks.

use rustls::server::ClientHello;

/// The versions that this endpoint speaks, the highest first. The next one goes in front.
const VERSIONS: [&str; 1] = ["mesh/1"];

/// What is agreed on where no version is.
const NONE: &str = "mesh/none";

/// Longest list of versions of a peer that is shown to people.
const SHOWN_MAX: usize = 100;

/// What this endpoint offers, and prefers when it chooses: an accepting rustls takes the first of its own list.
pub(super) fn offered() -> Vec<Vec<u8>> {
    VERSIONS.iter().chain([&NONE]).map(|name| name.as_bytes().to_vec()).collect()
}

/// The versions that this endpoint speaks, for people.
pub(super) fn spoken() -> String {
    VERSIONS.join(", ")
}

/// What a handshake has agreed on; `None` where the two have no version in common.
pub(super) fn agreed(connection: &quinn::Connection) -> Option<&'static str> {
    let data = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?;
    let agreed = data.protocol.as_deref()?;
    VERSIONS.into_iter().find(|version| version.as_bytes() == agreed)
}

/// A peer's list of versions as it may be shown: a peer that is trusted for nothing wrote it.
pub(super) fn shown(versions: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/., -".contains(byte);
    let plain: Vec<u8> = versions.iter().copied().filter(is_plain).take(SHOWN_MAX).collect();
    String::from_utf8(plain).unwrap_or_default()
}

/// Tells of a caller that speaks no version of ours: nobody but this side sees what it offered.
pub(super) fn look_at(hello: &ClientHello<'_>) {
    let theirs: Vec<&[u8]> =
        hello.alpn().into_iter().flatten().filter(|one| *one != NONE.as_bytes()).collect();
    if !theirs.iter().any(|one| VERSIONS.iter().any(|version| version.as_bytes() == *one)) {
        let (theirs, ours) = (shown(&theirs.join(&b", "[..])), spoken());
        tracing::info!(%theirs, %ours, "a caller speaks no version of the protocol that this node speaks");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_wrote_is_shown_short_and_plain() {
        assert_eq!(shown(b"mesh/3, mesh/2"), "mesh/3, mesh/2");
        assert_eq!(shown(b"\x1b[31mmesh/2\n"), "31mmesh/2");
        assert_eq!(shown(&[b'm'; 1000]).len(), SHOWN_MAX);
    }

    #[test]
    fn the_name_for_none_is_offered_last() {
        assert_eq!(offered(), [b"mesh/1".to_vec(), b"mesh/none".to_vec()]);
    }
}
