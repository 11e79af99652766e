//! Actors anywhere: the one public API of the mesh.
//!
//! ```text
//!   Node  ── a member: runs actors, accepts peers, knows all members and names
//!   Client ─ no member: reaches every actor through one node
//!     └── Mesh ── recipient::<M>("beta/echo") ── ask, tell, stream: the same for near and far
//! ```
//!
//! A message to another node passes few rooms: the caller encodes it into a lane's outbox, charging credit that
//! the receiver has lent it; the lane's reader there puts it into the actor's mailbox, where room for it was set
//! aside; the actor decodes and handles it, and encodes the reply into the reply stream's outbox.
//!
//! Delivery is at most once; under an id ([`Mesh::reliable`]) a message is sent until it is answered, and runs once. Order holds for each pair of sender and receiver within one connection. An error says
//! whether the message may have run.
//!
//! This crate reads no files, no environment and no arguments, and knows nothing of models or agents.

mod breakers;
mod channel;
mod client;
mod config;
mod dedup;
mod dynamic;
mod failure;
mod frames;
mod inlet;
mod kept;
mod keyed;
mod link;
mod membership;
mod mesh;
mod monitor;
mod names;
mod node;
mod node_actor;
mod parking;
mod pending;
mod placement;
mod pool;
mod port;
mod registry;
mod reliable;
mod remote;
mod router;
mod session;
mod shared;
mod stream_in;
mod stream_out;
mod tasks;
mod ticket;
mod topics;
mod trust;
mod uplink;
mod wire;

pub use breakers::{Breakers, Guard};
pub use client::{Client, ClientConfig, ClientError};
pub use config::{LABELS_BYTES_MAX, LABELS_MAX, NodeConfig};
pub use dedup::MessageId;
pub use dynamic::{JsonItem, JsonStream};
pub use keyed::Keyed;
pub use link::Link;
pub use membership::{JoinFailure, Listing, NamesTold};
pub use mesh::{MemberInfo, Mesh, PublishError};
pub use monitor::{Down, DownReason, Monitor};
pub use names::NameConflicts;
pub use node::{Node, NodeBuilder, StartNodeError};
pub use node_actor::{
    ActorRow, Actors, BreakerRow, BreakerTable, DeadLetterRow, DeadLetterTable, DescribeActors, Description,
    Descriptions, Drain, Draining, HeardRow, KindTable, ListActors, ListBreakers, ListDeadLetters, ListKinds,
    ListMembers, ListNames, ListPublished, ListSubscribers, ListTree, MailboxRow, MemberRow, Members, Names,
    Published as PublishedNames, PublishedRow, ReplayDeadLetter, Spawn, Spawned, Stop, SubscriberRow,
    Subscribers, Tree, TreeRow, Turn, TurnBreaker,
};
pub use placement::{
    ARGS_BYTES_MAX, EpochError, EpochSource, Label, ListPlacements, OldestMember, PLACEMENTS_MAX, Place,
    Placed, PlacedRow, PlacementEvent, PlacementList, Rebalance, Rebalanced,
};
pub use pool::{Pool, PoolSpec};
pub use registry::{SpawnContext, Spawnable};
pub use reliable::Reliable;
pub use router::Balance;
pub use session::HelloError;
pub use ticket::InvalidTicket;
pub use topics::{Delivery, Following, Publish, Published, SubscribeError, Topic};
pub use trust::{DENIALS_MAX, Denial, DenialBook, DenialStore, DenialStoreError, Deny, DenyRow, RenewError};
pub use wire::{KindError, Kinds, WireActor, WireMessage, raw_bytes};

pub use mesh_actor::{
    Actor, ActorInfo, ActorRef, ActorSpec, ActorState, Answer, AskError, AutoShutdown, CONFIRM_TIMEOUT,
    Cancel, ChildSpec, Class, Context, Crash, DeadLetter, DeadLetters, DeadReason, ExitReason, Handler,
    Items, Later, MailboxConfig, Message, Open, Overflow, Recipient, Remedy, ReplayError, ReplyStream,
    Restart, RestartStrategy, RetryHint, Runtimes, Sender, Shutdown, StartError, Strategy, StreamHandler,
    Streaming, SupervisionError, SupervisionEvent, SupervisorRef, SupervisorSpec, TIMERS_MAX, Timer,
    TooManyTimers, TreeKind, TreeNode, Watermark,
};
pub use mesh_net::{
    Authority, BindError, ConnectError, Endpoint, Identity, IdentityError, IdentityPem, MemoryNetwork,
    PeerIdentity, Role, TransportConfig,
};
pub use mesh_proto::membership::MembershipConfig;
pub use mesh_proto::{ActorPath, Failure, Grant, GrantSet, InvalidGrant, InvalidPath, Json, Retry, Verb};
pub use mesh_resilience::{Advice, BreakerConfig, State as BreakerState, Verdict};
