//! Which server it is, and how it is reached.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};

/// The longest name of a server: the names of its tools begin with it.
const NAME_BYTES_MAX: usize = 24;

/// An MCP server that a node is to keep a connection to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerSpec {
    /// Its name on the node: 1 to 24 of `a-z 0-9 -`.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// How long one call of one of its tools may run; 30 s by default.
    pub timeout: Duration,
    /// How long it may take to start and to say what it is; 30 s by default.
    pub connect_timeout: Duration,
    /// Calls of each of its tools that run at once; 4 by default.
    pub concurrency: usize,
    /// Whether what it says of its tools is believed: that one only reads, destroys nothing, or may be called again. By default
    /// it is not, and each of its tools counts as one that may destroy something and that nobody may repeat unasked.
    pub trusts_hints: bool,
}

/// How a server is reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Transport {
    /// A process of this node's, which reads from its stdin and writes to its stdout.
    Command {
        /// The program, and its arguments.
        command: Vec<String>,
        /// All of its environment.
        env: BTreeMap<String, Secret>,
        /// Where it runs; by default where the node runs.
        folder: Option<PathBuf>,
    },
    /// Streamable HTTP.
    Http {
        /// An http or https URL. Whoever wrote it meant it: an address of this machine is as good as any.
        url: String,
        /// Headers of each request.
        headers: BTreeMap<String, Secret>,
    },
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// This text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A server that cannot be meant; its operator's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidServerSpec {
    /// Which part of it is wrong: `name`, `command`, `url`, `headers`, or `timeout`.
    pub key: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl ServerSpec {
    /// A server that is started as a process, with this program and these arguments, and no environment at all.
    #[must_use]
    pub fn command(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self::new(name.into(), Transport::Command { command, env: BTreeMap::new(), folder: None })
    }

    /// A server that is reached by HTTP.
    #[must_use]
    pub fn http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name.into(), Transport::Http { url: url.into(), headers: BTreeMap::new() })
    }

    /// A server that is reached like this, with the defaults.
    #[must_use]
    pub fn new(name: String, transport: Transport) -> Self {
        let half_a_minute = Duration::from_secs(30);
        Self {
            name,
            transport,
            timeout: half_a_minute,
            connect_timeout: half_a_minute,
            concurrency: 4,
            trusts_hints: false,
        }
    }

    /// Whether a connection could be tried.
    ///
    /// # Errors
    /// [`InvalidServerSpec`] with the first thing that is wrong.
    pub fn check(&self) -> Result<(), InvalidServerSpec> {
        let wrong = |key, reason: String| Err(InvalidServerSpec { key, reason });
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let name = &self.name;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_letter) {
            return wrong("name", format!("{name:?} is not 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -"));
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() {
            return wrong("timeout", "a time of nothing lets nothing end".to_owned());
        }
        match &self.transport {
            Transport::Command { command, .. } if command.first().is_none_or(String::is_empty) => {
                wrong("command", "a program is wanted".to_owned())
            }
            Transport::Command { command, .. } if command.iter().any(|part| part.contains('\0')) => {
                wrong("command", "there is a zero byte in it".to_owned())
            }
            Transport::Command { .. } => Ok(()),
            Transport::Http { url, headers } => check_url(url).and_then(|()| check_headers(headers)),
        }
    }
}

fn check_url(url: &str) -> Result<(), InvalidServerSpec> {
    let wrong = |reason: &str| Err(InvalidServerSpec { key: "url", reason: format!("{url:?}: {reason}") });
    let Ok(parsed) = reqwest::Url::parse(url) else { return wrong("it is no URL") };
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none_or(str::is_empty) {
        return wrong("an http or https URL with a host is wanted");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(InvalidServerSpec {
            key: "url",
            reason: "secrets belong into headers, not into the URL".to_owned(),
        });
    }
    Ok(())
}

fn check_headers(headers: &BTreeMap<String, Secret>) -> Result<(), InvalidServerSpec> {
    for (name, value) in headers {
        let is_usable = name.parse::<HeaderName>().is_ok() && value.text().parse::<HeaderValue>().is_ok();
        if !is_usable {
            let reason = format!("{name:?}, or what it is to say, is no header");
            return Err(InvalidServerSpec { key: "headers", reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_connection_could_be_made_from_is_refused() {
        assert_eq!(ServerSpec::command("files", ["server", "--stdio"]).check(), Ok(()));
        assert_eq!(ServerSpec::http("files", "http://127.0.0.1:3001/mcp").check(), Ok(()));
        let mut header = ServerSpec::http("a", "https://a.example/mcp");
        if let Transport::Http { headers, .. } = &mut header.transport {
            headers.insert("X-Key".to_owned(), Secret::new("a\nb"));
        }
        for (spec, key) in [
            (ServerSpec::command("Files", ["server"]), "name"),
            (ServerSpec::command("a".repeat(25), ["server"]), "name"),
            (ServerSpec::command("a", [""; 0]), "command"),
            (ServerSpec::command("a", ["b\0"]), "command"),
            (ServerSpec::http("a", "ftp://a.example"), "url"),
            (ServerSpec::http("a", "http://me:hunter2@a.example"), "url"),
            (header, "headers"),
        ] {
            let error = spec.check().unwrap_err();
            assert_eq!(error.key, key, "{error}");
            assert!(!error.reason.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_secret_is_in_no_debug_text() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
