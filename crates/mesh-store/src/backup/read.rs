//! Filling an empty store from a backup: all of it in one transaction, or nothing.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tokio::sync::{Mutex, mpsc};

use super::BackupReport;
use super::file::{Frame, FrameReader, broken};
use crate::schema::TABLES;
use crate::tx::{Operation, Tx, query_one};
use crate::{Store, StoreError};

/// How many rows wait for the store.
const ROWS: usize = 64;

impl Store {
    /// Fills an empty store with what a backup has. The backup is checked to its last byte before any of it counts.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the store is not empty; [`StoreError::Corrupt`] if the file is damaged, cut short or
    /// no backup; [`StoreError::Io`] if it cannot be read.
    pub async fn restore(&self, path: impl AsRef<Path>) -> Result<BackupReport, StoreError> {
        let path = path.as_ref().to_owned();
        let (rows, frames) = mpsc::channel(ROWS);
        let file = tokio::task::spawn_blocking(move || read(&path, &rows));
        let filled = self.change(Import { frames: Mutex::new(frames) }).await;
        // Ended by itself, or by the store's end of the channel.
        let read = file.await.map_err(|error| StoreError::unwritten_io(&error))?;
        match (filled, read) {
            (Ok(rows), Ok(bytes)) => Ok(BackupReport { rows, bytes }),
            (Ok(_), Err(error)) => Err(error),
            // The file's own failure, which also stopped the filling, says more.
            (Err(_), Err(error @ (StoreError::Corrupt { .. } | StoreError::Io { .. }))) => Err(error),
            (Err(error), _) => Err(error),
        }
    }
}

/// Hands over frames until the last, which stands for the whole file having been good. The file's size, in bytes.
fn read(path: &Path, rows: &mpsc::Sender<Frame>) -> Result<u64, StoreError> {
    let file = File::open(path)
        .map_err(|error| StoreError::unwritten_io(&format!("{}: {error}", path.display())))?;
    let mut reader = FrameReader::new(BufReader::new(file))?;
    loop {
        let frame = reader.read()?;
        let is_last = matches!(frame, Frame::End(_));
        if is_last {
            reader.end()?;
        }
        if rows.blocking_send(frame).is_err() || is_last {
            return Ok(reader.bytes);
        }
    }
}

struct Import {
    frames: Mutex<mpsc::Receiver<Frame>>,
}

impl Operation for Import {
    type Output = u64;

    const REPEATABLE: bool = false;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<u64, StoreError> {
        let mut frames = self.frames.lock().await;
        check_empty(tx).await?;
        let mut count = 0;
        loop {
            match frames.recv().await {
                Some(Frame::Rows(table, rows)) => {
                    for values in rows {
                        tx.execute(TABLES[table].insert, &values).await?;
                        count += 1;
                    }
                }
                Some(Frame::End(rows)) if rows == count => return Ok(count),
                Some(Frame::End(_)) => return Err(broken("it does not have as many rows as it says")),
                None => return Err(broken("it ended before its end")),
            }
        }
    }
}

async fn check_empty<T: Tx>(tx: &mut T) -> Result<(), StoreError> {
    for table in TABLES {
        if query_one(tx, table.first, &[]).await?.is_some() {
            return Err(StoreError::conflict("store", "to be filled", "it is not empty"));
        }
    }
    Ok(())
}
