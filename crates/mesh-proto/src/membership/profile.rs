//! What a member says of itself: its name, its labels, its load.

use crate::{Boot, NodeId, path::check_node};
use bincode::{Decode, Encode};

/// Most labels of one node.
pub const LABELS_MAX: usize = 16;

/// Most bytes of all keys and values of one node's labels together: 1 KiB.
pub const LABEL_BYTES_MAX: usize = 1024;

/// How busy a node is, for placement. It may be seconds old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Load {
    /// Actors that it runs.
    pub actors: u64,
    /// Messages in their mailboxes.
    pub queued: u64,
}

/// What a node says of itself. Only that node writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Profile {
    /// Its name in the cluster: a DNS label of 1 to 63 bytes. Others only pass it on; where a name must be sure, it is
    /// read from the certificate.
    pub name: String,
    /// What its operator says of it. At most [`LABELS_MAX`], of [`LABEL_BYTES_MAX`] together.
    pub labels: Vec<(String, String)>,
    /// How busy it is.
    pub load: Load,
}

/// Why a profile is not taken. Whoever wrote it is at fault; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The name is none for a node.
    #[error("{name:?} names no node: {reason}")]
    Name {
        /// At most its first 80 characters.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// There are too many labels, or they are too long.
    #[error("{labels} labels of {bytes} bytes are more than {LABELS_MAX} of {LABEL_BYTES_MAX}")]
    Labels {
        /// How many.
        labels: usize,
        /// Bytes of all keys and values.
        bytes: usize,
    },
}

impl Profile {
    /// Whether others will take this profile.
    ///
    /// # Errors
    /// [`ProfileError`], by the rule that it breaks.
    pub fn check(&self) -> Result<(), ProfileError> {
        check_node(&self.name)
            .map_err(|reason| ProfileError::Name { name: self.name.chars().take(80).collect(), reason })?;
        let bytes = self.label_bytes();
        if self.labels.len() > LABELS_MAX || bytes > LABEL_BYTES_MAX {
            return Err(ProfileError::Labels { labels: self.labels.len(), bytes });
        }
        Ok(())
    }

    pub(crate) fn label_bytes(&self) -> usize {
        self.labels.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// A profile on its way: the newest version of a run wins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Row {
    pub(crate) node: NodeId,
    pub(crate) boot: Boot,
    /// Counts the changes within the run, from 1.
    pub(crate) version: u64,
    pub(crate) profile: Profile,
}
