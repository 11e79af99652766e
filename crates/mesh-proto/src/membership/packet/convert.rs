//! foca's words in ours and back. Ours are what crosses the wire, so that a new foca cannot change a byte.

use super::{Claim, Header, Identity, Message, State};

impl From<&foca::Member<Identity>> for Claim {
    fn from(member: &foca::Member<Identity>) -> Self {
        let state = match member.state() {
            foca::State::Alive => State::Alive,
            foca::State::Suspect => State::Suspect,
            foca::State::Down => State::Down,
        };
        Self { id: member.id().clone(), incarnation: member.incarnation(), state }
    }
}

impl From<Claim> for foca::Member<Identity> {
    fn from(claim: Claim) -> Self {
        let state = match claim.state {
            State::Alive => foca::State::Alive,
            State::Suspect => foca::State::Suspect,
            State::Down => foca::State::Down,
        };
        Self::new(claim.id, claim.incarnation, state)
    }
}

impl From<&foca::Header<Identity>> for Header {
    fn from(header: &foca::Header<Identity>) -> Self {
        let message = match header.message.clone() {
            foca::Message::Ping(probe) => Message::Ping(probe),
            foca::Message::Ack(probe) => Message::Ack(probe),
            foca::Message::PingReq { target, probe_number: probe } => Message::PingReq { target, probe },
            foca::Message::IndirectPing { origin, probe_number: probe } => {
                Message::IndirectPing { origin, probe }
            }
            foca::Message::IndirectAck { target, probe_number: probe } => {
                Message::IndirectAck { target, probe }
            }
            foca::Message::ForwardedAck { origin, probe_number: probe } => {
                Message::ForwardedAck { origin, probe }
            }
            foca::Message::Announce => Message::Announce,
            foca::Message::Feed => Message::Feed,
            foca::Message::Gossip => Message::Gossip,
            foca::Message::Broadcast => Message::Broadcast,
            foca::Message::TurnUndead => Message::TurnUndead,
        };
        Self {
            src: header.src.clone(),
            src_incarnation: header.src_incarnation,
            dst: header.dst.clone(),
            message,
        }
    }
}

impl From<Header> for foca::Header<Identity> {
    fn from(header: Header) -> Self {
        let message = match header.message {
            Message::Ping(probe) => foca::Message::Ping(probe),
            Message::Ack(probe) => foca::Message::Ack(probe),
            Message::PingReq { target, probe: probe_number } => {
                foca::Message::PingReq { target, probe_number }
            }
            Message::IndirectPing { origin, probe: probe_number } => {
                foca::Message::IndirectPing { origin, probe_number }
            }
            Message::IndirectAck { target, probe: probe_number } => {
                foca::Message::IndirectAck { target, probe_number }
            }
            Message::ForwardedAck { origin, probe: probe_number } => {
                foca::Message::ForwardedAck { origin, probe_number }
            }
            Message::Announce => foca::Message::Announce,
            Message::Feed => foca::Message::Feed,
            Message::Gossip => foca::Message::Gossip,
            Message::Broadcast => foca::Message::Broadcast,
            Message::TurnUndead => foca::Message::TurnUndead,
        };
        Self { src: header.src, src_incarnation: header.src_incarnation, dst: header.dst, message }
    }
}
