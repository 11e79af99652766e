//! A thread that reads, one question after the other.

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::Job;
use super::cause::cause;
use super::transaction::SqliteTx;
use super::work::Work;

/// Answers questions until the queue is closed. The readers share it: who is free takes the next.
pub(super) fn run(mut tx: SqliteTx, questions: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // The lock is held while waiting: the others have nothing to do either.
        let job = {
            let mut questions = questions.lock();
            let job = questions.blocking_recv();
            if matches!(job, Some(Job::Close)) {
                questions.close();
            }
            job
        };
        match job {
            Some(Job::Work(work)) if work.is_abandoned() => {}
            Some(Job::Work(work)) => answer(&mut tx, work),
            // What was queued before the close is still handed out; then there is nothing.
            Some(Job::Close) => {}
            None => return,
        }
    }
}

/// All that an operation reads is of one moment.
fn answer(tx: &mut SqliteTx, mut work: Box<dyn Work>) {
    let begun = tx.control("BEGIN").map_err(|error| cause(&error));
    let result = begun.and_then(|()| {
        let result = work.run(tx);
        // Ends what was only read. If even that fails, the connection still serves the next BEGIN, or says why not.
        let ended = tx.control("ROLLBACK").map_err(|error| cause(&error));
        result.and(ended)
    });
    // An error that left the transaction open would make the next BEGIN fail.
    debug_assert!(tx.connection.is_autocommit() || result.is_err());
    work.settle(result);
}
