//! Who is in the mesh: SWIM with suspicion, as a state machine without sockets, tasks, or a clock.
//!
//! ```text
//!  datagram(from, bytes) ─┐                         ┌─ Send { to, bytes }     datagrams, may be lost
//!  sync(from, message)   ─┤                         ├─ Sync { to, message }   control stream, in order
//!  connected(peer)       ─┼─▶  Membership  ── poll ─┼─ Dial { node, addr }
//!  disconnected(node)    ─┤    (foca, a table)      ├─ Changed(Alive / Suspect / Down / Left, boot, reason)
//!  set_labels, set_load  ─┤                         └─ Profile, Forgotten, Renewed, Superseded
//!  advance(now)          ─┘─▶ next_at
//! ```
//!
//! - **Death** is declared by [foca](https://docs.rs/foca) alone, which plays SWIM (Das, Gupta, Motivala: SWIM, DSN 2002):
//!   each node probes one other a period, directly and then through others (§3.1, §4.1); who does not answer is a suspect,
//!   and down when it has not contradicted in time (§4.2); news travels on the probes (§4.1) and in gossip beside them.
//! - **Identity** is a node, the boot of its process, and how often that boot was taken for dead and came back. `Down` is
//!   final for an identity; who hears of its own death takes the next one, and is `Alive` again with
//!   [`Reason::Renewed`]. Another boot of a node is the death of the one before, with its own `Down`.
//! - **Push/pull** compares tables with one random member now and then, since what gossip misses would otherwise be missed
//!   for minutes. It also carries the profiles that are too long for datagrams.
//! - **Profiles** (name, labels, load) are written by their node alone; the newest version of a boot wins.
//! - **A partition heals** by itself: seeds and members that are down are dialled for as long as they are listed, the seeds
//!   for ever, and both sides renew themselves when they meet.
//! - **A process that stood still** does not accuse those that it did not hear: its suspicions are put off by as long
//!   (after Lifeguard, Dadgar, Phillips, Currey, 2018, §IV).
//!
//! Published names are not its business: their owner tells them, and they count while it takes part ([`Directory`](crate::Directory)).
//!
//! What a peer says of itself is held against its certificate; what it says of others is believed, as SWIM must: every
//! holder of a node's certificate is trusted that far. No bytes can panic, and memory is bounded by `members_max`.
//!
//! # A driver
//!
//! One task owns the machine. It feeds what comes, drains [`Membership::poll`], and sleeps until
//! [`Membership::next_at`]. Here with threads; with an async runtime, `recv_timeout` is a `select!` of the inbox and a
//! `sleep_until`. Time is the time since any fixed moment.
//!
//! ```
//! use mesh_proto::{Boot, NodeId, membership::{Action, Membership, MembershipConfig, Own, Peer, Profile, Sync}};
//! use std::{sync::mpsc::{Receiver, RecvTimeoutError}, time::{Duration, Instant}};
//!
//! enum Event { Datagram(NodeId, Vec<u8>), Sync(NodeId, Sync), Connected(Peer), Disconnected(NodeId), Leave }
//!
//! fn drive(mut membership: Membership, started: Instant, inbox: &Receiver<Event>, mut perform: impl FnMut(Action)) {
//!     loop {
//!         let due = membership.next_at().map(|at| at.saturating_sub(started.elapsed()));
//!         let event = inbox.recv_timeout(due.unwrap_or(Duration::from_secs(3600)));
//!         let now = started.elapsed();
//!         let is_last = matches!(event, Ok(Event::Leave) | Err(RecvTimeoutError::Disconnected));
//!         // What came is heard before what is due: it may be the answer that a timer waits for.
//!         match event {
//!             // The node is the one of the connection's certificate. A peer that lies is cut off.
//!             Ok(Event::Datagram(from, bytes)) => drop(membership.datagram(from, &bytes, now)),
//!             Ok(Event::Sync(from, message)) => drop(membership.sync(from, message, now)),
//!             Ok(Event::Connected(peer)) => membership.connected(&peer, now),
//!             Ok(Event::Disconnected(node)) => membership.disconnected(node, now),
//!             Ok(Event::Leave) => membership.leave(now),
//!             Err(_) => {}
//!         }
//!         membership.advance(now);
//!         while let Some(action) = membership.poll() {
//!             perform(action); // never waits: a full outbox drops a datagram, and closes a connection that takes no `Sync`
//!         }
//!         if is_last {
//!             return;
//!         }
//!     }
//! }
//!
//! let own = Own {
//!     node: NodeId(7),
//!     boot: Boot(1_700_000_000_000),
//!     addr: "127.0.0.1:7946".into(),
//!     profile: Profile { name: "alpha".into(), ..Profile::default() },
//! };
//! let config = MembershipConfig { seeds: vec!["127.0.0.1:7001".into()], ..MembershipConfig::lan() };
//! let membership = Membership::new(config, own, 42, Duration::ZERO)?;
//! let (send, inbox) = std::sync::mpsc::channel();
//! send.send(Event::Leave)?;
//! let mut asked = Vec::new();
//! drive(membership, Instant::now(), &inbox, |action| asked.push(action));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This module does not decide which of two connections is kept, resolves no name, and knows no actor.

