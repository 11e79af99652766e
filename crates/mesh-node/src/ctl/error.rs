//! Why a command failed: for people, for programs, and as an exit code.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use mesh::{Failure, Retry};
use mesh_agents::tools::ToolError;
use mesh_models::Rounded;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::table::{Paint, Tone, printable};

/// An error as programs read it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(crate) struct Document {
    /// Stable, for programs.
    pub(crate) code: String,
    /// What happened, for people.
    pub(crate) message: String,
    /// What a program may want besides.
    pub(crate) details: Value,
    /// `never`, `backoff`, or `{"after_ms": N}`.
    #[schemars(with = "Value")]
    pub(crate) retry: Retry,
    /// Whether it may have been done in spite of the error.
    pub(crate) may_have_run: bool,
    /// The node that made the error; `null` when that is meshctl itself.
    pub(crate) origin: Option<String>,
}

impl Document {
    /// An error of this program; nothing of it has run anywhere.
    pub(crate) fn own(code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { code, message, details: Value::Null, retry: Retry::Never, may_have_run: false, origin: None }
    }

    pub(crate) fn with_details(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

impl From<Failure> for Document {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, details, retry, may_have_run, origin } = failure;
        Self { code, message, details: details.to_value(), retry, may_have_run, origin: Some(origin) }
    }
}

impl From<ToolError> for Document {
    fn from(error: ToolError) -> Self {
        let ToolError { code, message, retry, may_have_run, in_doubt } = error;
        let document = Self { retry, may_have_run, ..Self::own(&code, message) };
        document.with_details(json!({ "in_doubt": in_doubt }))
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum CtlError {
    /// The command cannot be carried out as it was given: the caller's mistake. Nothing was sent.
    Usage(String),
    /// No node could be reached, or there is no identity to reach one with. Nothing was sent.
    NoNode(String),
    /// A file is not what it should be: the caller's mistake. The text for people says where. Nothing ran.
    BadFile { document: Box<Document>, text: String },
    /// The mesh or the actor answered with an error.
    Refused(Box<Document>),
    /// The result could not be written to stdout.
    Output(io::Error),
    /// Ctrl-C: what was running is cancelled.
    Interrupted,
}

impl From<Document> for CtlError {
    fn from(document: Document) -> Self {
        Self::Refused(Box::new(document))
    }
}

impl From<Failure> for CtlError {
    fn from(failure: Failure) -> Self {
        Document::from(failure).into()
    }
}

impl From<io::Error> for CtlError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl CtlError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            // The reader has seen enough, as in `meshctl nodes | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => 1,
            Self::Usage(_) | Self::BadFile { .. } => 2,
            Self::Refused(_) => 3,
            Self::NoNode(_) => 4,
            // As a shell says of a process that SIGINT ended.
            Self::Interrupted => 130,
        })
    }

    /// Whether the mesh or the actor answered with this error.
    pub(crate) fn is_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(document) if document.code == code)
    }

    /// What goes to stderr; nothing where silence is the answer.
    pub(crate) fn report(&self, as_json: bool, paint: Paint, elapsed: Duration) -> Option<String> {
        let document = self.document()?;
        if as_json {
            return Some(serde_json::to_string(&document).expect("texts, a flag and JSON are JSON"));
        }
        Some(match self {
            Self::BadFile { text, .. } => text.trim_end().to_owned(),
            _ => document.for_people(paint, elapsed),
        })
    }

    /// Adds which of many messages was refused, and how many were sent before it.
    pub(crate) fn at_line(mut self, number: u64, sent: u64) -> Self {
        if let Self::Refused(document) = &mut self {
            let message = document.message.trim_end_matches('.');
            document.message = format!("line {number}: {message}; {sent} messages were sent before it");
        }
        self
    }

    /// Adds what to do about an error of this code.
    pub(crate) fn advised(mut self, code: &str, advice: &str) -> Self {
        if let Self::Refused(document) = &mut self
            && document.code == code
        {
            document.message = format!("{}: {advice}", document.message);
        }
        self
    }

    /// What it says to programs; of what says nothing, that it was ended.
    pub(crate) fn into_document(self) -> Document {
        match self {
            Self::BadFile { document, .. } | Self::Refused(document) => *document,
            other => other.document().unwrap_or_else(|| Document::own("CANCELLED", "it was ended")),
        }
    }

    fn document(&self) -> Option<Document> {
        match self {
            Self::Usage(message) => Some(Document::own("USAGE", message)),
            Self::NoNode(message) => {
                Some(Document { retry: Retry::Backoff, ..Document::own("NO_NODE", message) })
            }
            Self::BadFile { document, .. } | Self::Refused(document) => Some(document.as_ref().clone()),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(Document::own("OUTPUT", format!("cannot write the result: {error}"))),
            Self::Interrupted => None,
        }
    }
}

