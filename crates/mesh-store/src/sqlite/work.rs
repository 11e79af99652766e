//! An operation on its way through a thread, and the answer on its way back.

use futures::executor::block_on;
use tokio::sync::oneshot;

use super::transaction::SqliteTx;
use crate::StoreError;
use crate::tx::Operation;

/// An operation of any type.
pub(super) trait Work: Send {
    /// Runs it, and says why it failed; its result is kept until the transaction is committed.
    fn run(&mut self, tx: &mut SqliteTx) -> Result<(), StoreError>;

    /// Tells the caller: its own result if the transaction was committed, else why not.
    fn settle(self: Box<Self>, transaction: Result<(), StoreError>);

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
}

pub(super) struct Pending<O: Operation> {
    operation: O,
    reply: oneshot::Sender<Result<O::Output, StoreError>>,
    result: Option<Result<O::Output, StoreError>>,
}

impl<O: Operation> Pending<O> {
    pub(super) fn new(operation: O, reply: oneshot::Sender<Result<O::Output, StoreError>>) -> Self {
        Self { operation, reply, result: None }
    }
}

impl<O: Operation> Work for Pending<O> {
    fn run(&mut self, tx: &mut SqliteTx) -> Result<(), StoreError> {
        // Statements of SQLite are ready at once. What else an operation waits for (the file of a backup) may block
        // this thread, which is there to be blocked.
        let result = block_on(self.operation.run(tx));
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        outcome
    }

    fn settle(self: Box<Self>, transaction: Result<(), StoreError>) {
        let answer = match (self.result, transaction) {
            // Its own failure was rolled back by itself, whatever became of the others.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(output)), Ok(())) => Ok(output),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // A caller who gave up hears nothing.
        let _ = self.reply.send(answer);
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}
