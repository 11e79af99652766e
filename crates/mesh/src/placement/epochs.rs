//! Where epochs come from, and who may still write under one.

use futures::future::{BoxFuture, FutureExt, ready};
use std::fmt;

/// Why an epoch was not given, or is not good any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EpochError {
    /// A later life of the actor has begun, or nobody wants it any more. Stop: what was to be written must not be.
    #[error("epoch {epoch} of {name} is over: {newest} has begun")]
    Fenced {
        /// The actor's name.
        name: String,
        /// The epoch that is over.
        epoch: u64,
        /// The newest that is known.
        newest: u64,
    },
    /// The source could not be asked. Nothing is known; try again.
    #[error("no epoch for {name}: {reason}")]
    Unavailable {
        /// The actor's name.
        name: String,
        /// What stands in the way.
        reason: String,
    },
}

/// Gives each life of a placed actor its number, and says whether a number is still the newest.
///
/// A source that all nodes share, as a lease in a database, keeps two sides of a partition from giving one actor two lives: the
/// side that does not reach it places nothing.
pub trait EpochSource: fmt::Debug + Send + Sync + 'static {
    /// An epoch for a new life of `name`: higher than `after`, and than any that it gave before for this name.
    ///
    /// Asked by the node that places; it waits 5 s at most.
    ///
    /// # Errors
    /// [`EpochError::Unavailable`]: nothing is placed, and it is asked again.
    fn next<'a>(&'a self, name: &'a str, after: u64) -> BoxFuture<'a, Result<u64, EpochError>>;

    /// Whether `epoch` is still the newest of `name`; `known` is the newest that this node has heard of.
    ///
    /// # Errors
    /// [`EpochError::Fenced`] when it is not; [`EpochError::Unavailable`] when that cannot be told.
    fn fence<'a>(&'a self, name: &'a str, epoch: u64, known: u64) -> BoxFuture<'a, Result<(), EpochError>>;
}

/// The oldest live member counts on from the highest epoch that it knows.
///
/// Unsafe under a partition: each side has an oldest member, which takes the other side for dead and starts its actors anew,
/// maybe under the same epoch. Both lives answer until the partition heals; then the higher epoch stays, or that on the
/// node of the smaller id, and the other life is killed. Give nodes a source that they share where that must not be.
#[derive(Debug, Clone, Copy, Default)]
pub struct OldestMember;

impl EpochSource for OldestMember {
    fn next<'a>(&'a self, _: &'a str, after: u64) -> BoxFuture<'a, Result<u64, EpochError>> {
        ready(Ok(after.saturating_add(1))).boxed()
    }

    fn fence<'a>(&'a self, name: &'a str, epoch: u64, known: u64) -> BoxFuture<'a, Result<(), EpochError>> {
        let is_over = known > epoch;
        let fenced = || EpochError::Fenced { name: name.to_owned(), epoch, newest: known };
        ready(if is_over { Err(fenced()) } else { Ok(()) }).boxed()
    }
}
