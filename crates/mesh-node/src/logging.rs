//! What a node says about its work, on stderr.

use std::backtrace::Backtrace;
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use tracing_subscriber::EnvFilter;

/// The transport's own affairs are for those who ask.
const DEFAULT: &str = "info,quinn=warn,quinn_proto=warn,rustls=warn,ractor=warn,rmcp=error";

/// Starts logging: lines for people on a terminal, JSON lines otherwise; panics are logged as everything else is.
///
/// `directives` come from the settings; without them `RUST_LOG` is read, and without that info and above are logged. A
/// program that has set up its own logging keeps it.
pub(crate) fn init(directives: Option<&str>) {
    let from_environment = || std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let directives = directives.map(str::to_owned).or_else(from_environment);
    let filter = EnvFilter::try_new(directives.as_deref().unwrap_or(DEFAULT))
        .unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let is_ours = if io::stderr().is_terminal() {
        lines.try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    };
    if is_ours.is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
}

/// An actor's panic is its supervisor's affair; the text that Rust prints would break the lines of a JSON log.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    // A crash is common enough that its backtrace, which takes long to make, is for those who look for a defect.
    if tracing::enabled!(tracing::Level::DEBUG) {
        let backtrace = Backtrace::capture();
        tracing::error!(reason, place, %backtrace, "panic");
    } else {
        tracing::error!(reason, place, "panic");
    }
}
