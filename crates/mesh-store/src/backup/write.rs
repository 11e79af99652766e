//! Making a backup: one operation reads everything as of one moment, and a task writes the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::BackupReport;
use super::file::{Frame, FrameWriter};
use crate::schema::TABLES;
use crate::tx::{Operation, Tx};
use crate::{Store, StoreError};

/// How many pages wait for the file's disk.
const PAGES: usize = 4;

impl Store {
    /// Writes everything that is in the store at one moment into a new file (mode 0600), while others go on writing.
    /// The file appears under its name when it is complete and on the disk.
    ///
    /// # Errors
    /// [`StoreError::Io`] and [`StoreError::Full`] for the file as for the store; a file that exists is not replaced
    /// ([`StoreError::Conflict`]).
    ///
    /// # Cancel safety
    /// No file is left when this is dropped.
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<BackupReport, StoreError> {
        let path = path.as_ref().to_owned();
        if path.exists() {
            return Err(StoreError::conflict("file", &path.display(), "it exists"));
        }
        let (pages, frames) = mpsc::channel(PAGES);
        let file = tokio::task::spawn_blocking(move || write(&path, frames));
        let read = self.look(Export { pages: pages.clone() }).await;
        let rows = match read {
            // The file's own failure, which also stopped the reading, says more.
            Err(error) => {
                drop(pages);
                return Err(file
                    .await
                    .ok()
                    .and_then(Result::err)
                    .filter(|own| *own != unfinished())
                    .unwrap_or(error));
            }
            Ok(rows) => rows,
        };
        // Where this fails, the writer has an error to tell.
        let _ = pages.send(Frame::End(rows)).await;
        drop(pages);
        let bytes = file.await.map_err(|error| StoreError::unwritten_io(&error))??;
        Ok(BackupReport { rows, bytes })
    }
}

struct Export {
    pages: mpsc::Sender<Frame>,
}

impl Operation for Export {
    type Output = u64;

    const REPEATABLE: bool = false;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<u64, StoreError> {
        let mut count = 0;
        for (number, table) in TABLES.iter().enumerate() {
            let mut rows = tx.query(table.first, &[]).await?;
            while !rows.is_empty() {
                let mut key = Vec::new();
                for row in rows {
                    let values = row.into_values();
                    key = values[..table.key_columns].to_vec();
                    count += 1;
                    // Row by row: the largest fills a frame.
                    let frame = Frame::Rows(number, vec![values]);
                    let gone = |_| StoreError::unwritten_io("the backup's file cannot be written");
                    self.pages.send(frame).await.map_err(gone)?;
                }
                rows = tx.query(table.next, &key).await?;
            }
        }
        Ok(count)
    }
}

fn unfinished() -> StoreError {
    StoreError::unwritten_io("the backup was not finished")
}

/// Writes frames until the last, and gives the file its name. Its size, in bytes.
fn write(path: &Path, mut frames: mpsc::Receiver<Frame>) -> Result<u64, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    let partial = Partial(PathBuf::from(name));
    let file = partial.make().map_err(|error| failed(&error))?;
    let mut writer = FrameWriter::new(BufWriter::new(file)).map_err(|error| failed(&error))?;
    loop {
        let frame = frames.blocking_recv().ok_or_else(unfinished)?;
        writer.write(&frame).map_err(|error| failed(&error))?;
        if matches!(frame, Frame::End(_)) {
            break;
        }
    }
    let bytes = writer.bytes;
    finish(writer.into_inner(), &partial.0, path).map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// A file that goes away unless it got its name.
struct Partial(PathBuf);

impl Partial {
    fn make(&self) -> io::Result<File> {
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
        how.open(&self.0)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It is gone already when it got its name.
        let _ = fs::remove_file(&self.0);
    }
}

fn finish(mut writer: BufWriter<File>, partial: &Path, path: &Path) -> io::Result<()> {
    writer.flush()?;
    writer.get_ref().sync_all()?;
    // A link fails where a file of that name came meanwhile; a rename would replace it.
    fs::hard_link(partial, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(error: &io::Error) -> StoreError {
    let reason = format!("the backup's file: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { reason },
        io::ErrorKind::AlreadyExists => StoreError::conflict("file", "of the backup", "it exists"),
        _ => StoreError::unwritten_io(&reason),
    }
}
