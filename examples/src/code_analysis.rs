//! Three stages that measure a tree of Rust sources: plain functions, and an actor around them ([`Analyst`]).
//!
//! ```text
//! SourceFile --parse--> ParsedFile --measure--> FileMeasure …all files… --report--> Report
//! ```
//!
//! What goes from one stage to the next is plain data, so that the stages can run on different machines.
//!
//! ```
//! use mesh_examples::code_analysis::{SourceFile, measure, parse, report};
//!
//! let file = SourceFile::new("a.rs", "fn sign(x: i32) -> i32 {\n    if x < 0 { -1 } else { 1 }\n}\n");
//! let measured = measure(&parse(&file)?)?;
//! assert_eq!((measured.functions[0].lines, measured.functions[0].complexity), (3, 2));
//! assert_eq!(report(&[measured], 10).lines.code, 3);
//! # Ok::<(), mesh_examples::code_analysis::AnalysisError>(())
//! ```
//!
//! This module does not expand macros: what is written inside of one counts as lines, not as functions or branches.

mod complexity;
mod error;
mod lines;
mod measure;
mod parse;
mod report;
mod source;
mod stages;

pub use error::AnalysisError;
pub use lines::Lines;
pub use measure::{FileMeasure, FunctionMeasure, measure};
pub use parse::{FunctionSpan, ParsedFile, parse};
pub use report::{Offender, Report, report};
pub use source::{FILE_BYTES_MAX, FILES_MAX, SourceFile, rust_files};
pub use stages::{Analyst, Measure, Parse, Summarize};
