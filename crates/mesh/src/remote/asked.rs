//! An ask that waits for its answer.

use crate::{
    pending::{Answer, Waiter},
    session::Session,
};
use mesh_actor::{AskError, CONFIRM_TIMEOUT, Cancel};
use mesh_proto::{ActorPath, frame::Control};
use std::sync::Arc;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

/// An ask in the table of its connection. Dropped before it was answered, it withdraws the ask.
pub(crate) struct Asked {
    pub(super) session: Arc<Session>,
    pub(crate) correlation: u64,
    is_answered: bool,
}

impl Asked {
    pub(crate) fn new(session: &Arc<Session>, waiter: Waiter) -> Result<Self, AskError> {
        Self::until(session, waiter, None)
    }

    /// One that ends as `Late` at its deadline.
    pub(super) fn until(
        session: &Arc<Session>,
        waiter: Waiter,
        deadline: Option<Instant>,
    ) -> Result<Self, AskError> {
        let inserted = session.pending().insert_until(waiter, deadline);
        let correlation = inserted.map_err(|_| session.unreachable(false))?;
        Ok(Self { session: Arc::clone(session), correlation, is_answered: false })
    }

    /// The answer; once it is unwanted, the end of the message, for which no longer is waited than that takes to be
    /// confirmed.
    pub(super) async fn ended(
        &self,
        mut replied: oneshot::Receiver<Answer>,
        unwanted: Option<&Cancel>,
        path: &ActorPath,
    ) -> Result<Answer, AskError> {
        if let Some(unwanted) = unwanted {
            tokio::select! {
                biased;
                answer = &mut replied => return Ok(answer.unwrap_or(Answer::Lost)),
                () = unwanted.cancelled() => {}
            }
            self.session.control(&Control::Cancel { correlation: self.correlation });
            let unconfirmed = |_elapsed| AskError::Unconfirmed { path: path.to_string() };
            let answer = timeout(CONFIRM_TIMEOUT, replied).await.map_err(unconfirmed)?;
            return Ok(answer.unwrap_or(Answer::Lost));
        }
        Ok(replied.await.unwrap_or(Answer::Lost))
    }

    pub(crate) fn answered(mut self) {
        self.is_answered = true;
    }

    /// The peer knows nothing of it: there is nothing to withdraw.
    pub(super) fn never_sent(self) {
        self.session.pending().take(self.correlation);
        self.answered();
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_answered && self.session.pending().take(self.correlation).is_some() {
            self.session.control(&Control::Cancel { correlation: self.correlation });
        }
    }
}
