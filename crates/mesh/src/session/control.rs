//! Reads the control stream: channels, credit, cancellation, members and names.

use super::{Running, Session};
use crate::{
    channel::Terms,
    failure::{failure_of, limit_reached, lost},
    frames::refuse,
    inlet::Inlet,
    port::{Port, RelayPort, Wanted},
    shared::{Place, no_such_actor},
};
use bytes::Bytes;
use mesh_actor::AskError;
use mesh_net::{FrameReader, RecvHalf, Role};
use mesh_proto::{credit::Weight, decode_frame, frame::Control};
use std::sync::Arc;
use tokio::time::{Duration, timeout};

/// Channels that one peer may have open: 65,536. Each costs this node about 500 bytes, and room in a mailbox.
const CHANNELS_MAX: usize = 65_536;

/// How long a client waits for a channel to a third node: 5 s.
const RELAY_OPEN_TIMEOUT: Duration = Duration::from_secs(5);

impl Session {
    pub(super) async fn read_control(
        self: Arc<Self>,
        mut receive: RecvHalf,
        mut reader: FrameReader,
        early: Vec<Control>,
    ) {
        for frame in early {
            self.on_control(frame);
        }
        let mut chunks: [Bytes; 16] = std::array::from_fn(|_| Bytes::new());
        while let Ok(Some(count)) = receive.read_chunks(&mut chunks).await {
            for chunk in &mut chunks[..count] {
                let chunk = std::mem::take(chunk);
                let mut wrong = None;
                let read = reader.feed(&chunk, |frame| match decode_frame::<Control>(frame.bytes()) {
                    Ok(control) => self.on_control(control),
                    Err(error) => drop(wrong.get_or_insert(error.to_string())),
                });
                let wrong = read.err().map(|error| error.to_string()).or(wrong);
                if let Some(wrong) = wrong {
                    return self.violation(&wrong);
                }
            }
        }
    }

    fn on_control(self: &Arc<Self>, frame: Control) {
        match frame {
            Control::Hello(_) => self.violation("said hello twice"),
            Control::Open { channel, path } => self.on_open(channel, &path),
            Control::OpenFor { channel, path, client } => self.on_open_for(channel, &path, &client),
            Control::Opened { channel, actor, kinds, overflow, capacity, granted } => {
                if let Some(channel) = self.channel_numbered(channel) {
                    channel.on_opened(Terms { actor, kinds, overflow, capacity }, granted);
                }
            }
            Control::Closed { channel, failure } => self.on_closed(channel, &failure),
            Control::Close { channel } => drop(self.inlets.lock().remove(&channel)),
            Control::Grant { channel, granted } => {
                if let Some(channel) = self.channel_numbered(channel) {
                    channel.on_grant(granted);
                }
            }
            Control::Full { channel, failure } => {
                if let Some(channel) = self.channel_numbered(channel) {
                    channel.on_full(&failure);
                }
            }
            Control::Want { channel, until } => {
                if let Some(inlet) = self.inlet(channel) {
                    inlet.on_want(until);
                }
            }
            Control::Reclaim { channel } => {
                if let Some(channel) = self.channel_numbered(channel) {
                    channel.on_reclaim();
                }
            }
            Control::Return { channel, returned } => {
                let taken = self.inlet(channel).map_or(Ok(()), |inlet| inlet.on_return(returned));
                if let Err(overrun) = taken {
                    self.violation(&overrun.to_string());
                }
            }
            Control::Cancel { correlation } => self.on_cancel(correlation),
            Control::Detach { correlation } => self.on_detach(correlation),
            Control::Attach { channel, correlation, stream, next } => {
                self.on_attach(channel, Wanted { correlation, stream, next });
            }
            Control::Release { channel, stream } => {
                if let Some(inlet) = self.inlet(channel) {
                    inlet.release_stream(stream);
                }
            }
            Control::Retire => self.on_retire(),
            Control::Retired => self.on_retired(),
            Control::Renew => self.on_renew(),
            Control::Renewed { certificate } => self.on_renewed(certificate),
            Control::StreamGrant { correlation, granted } => self.on_stream_grant(correlation, granted),
            // It was acknowledged before it came here.
            Control::Ping => {}
            Control::Sync(_)
            | Control::Published(_)
            | Control::Withdrawn(_)
            | Control::NamesKnown(_)
            | Control::NamesChanged(_)
            | Control::Leaving
            | Control::Topics(_) => self.on_news(frame),
        }
    }

    fn on_cancel(&self, correlation: u64) {
        let running = {
            let mut running = self.running.lock();
            let found = running.remove(&correlation);
            if found.is_none() {
                // It may wait in a mailbox, or be on its way here.
                self.withdrawn.note(correlation);
            }
            found
        };
        if let Some(running) = running {
            running.cancel();
        }
    }

