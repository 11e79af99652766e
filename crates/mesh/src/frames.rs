//! Messages that came together over one channel, not yet decoded.
//!
//! Small payloads of a group lie side by side in one arena: no allocation for a message, and none pins the
//! datagram that it came in.

use bytes::Bytes;
use mesh_proto::{
    EncodeError, Failure,
    credit::Weight,
    frame::{Content, MessageHeader, Outcome, ReplyHeader},
};
use std::sync::Arc;
use tokio::time::{Duration, Instant};

use crate::{
    dedup::MessageId,
    inlet::Inlet,
    parking::{Owner, Parking},
    stream_out::StreamOut,
};

/// Who sent messages, and is owed their replies.
pub(crate) trait Origin: Send + Sync {
    /// The peer's node, or `None` for callers in this process.
    fn node(&self) -> Option<&Arc<str>>;

    /// Sends one reply, failure or item. `write` appends the payload.
    fn answer(
        &self,
        header: ReplyHeader,
        write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError>;

    /// Notes that an ask is being handled, so that it can be cancelled and its stream granted room.
    fn begin(&self, correlation: u64, stream: Arc<StreamOut>);

    /// Forgets it again.
    fn end(&self, correlation: u64);

    /// Whether the asker has withdrawn it before it began.
    fn is_withdrawn(&self, correlation: u64) -> bool;

    /// Whether nothing reaches it any more.
    fn is_over(&self) -> bool {
        false
    }

    /// Whose streams are kept under which name, and by whom; `None` where they end with their reader.
    fn keeper(&self) -> Option<(Owner, Arc<Parking>)> {
        None
    }

    /// The name of this node, for failures.
    fn here(&self) -> &str;
}

/// One message, its payload in the arena or on its own.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u16,
    pub(crate) content: Content,
    pub(crate) correlation: u64,
    pub(crate) sender: u64,
    pub(crate) deadline: Option<Instant>,
    /// What it is charged in bytes.
    charged_bytes: u64,
    payload: Payload,
}

#[derive(Debug, Clone)]
enum Payload {
    Arena { start: u32, length: u32 },
    // Boxed, since frames are moved by the thousand and few are large.
    Owned(Box<Bytes>),
}

impl Payload {
    const NONE: Self = Self::Arena { start: 0, length: 0 };
}

impl Frame {
    /// A frame whose payload stands on its own.
    pub(crate) fn owned(header: &MessageHeader, payload: Bytes, capacity: Weight, now: Instant) -> Self {
        Self::bare(header, payload.len(), capacity, now, Payload::Owned(Box::new(payload)))
    }

    /// What it is charged.
    pub(crate) fn weight(&self) -> Weight {
        Weight { messages: 1, bytes: self.charged_bytes }
    }

    fn bare(
        header: &MessageHeader,
        payload_bytes: usize,
        capacity: Weight,
        now: Instant,
        payload: Payload,
    ) -> Self {
        let deadline = (header.budget_ms > 0).then(|| now + Duration::from_millis(header.budget_ms));
        Self {
            kind: header.kind,
            content: header.content,
            correlation: header.correlation,
            sender: header.sender,
            deadline,
            charged_bytes: Weight::of_message(payload_bytes, capacity).bytes,
            payload,
        }
    }
}

/// How much lies in a group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    messages: usize,
    bytes: usize,
}

/// A group of messages from one origin. Dropped before all were taken, it tells every asker left.
pub(crate) struct Frames {
    origin: Arc<dyn Origin>,
    path: Arc<str>,
    /// Where room goes that a taken message frees; `None` for callers in this process.
    inlet: Option<Arc<Inlet>>,
    arena: Vec<u8>,
    items: Vec<Frame>,
    /// Place of the next message to be taken.
    next: usize,
    /// What all that were added are charged.
    weight: Weight,
}

impl Frames {
    pub(crate) fn new(origin: Arc<dyn Origin>, path: Arc<str>, inlet: Option<Arc<Inlet>>) -> Self {
        Self { origin, path, inlet, arena: Vec::new(), items: Vec::new(), next: 0, weight: Weight::ZERO }
    }

    /// Sets memory aside for a group like one of this size.
    pub(crate) fn reserve(&mut self, like: Size) {
        self.arena.reserve(like.bytes);
        self.items.reserve(like.messages);
    }

    /// How much lies in the group.
    pub(crate) fn size(&self) -> Size {
        Size { messages: self.items.len(), bytes: self.arena.len() }
    }

    /// Messages were taken and their room is free: the peer may be lent more.
    pub(crate) fn taken(&self) {
        if let Some(inlet) = &self.inlet {
            inlet.top_up();
        }
    }

