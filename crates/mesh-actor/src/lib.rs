//! Actors in one process, with bounded mailboxes outside the queue of ractor.
//!
//! ```text
//!   ActorRef, Recipient ──ask, tell──► Mailbox: bounded, outlives a crash
//!                                         │ rings the bell, once for each rest
//!                                         ▼
//!   System ──supervises──► ractor's task ─┴─ takes a batch ──► Handler<M>::handle
//! ```
//!
//! ractor gives the task, its lifecycle, links and signals. Its queue has no bound and dies with its actor, so no
//! message of ours ever lies in it. The mailbox is ours: what is reserved and what is queued never exceed its bound
//! together, whoever sends, and an actor that was restarted goes on with the next message. Actors that belong together
//! are the children of a supervisor ([`SupervisorSpec`]), with OTP's rules; what nobody will handle is a dead letter
//! ([`DeadLetters`]).
//!
//! ```
//! use mesh_actor::{Actor, ActorSpec, Context, Handler, Message, Runtimes, System};
//!
//! struct Add(u64);
//! impl Message for Add {
//!     type Reply = u64;
//! }
//!
//! struct Sum(u64);
//! impl Actor for Sum {}
//! impl Handler<Add> for Sum {
//!     async fn handle(&mut self, Add(more): Add, _: &mut Context<Self>) -> u64 {
//!         self.0 += more;
//!         self.0
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let system = System::new(Runtimes::current());
//! let sum = system.spawn(ActorSpec::new("sum"), || Sum(0));
//! sum.tell(Add(40)).await?;
//! assert_eq!(sum.ask(Add(2)).await?, 42);
//! # Ok::<(), mesh_actor::AskError>(())
//! # }).unwrap();
//! ```
//!
//! This crate never sees bytes and knows no network: another node's actor is a [`Deliver`] like any other.

mod actor;
mod context;
mod error;
mod message;
mod turn;

mod actor_ref;
mod ask;
mod cancel;
mod deliver;
mod reply;
mod stream;
mod tell;

mod dead_letters;
mod events;
mod letter;
mod mailbox;

mod cell;
mod info;
mod life;
mod remedy;
mod spec;
mod strategy;
mod supervisor;
mod supervisor_ref;
mod supervisor_spec;
mod system;
mod timer;
mod tree;

pub use actor::{Actor, ExitReason, Handler, StartError, StreamHandler};
pub use actor_ref::ActorRef;
pub use ask::{Ask, AskFuture, CONFIRM_TIMEOUT};
pub use cancel::Cancel;
pub use context::{Context, Skipped};
pub use dead_letters::{DeadLetter, DeadLetters, DeadReason, ReplayError};
pub use deliver::{Deliver, Recipient};
pub use error::{AskError, RemoteFailure, RetryHint, TellError, TryTellError};
pub use events::SupervisionEvent;
pub use info::{ActorInfo, ActorState};
pub use letter::{Letter, Parcel};
pub use mailbox::{
    Conflation, Counters, Mailbox, MailboxClosed, MailboxConfig, Overflow, Permit, Reserve, Slot, Weight,
};
pub use message::{Message, Meta, Sender, Streaming};
pub use remedy::{Crash, Remedy, RestartStrategy};
pub use reply::{Receipt, Reply, reply_slot};
pub use spec::{ActorSpec, Class, Restart};
pub use strategy::{AutoShutdown, Shutdown, Strategy};
pub use stream::{Closed, Items, Open, ReplyStream};
pub use supervisor_ref::SupervisorRef;
pub use supervisor_spec::{ChildSpec, SupervisionError, SupervisorSpec};
pub use system::{Runtimes, StillRunning, System};
pub use tell::{Tell, TellFuture};
pub use timer::{TIMERS_MAX, Timer, TooManyTimers};
pub use tree::{TreeKind, TreeNode};
