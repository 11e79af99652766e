//! Actors in one process, with bounded mailboxes outside the queue of ractor.