impl Document {
    /// `error[UNREACHABLE]: node gamma is unreachable. It may have run: … (origin alpha, 0.1 s)`
    fn for_people(&self, paint: Paint, elapsed: Duration) -> String {
        let head = paint.text(Tone::Bad, &format!("error[{}]", printable(&self.code)));
        let message = self.message.trim_end_matches(['.', '\n']);
        let message: Vec<String> = message.lines().map(printable).collect();
        let mut text = format!("{head}: {}.", message.join("\n"));
        if self.may_have_run {
            text += " It may have run: retry only if that is harmless.";
        }
        if let Some(candidates) = self.details.get("candidates").and_then(Value::as_array) {
            let names: Vec<&str> = candidates.iter().filter_map(Value::as_str).collect();
            text += &format!(" There are: {}.", printable(&names.join(", ")));
        }
        if let Some(origin) = &self.origin {
            let origin = format!(" (origin {}, {})", printable(origin), Rounded(elapsed));
            text += &paint.text(Tone::Faint, &origin);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> CtlError {
        let document = Document {
            code: "UNREACHABLE".to_owned(),
            message: "gamma went away while the ask was running".to_owned(),
            details: Value::Null,
            retry: Retry::Backoff,
            may_have_run: true,
            origin: Some("alpha".to_owned()),
        };
        document.into()
    }

    fn for_people(error: &CtlError) -> String {
        error.report(false, Paint(false), Duration::from_millis(120)).unwrap()
    }

    #[test]
    fn people_read_what_happened_and_what_to_do() {
        insta::assert_snapshot!(for_people(&refused()), @"error[UNREACHABLE]: gamma went away while the ask was running. It may have run: retry only if that is harmless. (origin alpha, 120ms)");
    }

    #[test]
    fn programs_read_one_document() {
        let line = refused().report(true, Paint(true), Duration::ZERO).unwrap();
        insta::assert_snapshot!(line, @r#"{"code":"UNREACHABLE","message":"gamma went away while the ask was running","details":null,"retry":"backoff","may_have_run":true,"origin":"alpha"}"#);
    }

    #[test]
    fn candidates_are_listed() {
        let CtlError::Refused(mut document) = refused() else { unreachable!() };
        document.may_have_run = false;
        document.details = json!({"candidates": ["gamma/echo", "gamma/slow"]});
        let text = for_people(&CtlError::Refused(document));
        assert!(text.contains(" There are: gamma/echo, gamma/slow. (origin"), "{text}");
    }

    #[test]
    fn what_a_peer_says_cannot_command_the_terminal() {
        let CtlError::Refused(mut document) = refused() else { unreachable!() };
        document.message = "\x1b[2Jgone".to_owned();
        assert!(!for_people(&CtlError::Refused(document)).contains('\x1b'));
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_error() {
        let error = CtlError::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(error.exit_code(), ExitCode::SUCCESS);
        assert_eq!(error.report(true, Paint(false), Duration::ZERO), None);
    }

    #[test]
    fn exit_codes_are_those_that_scripts_know() {
        for (error, code) in [
            (CtlError::Usage(String::new()), 2),
            (refused(), 3),
            (CtlError::NoNode(String::new()), 4),
            (CtlError::Interrupted, 130),
        ] {
            assert_eq!(error.exit_code(), ExitCode::from(code), "{error:?}");
        }
    }
}
