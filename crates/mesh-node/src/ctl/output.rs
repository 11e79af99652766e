//! What goes to stdout.

use std::io::{self, Write};

use serde::Serialize;

use super::table::Paint;

/// Where results go, and in which form.
pub(crate) struct Output<'a> {
    pub(crate) is_json: bool,
    pub(crate) paint: Paint,
    /// Whether lines can be taken back.
    pub(crate) is_terminal: bool,
    pub(crate) to: &'a mut (dyn Write + Send),
}

impl Output<'_> {
    /// One JSON document on a line.
    pub(crate) fn document<T: Serialize>(&mut self, document: &T) -> io::Result<()> {
        self.line(&serde_json::to_string(document).map_err(io::Error::other)?)
    }

    /// A line of text, at once: whoever reads a stream must not wait for the next line.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.text(line)?;
        self.text("\n")
    }

    /// Text as it is; shown at the latest when its line ends.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        if text.ends_with('\n') { self.to.flush() } else { Ok(()) }
    }

    /// Shows what was written of a line that has not ended.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
