//! Ids that the store makes: UUIDs of version 7, in the order in which they were made; and those that follow from a key.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::StoreError;
use crate::sum::Digest;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one for the time given, in milliseconds since 1970. It is behind `last`, whatever the clock says.
            pub(crate) fn after(last: Option<Self>, at_ms: i64) -> Self {
                Self(ordered(last.map(|last| last.0), at_ms))
            }

            pub(crate) fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| StoreError::corrupt($what, "its id is no UUID"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { text: text.chars().take(80).collect() })
            }
        }
    )*};
}

ids! {
    /// Which checkpoint. Those of a run are ordered as they were saved, also within a millisecond and when the clock
    /// went back.
    CheckpointId, "checkpoint";
    /// Which request for an approval.
    ApprovalId, "approval";
}

impl ApprovalId {
    /// The id of what `asker` asks for under `key`: for the same two always the same one, so that who asks again, also
    /// after a restart, finds the request that is there. Its digits are a hash's: of few requests the first four tell
    /// them apart.
    ///
    /// ```
    /// use mesh_store::ApprovalId;
    /// assert_eq!(ApprovalId::of("run-1", "step/3"), ApprovalId::of("run-1", "step/3"));
    /// assert_ne!(ApprovalId::of("run-1", "step/3"), ApprovalId::of("run-1s", "tep/3"));
    /// ```
    #[must_use]
    pub fn of(asker: &str, key: &str) -> Self {
        let sum = Digest::new("approval id").text(asker).text(key).finish();
        let bytes = sum.as_bytes()[..16].try_into().expect("a sum has 32 bytes");
        // RFC 9562 §5.8: bytes of one's own.
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// Some text that is no id; the writer's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no id")]
pub struct InvalidId {
    /// What was given, at most 80 characters of it.
    pub text: String,
}

/// RFC 9562 §5.7: 48 bits of time, then random bits. One that would not be behind the last takes the next millisecond.
fn ordered(last: Option<Uuid>, at_ms: i64) -> Uuid {
    let at = |ms: u64| {
        let random = Uuid::new_v4();
        let tail = random.as_bytes()[6..].try_into().expect("a UUID has 16 bytes");
        uuid::Builder::from_unix_timestamp_millis(ms, &tail).into_uuid()
    };
    let time = |id: Uuid| u64::try_from(id.as_u128() >> 80).expect("48 bits fit");
    let fresh = at(u64::try_from(at_ms).unwrap_or(0));
    match last {
        Some(last) if fresh <= last => at(time(last) + 1),
        _ => fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_millisecond_and_of_a_clock_that_went_back_are_ordered() {
        let mut ids = Vec::new();
        for at_ms in [5, 5, 5, 3, -1, 5, 6, 1_800_000_000_000, 7] {
            ids.push(CheckpointId::after(ids.last().copied(), at_ms));
        }
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }

    #[test]
    fn an_id_survives_being_written_and_is_of_version_7() {
        let id = ApprovalId::after(None, 1_800_000_000_000);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(ApprovalId::from_bytes(id.as_bytes()), Ok(id));
        assert_eq!(Uuid::from_slice(id.as_bytes()).unwrap().get_version_num(), 7);
        assert!("..".parse::<ApprovalId>().is_err());
    }
}
