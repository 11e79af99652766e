//! A folder that no path leads out of.
//!
//! Each part of a path is opened from the handle of the folder before it, and never through a symbolic link, so that
//! nothing that happens to the tree meanwhile changes where a path leads. Links are refused, also those that lead inside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;

use super::path::parts;
use crate::tools::ToolError;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// A folder, and all below it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Jail {
    root: Arc<OwnedFd>,
}

/// What there is in a folder.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) bytes: u64,
}

impl Jail {
    /// The jail at this path, which may itself be a link. It stays the folder that it is now, wherever that is moved.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path.as_ref(), flags, Mode::empty())?;
        Ok(Self { root: Arc::new(root) })
    }

    /// Opens a plain file for reading.
    pub(super) fn read(&self, path: &str) -> Result<File, ToolError> {
        let (folder, name) = self.parent(path, false)?;
        // A pipe without a writer, or a device, must not keep us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&folder, name, flags, Mode::empty()).map_err(|error| told(path, error))?;
        let stat = rustix::fs::fstat(&file).map_err(|error| told(path, error))?;
        if kind(stat.st_mode) == FileType::RegularFile {
            return Ok(File::from(file));
        }
        Err(ToolError::failed(format!("{path}: it is no plain file")))
    }

    /// Puts a file at a path, all of it or nothing: what was there is replaced, a link too. `temporary` is a name that
    /// nobody else uses.
    pub(super) fn write(
        &self,
        path: &str,
        content: &[u8],
        temporary: &str,
        makes_folders: bool,
    ) -> Result<(), ToolError> {
        let (folder, name) = self.parent(path, makes_folders)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |error| told(path, error);
        let made = rustix::fs::openat(&folder, temporary, flags, FILE_MODE).map_err(failed)?;
        let mut file = File::from(made);
        let written = io::Write::write_all(&mut file, content).and_then(|()| file.sync_all());
        let written = written.map_err(|error| ToolError::failed(format!("{path}: {error}")));
        let renamed =
            written.and_then(|()| rustix::fs::renameat(&folder, temporary, &folder, name).map_err(failed));
        if renamed.is_err() {
            // It is ours alone, and of no use to anybody.
            let _ = rustix::fs::unlinkat(&folder, temporary, AtFlags::empty());
            return renamed;
        }
        rustix::fs::fsync(&folder).map_err(failed)
    }

    /// What there is in a folder, in order of names: at most `max`, and whether there is more.
    pub(super) fn list(&self, path: &str, max: usize) -> Result<(Vec<Found>, bool), ToolError> {
        let folder = self.descend(&parts(path)?, path, false)?;
        let failed = |error| told(path, error);
        let mut found = Vec::new();
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            // One that went away since is not there.
            let Ok(stat) = rustix::fs::statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let kind = match kind(stat.st_mode) {
                FileType::RegularFile => "file",
                FileType::Directory => "folder",
                FileType::Symlink => "link",
                _ => "other",
            };
            found.push(Found { name, kind, bytes: u64::try_from(stat.st_size).unwrap_or(0) });
            // Far more than is answered is not looked at, either.
            if found.len() > max.saturating_mul(16) {
                break;
            }
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let is_cut = found.len() > max;
        found.truncate(max);
        Ok((found, is_cut))
    }

    /// The folder that a path ends in, and the name there.
    fn parent<'a>(&self, path: &'a str, makes: bool) -> Result<(Arc<OwnedFd>, &'a str), ToolError> {
        let parts = parts(path)?;
        let Some((name, folders)) = parts.split_last() else {
            return Err(ToolError::refused("BAD_PATH", format!("{path:?}: it names the folder itself")));
        };
        Ok((self.descend(folders, path, makes)?, name))
    }

    fn descend(&self, parts: &[&str], path: &str, makes: bool) -> Result<Arc<OwnedFd>, ToolError> {
        let mut folder = Arc::clone(&self.root);
        for part in parts {
            let below = match below(&folder, part) {
                Err(Errno::NOENT) if makes => match rustix::fs::mkdirat(&folder, *part, FOLDER_MODE) {
                    Ok(()) | Err(Errno::EXIST) => below(&folder, part),
                    Err(error) => Err(error),
                },
                below => below,
            };
            folder = Arc::new(below.map_err(|error| told(path, error))?);
        }
        Ok(folder)
    }
}

fn below(folder: &impl AsFd, part: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, part, FOLDER, Mode::empty())
}

fn kind(mode: RawMode) -> FileType {
    FileType::from_raw_mode(mode)
}

fn told(path: &str, error: Errno) -> ToolError {
    match error {
        Errno::LOOP => ToolError::refused(
            "BAD_PATH",
            format!("{path}: a symbolic link is in the way, and none is followed"),
        ),
        Errno::NOENT => ToolError::failed(format!("{path}: there is no such file")),
        Errno::NOTDIR => {
            ToolError::refused("BAD_PATH", format!("{path}: a part of it is no folder, or a link"))
        }
        error => ToolError::failed(format!("{path}: {}", io::Error::from(error))),
    }
}
