//! The thread that writes: it takes what waits, commits it as one, and tells everybody.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::cause::{cause, cause_at_commit, is_failure_of_the_disk};
use super::transaction::SqliteTx;
use super::work::Work;
use super::{Job, State};
use crate::StoreError;

/// After about how many bytes the log is copied into the file, so that it is used again from its beginning.
const LOG_BYTES: usize = 8 << 20;

/// A batch is closed when it is this large, so that one commit holds a bounded part of the log.
const BATCH_BYTES: usize = 16 << 20;

/// Writes until the queue is closed and empty.
pub(super) fn run(mut tx: SqliteTx, mut jobs: mpsc::Receiver<Job>, state: &State, batch_max: usize) {
    let mut batch = Vec::new();
    while let Some(first) = jobs.blocking_recv() {
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Work(work) if work.is_abandoned() => {}
                Job::Work(work) => batch.push(work),
                Job::Close => jobs.close(),
            }
            next = if batch.len() < batch_max { jobs.try_recv().ok() } else { None };
        }
        while !batch.is_empty() {
            batch = commit(&mut tx, batch, state);
        }
        tidy(&mut tx, state);
    }
}

/// Commits the batch, or as much of it as fits into one commit; gives back the rest.
fn commit(tx: &mut SqliteTx, batch: Vec<Box<dyn Work>>, state: &State) -> Vec<Box<dyn Work>> {
    if state.poisoned.load(Ordering::Acquire) {
        return settle(batch, &Err(StoreError::Poisoned));
    }
    // IMMEDIATE: whoever reads first and writes later could find that another process wrote in between.
    if let Err(error) = tx.control("BEGIN IMMEDIATE") {
        note(&error, state);
        return settle(batch, &Err(cause(&error)));
    }
    let (mut done, mut rest) = (Vec::new(), Vec::new());
    let before = tx.written;
    for mut work in batch {
        if tx.written - before > BATCH_BYTES {
            rest.push(work);
            continue;
        }
        let outcome = run_one(tx, &mut *work, state);
        done.push(work);
        if let Err(error) = outcome {
            // SQLite gave up the whole transaction (a full disk, a failed one): nobody's work is in it any more.
            rollback(tx);
            done.append(&mut rest);
            return settle(done, &Err(error));
        }
    }
    let result = match tx.control("COMMIT") {
        Ok(()) => Ok(()),
        Err(error) => {
            note(&error, state);
            rollback(tx);
            Err(cause_at_commit(&error))
        }
    };
    settle(done, &result);
    rest
}

/// Runs one operation; its failure undoes what it did and nothing else.
///
/// # Errors
/// If the transaction as a whole is over.
fn run_one(tx: &mut SqliteTx, work: &mut dyn Work, state: &State) -> Result<(), StoreError> {
    let broken = |error: &rusqlite::Error| {
        note(error, state);
        cause(error)
    };
    tx.control("SAVEPOINT one").map_err(|error| broken(&error))?;
    if let Err(error) = work.run(tx) {
        if tx.connection.is_autocommit() {
            return Err(error);
        }
        tx.control("ROLLBACK TO one").map_err(|error| broken(&error))?;
        if matches!(error, StoreError::Io { .. }) {
            state.poisoned.store(true, Ordering::Release);
            return Err(error);
        }
    }
    tx.control("RELEASE one").map_err(|error| broken(&error))
}

fn rollback(tx: &SqliteTx) {
    if !tx.connection.is_autocommit() {
        // Where even this fails, the next BEGIN fails, and says why.
        let _ = tx.control("ROLLBACK");
    }
}

fn settle(batch: Vec<Box<dyn Work>>, result: &Result<(), StoreError>) -> Vec<Box<dyn Work>> {
    for work in batch {
        work.settle(result.clone());
    }
    Vec::new()
}

fn note(error: &rusqlite::Error, state: &State) {
    if is_failure_of_the_disk(error) {
        tracing::error!(%error, "the disk failed, and the store stops");
        state.poisoned.store(true, Ordering::Release);
    }
}

/// Copies the log into the file, when there is much of it; after the answers, so that nobody waits for it who has one.
fn tidy(tx: &mut SqliteTx, state: &State) {
    if tx.written < LOG_BYTES || state.poisoned.load(Ordering::Acquire) {
        return;
    }
    tx.written = 0;
    // PASSIVE: as much as can be copied without waiting for readers; the rest comes with the next.
    let copied = tx.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = copied {
        // A full disk is no failure: what was acknowledged is in the log, and it is copied when there is room.
        tracing::warn!(%error, "the log was not copied into the file");
        note(&error, state);
    }
}
