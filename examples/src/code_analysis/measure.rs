use proc_macro2::TokenStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use syn::ImplItemFn;

use super::complexity::complexity;
use super::{AnalysisError, FunctionSpan, Lines, ParsedFile};

/// The figures of one file: the second stage's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileMeasure {
    /// As in [`super::SourceFile`].
    pub path: String,
    /// All of its lines.
    pub lines: Lines,
    /// Its functions in the order of the text.
    pub functions: Vec<FunctionMeasure>,
}

/// The figures of one function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionMeasure {
    /// As in [`FunctionSpan`].
    pub name: String,
    /// As in [`FunctionSpan`].
    pub line: usize,
    /// Its lines from the first word of its signature to its last brace, of whatever kind.
    pub lines: usize,
    /// McCabe's number: 1 for a function that goes straight through.
    pub complexity: usize,
}

/// Counts what there is in a file.
///
/// # Errors
/// [`AnalysisError::NotRust`] if the text is not what was parsed.
pub fn measure(file: &ParsedFile) -> Result<FileMeasure, AnalysisError> {
    let measured = measure_text(file);
    // As in `parse`.
    proc_macro2::extra::invalidate_current_thread_spans();
    measured
}

fn measure_text(file: &ParsedFile) -> Result<FileMeasure, AnalysisError> {
    let stream: TokenStream = file
        .text
        .parse()
        .map_err(|error: proc_macro2::LexError| not_rust(file, error.span().start().line, &error))?;
    let lines = Lines::count(&file.text, stream);
    let functions =
        file.functions.iter().map(|span| measure_function(file, span)).collect::<Result<_, _>>()?;
    Ok(FileMeasure { path: file.path.clone(), lines, functions })
}

fn measure_function(file: &ParsedFile, span: &FunctionSpan) -> Result<FunctionMeasure, AnalysisError> {
    let text = file.text.get(span.bytes.clone());
    let text =
        text.ok_or_else(|| not_rust(file, span.line, &format!("`{}` is not inside of the file", span.name)))?;
    // The widest of the forms: functions and those of traits with a body are written so too.
    let syntax: ImplItemFn = syn::parse_str(text).map_err(|error| not_rust(file, span.line, &error))?;
    Ok(FunctionMeasure {
        name: span.name.clone(),
        line: span.line,
        lines: text.lines().count(),
        complexity: complexity(&syntax.block),
    })
}

fn not_rust(file: &ParsedFile, line: usize, message: &impl ToString) -> AnalysisError {
    AnalysisError::NotRust { path: file.path.clone(), line, message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_analysis::{SourceFile, parse};

    /// Counted by hand: the figures are in its own comments.
    const FIXTURE: &str = include_str!("../../fixtures/orders.rs");

    #[test]
    fn the_figures_of_a_file_are_those_counted_by_hand() {
        let measured = measure(&parse(&SourceFile::new("orders.rs", FIXTURE)).unwrap()).unwrap();
        assert_eq!(measured.lines, Lines { code: 34, comment: 8, blank: 6 });
        assert_eq!(
            measured.lines.code + measured.lines.comment + measured.lines.blank,
            FIXTURE.lines().count()
        );
        let found: Vec<_> =
            measured.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines, f.complexity)).collect();
        assert_eq!(found, [("Order::total", 15, 8, 4), ("Order::is_free", 26, 3, 1), ("parse", 34, 15, 7)]);
    }

    #[test]
    fn what_comes_before_the_first_line_does_not_shift_the_rest() {
        let text = "\u{feff}#!/usr/bin/env rust\nfn a() {\n}\n";
        let measured = measure(&parse(&SourceFile::new("a.rs", text)).unwrap()).unwrap();
        assert_eq!(measured.lines, Lines { code: 2, comment: 1, blank: 0 });
        assert_eq!((measured.functions[0].line, measured.functions[0].lines), (2, 2));
    }

    #[test]
    fn a_text_that_is_not_what_was_parsed_is_an_error() {
        let mut parsed = parse(&SourceFile::new("a.rs", "fn a() {} fn b() {}")).unwrap();
        parsed.text = "fn a() {}".to_owned();
        let error = measure(&parsed).unwrap_err();
        assert_eq!(error.to_string(), "a.rs:1: `b` is not inside of the file");
    }
}