    fn on_detach(&self, correlation: u64) {
        let running = {
            let mut running = self.running.lock();
            let found = running.remove(&correlation);
            if found.is_none() {
                self.detached.note(correlation);
            }
            found
        };
        if let Some(running) = running {
            running.leave(&self.shared.me.name);
        }
    }

    fn on_attach(&self, channel: u32, wanted: Wanted) {
        match self.inlet(channel) {
            Some(inlet) => inlet.resume(wanted),
            None => {
                // It was closed meanwhile, for an end of the actor or of the way behind this node: the next one tells.
                let here = &self.shared.me.name;
                let error = AskError::Unreachable { node: here.to_string(), may_have_run: true };
                refuse(self, wanted.correlation, &lost(&error, true, here));
            }
        }
    }

    /// Only nodes have news of the mesh: a client that claims to is no peer of ours.
    fn on_news(self: &Arc<Self>, frame: Control) {
        if self.peer.role != Role::Node {
            return self.violation("is a client, and speaks as a node");
        }
        self.shared.on_news(self, frame);
    }

    fn on_stream_grant(&self, correlation: u64, granted: Weight) {
        match self.running.lock().get(&correlation) {
            Some(Running::Here(stream)) => stream.on_grant(granted),
            Some(Running::Relayed { to, correlation, .. }) => {
                to.control(&Control::StreamGrant { correlation: *correlation, granted });
            }
            None => {}
        }
    }

    fn on_closed(&self, number: u32, failure: &mesh_proto::Failure) {
        let mut channels = self.channels.lock();
        let Some(channel) = channels.by_number.remove(&number) else { return };
        if channels.by_path.get(channel.path()).is_some_and(|known| Arc::ptr_eq(known, &channel)) {
            channels.by_path.remove(channel.path());
        }
        drop(channels);
        channel.on_closed(failure);
    }

    fn on_open(self: &Arc<Self>, channel: u32, path: &str) {
        if !self.is_new_channel(channel) {
            return;
        }
        match self.shared.place(path) {
            Ok(Place::Here(port)) => self.open_here(channel, path, port),
            // One hop: for a client, to the node that the path names; never for a node, which dials that itself.
            Ok(Place::There(next)) if self.peer.role == Role::Client => {
                let (session, path) = (Arc::clone(self), path.to_owned());
                self.spawn(async move { session.open_relay(channel, &path, next).await });
            }
            Ok(Place::There(_)) => {
                self.refuse_open(channel, &no_such_actor(path));
            }
            Err(error) => self.refuse_guest(channel, path, &error),
        }
    }

    /// Whether a channel of this number can be opened; if not, the peer was told.
    pub(super) fn is_new_channel(&self, channel: u32) -> bool {
        let is_known = {
            let inlets = self.inlets.lock();
            if inlets.len() >= CHANNELS_MAX {
                let failure = limit_reached("channels", CHANNELS_MAX, &self.shared.me.name);
                self.control(&Control::Closed { channel, failure });
                return false;
            }
            inlets.contains_key(&channel)
        };
        if is_known {
            self.violation("opened one channel twice");
        }
        !is_known
    }

    pub(super) fn open_inlet(self: &Arc<Self>, channel: u32, path: &str, port: &Arc<dyn Port>) {
        let full: Arc<str> = self.shared.full_path(path).into();
        let inlet = Inlet::new(channel, Arc::clone(self), Arc::clone(port), full);
        self.inlets.lock().insert(channel, Arc::clone(&inlet));
        port.attach(&inlet);
        self.control(&Control::Opened {
            channel,
            actor: port.actor(),
            kinds: port.kinds(),
            overflow: port.overflow(),
            capacity: port.capacity(),
            granted: inlet.first_grant(),
        });
    }

    async fn open_relay(self: Arc<Self>, number: u32, path: &str, next: Arc<Self>) {
        let onward = match next.channel_for(path, &self) {
            Ok(onward) => onward,
            Err(error) => return self.refuse_open(number, &error),
        };
        match timeout(RELAY_OPEN_TIMEOUT, onward.opened()).await {
            Ok(Ok(terms)) => {
                let port: Arc<dyn Port> = RelayPort::new(onward, terms, Arc::clone(&self));
                self.open_inlet(number, path, &port);
            }
            Ok(Err(failure)) => self.control(&Control::Closed { channel: number, failure }),
            Err(_elapsed) => self.refuse_open(number, &next.unreachable(false)),
        }
    }

    pub(super) fn refuse_open(&self, channel: u32, error: &AskError) {
        let failure = failure_of(error, &self.shared.me.name);
        self.control(&Control::Closed { channel, failure });
    }

    fn channel_numbered(&self, number: u32) -> Option<Arc<crate::channel::Channel>> {
        self.channels.lock().by_number.get(&number).cloned()
    }
}
