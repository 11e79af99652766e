//! What is wrong with a workflow file, as data.
//!
//! A [`Report`] prints itself in the manner of rustc: message, place, the line, a marker under it.

use serde::Serialize;

use super::render;
use super::span::Span;

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file can't be run.
    Error,
    /// The file runs, but perhaps not as its author thinks.
    Warning,
}

/// One problem in a workflow file.
///
/// The texts may quote the file, so they may hold control characters; [`Report`]'s `Display` escapes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line without a final stop.
    pub message: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in that line, from 1, in characters.
    pub column: u32,
    /// The number of characters concerned, which may reach past the line's end; 0 marks a point.
    pub len: u32,
    /// What to say at the place itself.
    pub label: Option<String>,
    /// What to do, or what would be accepted.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(super) fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, message.into())
    }

    pub(super) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message.into())
    }

    fn new(severity: Severity, span: Span, message: String) -> Self {
        let Span { line, column, len } = span;
        Self { severity, message, line, column, len, label: None, help: None }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All that was found in one workflow file, in the file's order.
///
/// As text it is plain, without colours; at most the first 100 problems are printed, and the rest is counted.
#[derive(Debug, Clone)]
pub struct Report {
    file: String,
    text: String,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(super) fn new(file: &str, text: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|found| (found.line, found.column, found.severity));
        Self { file: file.to_owned(), text: text.to_owned(), diagnostics }
    }

    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems, by line and column.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Whether any problem keeps the file from running.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        render::report(f, &self.file, &self.text, &self.diagnostics)
    }
}

impl std::error::Error for Report {}