mod action;
mod config;
mod error;
mod exchange;
mod identity;
mod links;
mod news;
mod outside;
mod own;
mod packet;
mod profile;
mod random;
mod seek;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod state;
mod sync;
mod table;
mod timers;
mod upkeep;

pub use action::{Action, Change, Reason};
pub use config::{MembershipConfig, MembershipConfigError};
pub use error::DatagramError;
pub use links::Peer;
pub use own::{MembershipError, Own};
pub use packet::DATAGRAM_BYTES_MAX;
pub use profile::{LABEL_BYTES_MAX, LABELS_MAX, Load, Profile, ProfileError};
pub use state::MemberState;
pub use sync::{Sync, SyncError};
pub use table::Member;

use crate::{Boot, NodeId};
use identity::{ADDR_BYTES_MAX, Identity};
use links::Links;
use outside::{Carried, Outside};
use packet::{OwnIncarnation, PacketCodec};
use profile::Row;
use random::Seeded;
use std::{fmt, time::Duration};
use table::Table;
use timers::Due;

/// How many hear of a departure on the control stream, beside those that hear by gossip.
const GOODBYES: usize = 3;

/// This node's view of the mesh, and its part in it.
pub struct Membership {
    config: MembershipConfig,
    foca: foca::Foca<Identity, PacketCodec, Seeded, Carried>,
    outside: Outside,
    incarnation: OwnIncarnation,
    table: Table,
    links: Links,
    asked: sync::Asked,
    /// What this node says of itself, as it was told last.
    row: Row,
    /// What it will say next.
    profile: Profile,
    random: Seeded,
    digits: u32,
    refused: u64,
    superseded: Option<Boot>,
    told_at: Duration,
}

impl Membership {
    /// A mesh of one, which looks for its seeds at the first [`Self::advance`]. The same seed and the same events give the
    /// same actions; two nodes should not have the same seed.
    ///
    /// # Errors
    /// [`MembershipError`], by what is out of range.
    pub fn new(
        config: MembershipConfig,
        own: Own,
        seed: u64,
        now: Duration,
    ) -> Result<Self, MembershipError> {
        config.validate().map_err(|error| MembershipError::Config { error })?;
        own.profile.check().map_err(|error| MembershipError::Profile { error })?;
        if own.addr.len() > ADDR_BYTES_MAX {
            return Err(MembershipError::Addr { bytes: own.addr.len() });
        }
        let Own { node, boot, addr, profile } = own;
        let identity = Identity { node, boot, renewal: 0, has_left: false, addr };
        let mut random = Seeded::new(seed);
        let chance = Seeded::new(random.draw());
        let incarnation = OwnIncarnation::default();
        let codec = PacketCodec::new(incarnation.clone());
        let foca = foca::Foca::with_custom_broadcast(identity, config.foca(1), chance, codec, Carried);
        let mut membership = Self {
            foca,
            incarnation,
            outside: Outside { now, ..Outside::default() },
            table: Table::default(),
            links: Links::new(&config.seeds),
            asked: sync::Asked::default(),
            row: Row { node, boot, version: 0, profile: profile.clone() },
            profile,
            random,
            digits: 1,
            refused: 0,
            superseded: None,
            told_at: now,
            config,
        };
        membership.tell();
        membership.outside.timers.set(Due::Search, now);
        // Nodes that were started as one must not compare tables as one.
        let period = usize::try_from(membership.config.sync_period.as_millis()).unwrap_or(usize::MAX);
        let phase = u64::try_from(membership.random.below(period)).unwrap_or(0);
        membership.outside.timers.set(Due::Sync, now + Duration::from_millis(phase));
        Ok(membership)
    }

