//! Locks that end with the process that holds them, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::StateError;
use super::file::make_folder;

const POLL: Duration = Duration::from_millis(5);

/// Holds the lock at `path` until the file is dropped, or gives `None` if others hold it for all of `wait`.
pub(super) fn hold(path: &Path, wait: Duration) -> Result<Option<File>, StateError> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let file = open(path).map_err(StateError::io("open", path))?;
    let give_up = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() >= give_up => return Ok(None),
            // A blocking lock has no deadline, and a stopped process would be waited for without end.
            Err(TryLockError::WouldBlock) => thread::sleep(POLL),
            Err(TryLockError::Error(error)) => return Err(StateError::io("lock", path)(error)),
        }
    }
}

/// Whether some process holds the lock at `path`.
pub(super) fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    // A node that claims its name at this very moment waits for longer than this look takes.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
