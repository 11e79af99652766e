//! Files that appear whole or not at all, and are for their owner's eyes.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::StateError;

/// Makes a folder, and those above it, for its owner alone; one that exists stays as it is.
pub(super) fn make_folder(path: &Path) -> Result<(), StateError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StateError::io("make the folder", path))
}

/// Writes a file for its owner alone; it has its new content or its old one, whatever happens meanwhile.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), StateError> {
    replace(path, text.as_bytes(), 0o600)
}

/// Replaces or makes the file at `path` in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StateError> {
    let draft = draft_of(path);
    let written = write_draft(&draft, bytes, mode, path)
        .and_then(|()| fs::rename(&draft, path).map_err(StateError::io("write", path)));
    if written.is_err() {
        // The first error is the one to tell; a draft that stays harms nobody.
        let _ = fs::remove_file(&draft);
    }
    written?;
    sync_folder(path)
}

/// Makes a folder with these files, which appears with all of them at once.
pub(super) fn publish_folder(path: &Path, files: &[(&str, &str)]) -> Result<(), StateError> {
    let draft = draft_of(path);
    make_folder(&draft)?;
    for (name, text) in files {
        write_draft(&draft.join(name), text.as_bytes(), 0o600, &path.join(name))?;
    }
    fs::rename(&draft, path).map_err(StateError::io("make the folder", path))?;
    sync_folder(path)
}

/// Reads a text file.
pub(super) fn read_text(path: &Path) -> Result<String, StateError> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => StateError::broken(path, &"it is missing"),
        ErrorKind::InvalidData => StateError::broken(path, &"it is not text"),
        _ => StateError::io("read", path)(error),
    })
}

/// Reads a private key, which nobody else may be able to read.
pub(super) fn read_key(path: &Path) -> Result<String, StateError> {
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(StateError::Exposed { path: path.to_owned(), mode });
        }
    }
    read_text(path)
}

/// Writes a new file; errors name `wanted`, which is what it is a draft of.
fn write_draft(path: &Path, bytes: &[u8], mode: u32, wanted: &Path) -> Result<(), StateError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(StateError::io("write", wanted))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StateError::io("write", wanted))
}

/// A name in the same folder, since only there a rename is one step, that no other writer uses.
fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", uuid::Uuid::new_v4().simple()))
}

/// Makes a rename survive a power cut.
pub(super) fn sync_folder(path: &Path) -> Result<(), StateError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StateError::io("sync", folder))
}
