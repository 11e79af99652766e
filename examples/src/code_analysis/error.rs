use std::io;

/// Why a source tree could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// A folder or a file could not be read. Nothing was measured; look at its permissions.
    #[error("{path} cannot be read")]
    Read {
        /// What was to be read.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// There are more files, or larger ones, than this is meant for. Nothing was measured; choose a smaller folder.
    #[error("{path} is too large: {what}")]
    TooLarge {
        /// The folder or the file.
        path: String,
        /// The bound that it breaks.
        what: String,
    },
    /// The file is not Rust, or of a newer edition than the parser. The other files can be measured without it.
    #[error("{path}:{line}: {message}")]
    NotRust {
        /// The file.
        path: String,
        /// Where the parser stopped, counted from 1.
        line: usize,
        /// What it had expected.
        message: String,
    },
}
