//! The HTTP client, and what its errors mean.

use std::error::Error;
use std::time::Duration;

use reqwest::redirect::Policy;

use super::tls;
use crate::{ModelError, TimeoutPhase, Timeouts};

/// Kept open for the next call; more than that many calls at once open new ones.
const IDLE_CONNECTIONS_MAX: usize = 8;

pub(super) fn client(is_https: bool, connect_timeout: Duration) -> Result<reqwest::Client, ModelError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_tls(is_https)?)
        .https_only(is_https)
        .http1_only()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .user_agent(concat!("mesh/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ModelError::Misconfigured { key: "base_url", reason: root_cause(&error) })
}

/// What it means that a request brought no answer.
pub(super) fn failure(error: &reqwest::Error, url: &str, timeouts: &Timeouts) -> ModelError {
    if error.is_connect() && error.is_timeout() {
        return ModelError::Timeout { phase: TimeoutPhase::Connect, after: timeouts.connect };
    }
    if error.is_connect() {
        return ModelError::Unreachable { url: url.to_owned(), reason: root_cause(error) };
    }
    ModelError::Truncated { reason: root_cause(error) }
}

/// The innermost cause: the outer ones repeat the address, query included.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
