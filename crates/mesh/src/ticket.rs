//! Under which name a stream is found again.

use mesh_actor::AskError;
use mesh_proto::{ActorId, Boot, NodeId};
use std::{fmt, str::FromStr};

/// A stream, for a reader that comes back for it: as text, so that it can be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The id that the reader gave it.
    pub(crate) stream: u128,
    /// The actor that makes the items: another one of the same name has no such stream.
    pub(crate) actor: ActorId,
    pub(crate) kind: String,
    pub(crate) path: String,
}

/// A text that is no stream's ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no ticket of a stream")]
pub struct InvalidTicket;

const MARK: &str = "stream1";

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, actor: ActorId { node, boot, serial }, kind, path } = self;
        write!(f, "{MARK}:{stream:x}:{node}:{:x}:{serial:x}:{kind}:{path}", boot.0)
    }
}

impl FromStr for Ticket {
    type Err = InvalidTicket;

    fn from_str(text: &str) -> Result<Self, InvalidTicket> {
        let parts: Vec<&str> = text.splitn(7, ':').collect();
        let [MARK, stream, node, boot, serial, kind, path] = parts[..] else { return Err(InvalidTicket) };
        let bits = |text: &str| u128::from_str_radix(text, 16).map_err(|_| InvalidTicket);
        let number = |text: &str| u64::from_str_radix(text, 16).map_err(|_| InvalidTicket);
        let actor = ActorId { node: NodeId(bits(node)?), boot: Boot(number(boot)?), serial: number(serial)? };
        Ok(Self { stream: bits(stream)?, actor, kind: kind.to_owned(), path: path.to_owned() })
    }
}

impl From<InvalidTicket> for AskError {
    fn from(error: InvalidTicket) -> Self {
        Self::BadPath { reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_read_as_it_was_written_and_nothing_else_is_one() {
        let actor = ActorId { node: NodeId(7), boot: Boot(1 << 50), serial: 3 };
        let (kind, path) = ("lab.count_to.v1".to_owned(), "beta/ticks".to_owned());
        let ticket = Ticket { stream: u128::MAX, actor, kind, path };
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
        for wrong in ["", "stream1", "stream1:x:1:1:1:a:b", "stream2:1:1:1:1:a:b", "stream1:1:1:1:1:a"] {
            assert_eq!(wrong.parse::<Ticket>(), Err(InvalidTicket), "{wrong}");
        }
    }
}
