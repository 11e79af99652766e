use std::path::Path;
use std::{fs, io};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AnalysisError;

/// The largest file that is read, in bytes: 1 MiB. Larger ones are generated.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The most files that are read: 10,000.
pub const FILES_MAX: usize = 10_000;

/// A file of Rust: the first stage's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceFile {
    /// Its path from the root of the tree, with `/` between the parts.
    pub path: String,
    /// All of its text.
    pub text: String,
}

impl SourceFile {
    /// A file that may exist in memory only.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// Reads all `.rs` files under `root`, in the order of their paths. Hidden folders, `target`, and whatever is only
/// linked to, are left out.
///
/// # Errors
/// [`AnalysisError::Read`] if something cannot be read, also for text that is not UTF-8, and
/// [`AnalysisError::TooLarge`] beyond [`FILES_MAX`] and [`FILE_BYTES_MAX`].
pub fn rust_files(root: &Path) -> Result<Vec<SourceFile>, AnalysisError> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<(), AnalysisError> {
    let unread = |source: io::Error| AnalysisError::Read { path: folder.display().to_string(), source };
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(unread)?;
        if kind.is_dir() && !name.starts_with('.') && name != "target" {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && name.ends_with(".rs") {
            files.push(read(&entry, path)?);
        }
        if files.len() > FILES_MAX {
            let what = format!("more than {FILES_MAX} files");
            return Err(AnalysisError::TooLarge { path: folder.display().to_string(), what });
        }
    }
    Ok(())
}

fn read(entry: &fs::DirEntry, path: String) -> Result<SourceFile, AnalysisError> {
    let unread = |source| AnalysisError::Read { path: path.clone(), source };
    let bytes = entry.metadata().map_err(unread)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(AnalysisError::TooLarge {
            path,
            what: format!("{bytes} bytes, at most {FILE_BYTES_MAX}"),
        });
    }
    let text = fs::read_to_string(entry.path()).map_err(unread)?;
    Ok(SourceFile { path, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rust_files_are_read_in_the_order_of_their_paths() {
        let root = tempfile::tempdir().unwrap();
        for path in ["src/b.rs", "src/a/z.rs", "src/notes.md", "target/c.rs", ".git/d.rs"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "fn a() {}").unwrap();
        }
        let files = rust_files(root.path()).unwrap();
        assert_eq!(
            files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["src/a/z.rs", "src/b.rs"]
        );
        assert_eq!(files[0].text, "fn a() {}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_its_name() {
        let error = rust_files(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/at/all cannot be read");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_unread() {
        let root = tempfile::tempdir().unwrap();
        fs::File::create(root.path().join("big.rs")).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        let error = rust_files(root.path()).unwrap_err();
        assert_eq!(error.to_string(), "big.rs is too large: 1048577 bytes, at most 1048576");
    }
}