    /// Takes out the messages that `is_meant` names; what is left weighs less.
    pub(crate) fn take_out(&mut self, mut is_meant: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        if !self.items[self.next..].iter().any(&mut is_meant) {
            return Vec::new();
        }
        let (out, left): (Vec<_>, Vec<_>) = self.items.drain(self.next..).partition(is_meant);
        self.items.extend(left);
        self.weight = out.iter().fold(self.weight, |weight, frame| weight.minus(frame.weight()));
        out
    }

    /// Says who the sender is, where that is not whose connection it is.
    pub(crate) fn speaks(&mut self, origin: Arc<dyn Origin>) {
        self.origin = origin;
    }

    pub(crate) fn origin(&self) -> &Arc<dyn Origin> {
        &self.origin
    }

    /// The path of the actor that they are for.
    pub(crate) fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// What all that were added are charged.
    pub(crate) fn weight(&self) -> Weight {
        self.weight
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.next
    }

    /// Adds a message, copying its payload into the arena.
    pub(crate) fn push_copied(
        &mut self,
        header: &MessageHeader,
        payload: &[u8],
        capacity: Weight,
        now: Instant,
    ) {
        let start = u32::try_from(self.arena.len()).expect("a group is far below 4 GiB");
        let length = u32::try_from(payload.len()).expect("a frame is far below 4 GiB");
        self.arena.extend_from_slice(payload);
        self.push(Frame::bare(header, payload.len(), capacity, now, Payload::Arena { start, length }));
    }

    /// Adds a message.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.weight = self.weight.plus(frame.weight());
        self.items.push(frame);
    }

    /// The kind of the next message.
    pub(crate) fn next_kind(&self) -> Option<u16> {
        self.items.get(self.next).map(|frame| frame.kind)
    }

    /// Takes the next message out.
    pub(crate) fn take_next(&mut self) -> Option<Frame> {
        let place = self.items.get_mut(self.next)?;
        self.next += 1;
        // What stays behind holds no memory: a large payload goes with its message.
        let payload = std::mem::replace(&mut place.payload, Payload::NONE);
        Some(Frame { payload, ..*place })
    }

    /// Goes on to the next message, if it is of this kind, and leaves it where it lies until the next step: moving it costs
    /// a tenth of what taking a small one does.
    #[inline]
    pub(crate) fn step(&mut self, kind: u16) -> bool {
        if self.next_kind() != Some(kind) {
            return false;
        }
        if let Some(before) = self.next.checked_sub(1)
            && matches!(self.items[before].payload, Payload::Owned(_))
        {
            self.items[before].payload = Payload::NONE;
        }
        self.next += 1;
        true
    }

    /// The message that the last [`step`](Self::step) went to.
    ///
    /// # Panics
    /// When there was no step.
    #[inline]
    pub(crate) fn in_hand(&self) -> &Frame {
        &self.items[self.next - 1]
    }

    pub(crate) fn payload<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        match &frame.payload {
            Payload::Arena { start, length } => &self.arena[*start as usize..(*start + *length) as usize],
            Payload::Owned(bytes) => bytes,
        }
    }

    /// The payload without an id that stands before it.
    pub(crate) fn message<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        let payload = self.payload(frame);
        if frame.content.has_id() { payload.get(MessageId::BYTES..).unwrap_or_default() } else { payload }
    }

    /// The payload as bytes that outlive the group.
    pub(crate) fn payload_owned(&self, frame: &Frame) -> Bytes {
        match &frame.payload {
            Payload::Arena { .. } => Bytes::copy_from_slice(self.payload(frame)),
            Payload::Owned(bytes) => Bytes::clone(bytes),
        }
    }

    /// The payload without an id, as bytes that outlive the group.
    pub(crate) fn message_owned(&self, frame: &Frame) -> Bytes {
        let whole = self.payload_owned(frame);
        if frame.content.has_id() { whole.slice(MessageId::BYTES.min(whole.len())..) } else { whole }
    }

    /// Answers one ask with a failure; a tell is not answered.
    pub(crate) fn refuse(&self, frame: &Frame, failure: &Failure) {
        refuse(&*self.origin, frame.correlation, failure);
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let asks: Vec<u64> = self
            .items
            .drain(self.next..)
            .map(|frame| frame.correlation)
            .filter(|&correlation| correlation != 0)
            .collect();
        if !asks.is_empty() {
            let failure = crate::failure::not_running(&self.path, self.origin.here());
            for correlation in asks {
                refuse(&*self.origin, correlation, &failure);
            }
        }
    }
}

/// Answers an ask with a failure; correlation 0 is a tell, which nobody waits for.
pub(crate) fn refuse(origin: &dyn Origin, correlation: u64, failure: &Failure) {
    if correlation == 0 {
        return;
    }
    let header =
        ReplyHeader { correlation, outcome: Outcome::Failure, content: Content::Bincode, body: None };
    let written = origin.answer(header, &mut |buffer| {
        mesh_proto::encode_frame(failure, buffer);
        Ok(())
    });
    debug_assert!(written.is_ok(), "a failure has only plain fields");
}
