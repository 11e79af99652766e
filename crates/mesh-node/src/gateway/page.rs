//! The page, from the binary: nothing of it is on a disk, and nothing is fetched from elsewhere.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The files of the page, by their paths.
pub(super) const FILES: [(&str, &str, &str); 8] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/style.css", STYLE, include_str!("page/style.css")),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/mesh.js", SCRIPT, include_str!("page/mesh.js")),
    ("/views.js", SCRIPT, include_str!("page/views.js")),
    ("/topology.js", SCRIPT, include_str!("page/topology.js")),
    ("/inbox.js", SCRIPT, include_str!("page/inbox.js")),
];

/// Only what comes from here is run, shown or asked, whatever a name or a text of an agent contains.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'";

pub(super) fn file<S: Clone + Send + Sync + 'static>(
    of: &'static str,
    text: &'static str,
) -> MethodRouter<S> {
    get(async move || ([(CONTENT_TYPE, of)], text).into_response())
}