    /// A datagram came over a connection whose certificate says `from`.
    ///
    /// # Errors
    /// [`DatagramError`], by what is wrong with it; each says what of it was taken in. None needs more than to be counted,
    /// but for [`DatagramError::WrongSender`].
    pub fn datagram(&mut self, from: NodeId, bytes: &[u8], now: Duration) -> Result<(), DatagramError> {
        self.wake(now);
        if self.has_left() {
            return Ok(());
        }
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(DatagramError::TooLong { bytes: bytes.len() });
        }
        self.read(from, bytes)
    }

    /// A message of push/pull came on the control stream of the connection whose certificate says `from`.
    ///
    /// # Errors
    /// [`SyncError`]; nothing of the message was taken in, and the connection may go on.
    pub fn sync(&mut self, from: NodeId, message: Sync, now: Duration) -> Result<(), SyncError> {
        self.wake(now);
        if self.has_left() {
            return Ok(());
        }
        self.exchange(from, message.0)
    }

    /// There is a connection, and its hello has come. To be told once for each node, until [`Self::disconnected`].
    pub fn connected(&mut self, peer: &Peer, now: Duration) {
        self.wake(now);
        if !self.has_left() && peer.addr.len() <= ADDR_BYTES_MAX {
            self.meet(peer);
        }
    }

    /// The last connection to a node is lost or closed. No member changes by that; if it takes part, it is dialled.
    pub fn disconnected(&mut self, node: NodeId, now: Duration) {
        self.wake(now);
        self.links.disconnect(node);
        self.asked.forget(node);
        let state = self.table.get(node).map(Member::state);
        let is_wanted = state.is_some_and(|state| state != MemberState::Left) && !self.has_left();
        if is_wanted
            && self.links.want(node, state == Some(MemberState::Down))
            && !self.outside.timers.is_set(&Due::Dial)
        {
            self.outside.timers.set(Due::Dial, now);
        }
    }

    /// Does what is due by now. Time that goes backwards is taken for standing still.
    pub fn advance(&mut self, now: Duration) {
        self.wake(now);
        let now = self.outside.now;
        while let Some(due) = self.outside.timers.take(now) {
            match due {
                Due::Foca(timer) if self.is_refuted(&timer) => {}
                Due::Foca(timer) => {
                    // Its errors are about timers that came in another order than it set them; it has then mended itself.
                    drop(self.foca.handle_timer(timer, &mut self.outside));
                    self.settle();
                }
                Due::Sync => {
                    self.sync_with_anybody();
                    let period = self.config.sync_period_of(self.table.active() + 1);
                    self.outside.timers.set(Due::Sync, now + period);
                }
                Due::Dial => self.dial_missing(),
                Due::Search => self.search(),
                Due::Tell => self.tell(),
            }
        }
    }

    /// Changes the labels that others see; they are told within `profile_period`.
    ///
    /// # Errors
    /// [`ProfileError::Labels`] when there are too many or they are too long; the labels are then as before.
    pub fn set_labels(&mut self, labels: Vec<(String, String)>, now: Duration) -> Result<(), ProfileError> {
        let profile = Profile { labels, ..self.profile.clone() };
        profile.check()?;
        self.set_profile(profile, now);
        Ok(())
    }

    /// Changes the load that others see; they are told within `profile_period`.
    pub fn set_load(&mut self, load: Load, now: Duration) {
        self.set_profile(Profile { load, ..self.profile.clone() }, now);
    }

    /// Says goodbye. Afterwards nothing is heard nor due; the driver performs what is left in [`Self::poll`], and closes
    /// the connections once that is sent.
    pub fn leave(&mut self, now: Duration) {
        self.wake(now);
        if self.has_left() {
            return;
        }
        let departed = self.foca.identity().departed();
        // Loss is expected of both; of the control stream it is not.
        drop(self.foca.change_identity(departed, &mut self.outside));
        drop(self.foca.leave_cluster(&mut self.outside));
        let mut peers: Vec<NodeId> = self.links.connected().collect();
        for _ in 0..GOODBYES.min(peers.len()) {
            let peer = peers.swap_remove(self.random.below(peers.len()));
            self.send(peer, sync::Message::Tell { rows: vec![self.own_known()] });
        }
        self.outside.timers.clear();
    }

    /// The next thing to do or to know, in order. To be drained after each of the other methods: the queue grows until it
    /// is, by a page and a few datagrams for each event, and a dial and a change for each member at most.
    pub fn poll(&mut self) -> Option<Action> {
        self.outside.actions.pop_front()
    }

    /// When [`Self::advance`] is to be called at the latest; `None` once this node has left.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.outside.timers.next_at()
    }

    /// Every other member, those that are gone included, in order of the ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.table.iter()
    }

    /// How many other members are alive or suspect.
    #[must_use]
    pub fn active(&self) -> usize {
        self.table.active()
    }

    /// Another member.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.table.get(node)
    }

    /// The other member of this name: of several, one that takes part, then the newest run. (A node that lost its key
    /// comes back with another id.)
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Member> {
        let named =
            self.members().filter(|member| member.profile().is_some_and(|profile| profile.name == name));
        named.max_by_key(|member| (member.is_active(), member.boot()))
    }

    /// This node, its boot, and what it says of itself.
    #[must_use]
    pub fn own(&self) -> (NodeId, Boot, &Profile) {
        (self.row.node, self.row.boot, &self.profile)
    }

    /// How many claims of new members were turned away because the table was full of living ones.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn has_left(&self) -> bool {
        self.foca.identity().has_left
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.foca.identity();
        f.debug_struct("Membership")
            .field("own", own)
            .field("active", &self.table.active())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
