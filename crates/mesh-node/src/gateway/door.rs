//! Who may come in by HTTP.
//!
//! A page of somebody else's that a browser has open can send requests to this machine, and a name of somebody else's can
//! be made to lead here. So a request has to name this gateway as its host, must not come from another page, and has to
//! show the token; a form can send none of it. Source: OWASP's cheat sheets on request forgery; DNS rebinding.

use std::net::SocketAddr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The names under which browsers may reach a gateway, each with its port.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// The address that is listened on, what this machine calls itself, and what else is given.
    pub(crate) fn new(addr: SocketAddr, given: &[String]) -> Self {
        let port = addr.port();
        let own = [
            addr.to_string(),
            format!("localhost:{port}"),
            format!("127.0.0.1:{port}"),
            format!("[::1]:{port}"),
        ];
        Self(own.into_iter().chain(given.iter().map(|host| host.to_ascii_lowercase())).collect())
    }

    fn has(&self, host: &str) -> bool {
        self.0.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// What has to be shown to be let in.
pub(super) struct Door {
    hosts: Hosts,
    token: Zeroizing<String>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closed {
    #[error(
        "the request names another host than this gateway's: give that name to `http_hosts` if it is meant to lead here"
    )]
    Host,
    #[error("the request comes from a page of somebody else's")]
    Origin,
    #[error(
        "the request shows no token: send `Authorization: Bearer TOKEN`, with the token of the file http-token in the node's part of the state folder"
    )]
    NoToken,
    #[error("the request shows another token than this gateway's")]
    WrongToken,
}

impl Door {
    pub(super) fn new(hosts: Hosts, token: Zeroizing<String>) -> Self {
        Self { hosts, token }
    }

    /// Whether the request was meant for this gateway, by somebody who knows it.
    pub(super) fn is_for_us(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Closed> {
        let named = headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
        // A request line may name the host too; both have to be right.
        let in_line = uri.authority().map(axum::http::uri::Authority::as_str);
        if named.is_none() && in_line.is_none()
            || !named.into_iter().chain(in_line).all(|host| self.hosts.has(host))
        {
            return Err(Closed::Host);
        }
        match headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
            None => Ok(()),
            Some(origin) => {
                let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
                if host.is_some_and(|host| self.hosts.has(host)) { Ok(()) } else { Err(Closed::Origin) }
            }
        }
    }

    /// Whether the request shows the token. How long it takes says nothing of it.
    pub(super) fn has_token(&self, headers: &HeaderMap) -> Result<(), Closed> {
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Closed::NoToken)?;
        if bool::from(shown.as_bytes().ct_eq(self.token.as_bytes())) {
            Ok(())
        } else {
            Err(Closed::WrongToken)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn door() -> Door {
        let hosts = Hosts::new("127.0.0.1:7980".parse().unwrap(), &["mesh.example:443".to_owned()]);
        Door::new(hosts, Zeroizing::new("secret".to_owned()))
    }

    fn headers(given: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn row_17_a_foreign_host_or_origin_is_refused() {
        let uri = Uri::from_static("/");
        let check = |given: &[(axum::http::HeaderName, &str)]| door().is_for_us(&headers(given), &uri);
        for host in ["127.0.0.1:7980", "localhost:7980", "LOCALHOST:7980", "[::1]:7980", "mesh.example:443"] {
            assert_eq!(check(&[(HOST, host)]), Ok(()), "{host}");
        }
        for host in ["evil.example:7980", "127.0.0.1:80", "127.0.0.1", "localhost.evil.example:7980", ""] {
            assert_eq!(check(&[(HOST, host)]), Err(Closed::Host), "{host}");
        }
        assert_eq!(check(&[]), Err(Closed::Host));
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1",
            "file://",
            "http://localhost:7980.evil.example",
        ] {
            assert_eq!(check(&[(HOST, "localhost:7980"), (ORIGIN, origin)]), Err(Closed::Origin), "{origin}");
        }
        assert_eq!(check(&[(HOST, "localhost:7980"), (ORIGIN, "http://localhost:7980")]), Ok(()));
        let absolute = Uri::from_static("http://evil.example/api");
        assert_eq!(door().is_for_us(&headers(&[(HOST, "localhost:7980")]), &absolute), Err(Closed::Host));
    }

    #[test]
    fn row_17_without_the_token_nobody_is_let_in() {
        let check = |given: &[(axum::http::HeaderName, &str)]| door().has_token(&headers(given));
        assert_eq!(check(&[]), Err(Closed::NoToken));
        assert_eq!(check(&[(AUTHORIZATION, "Basic secret")]), Err(Closed::NoToken));
        for wrong in ["", "secre", "secret2", "Secret"] {
            assert_eq!(
                check(&[(AUTHORIZATION, &format!("Bearer {wrong}"))]),
                Err(Closed::WrongToken),
                "{wrong:?}"
            );
        }
        assert_eq!(check(&[(AUTHORIZATION, "Bearer secret")]), Ok(()));
    }
}
