//! Who is denied in the whole mesh: values that any two nodes merge to the same.

use mesh_net::Denied;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::SystemTime};

/// Most identities of which anything is said: 4,096. What is said of more is not taken in.
pub const DENIALS_MAX: usize = 4096;

/// No honest clock says so much for a long while; what claims more could never be taken back.
const VERSION_MAX: u64 = 1 << 60;

/// What was said last of one identity: that it is denied, or that it is so no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denial {
    /// Who: the text of a [`Denied`], as `client/NAME`.
    pub entry: String,
    /// The later one counts. Milliseconds since 1970 where it was said, or one more than what had been said before.
    pub version: u64,
    /// Whether it is denied. One who is let in again stays in the book, so that the word of it goes on.
    pub is_denied: bool,
}

/// All that was said, by identity. Merging takes the later word of each, so that it does not matter who tells whom, or how
/// often; of two at the same time, the no.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenialBook {
    said: BTreeMap<Denied, (u64, bool)>,
}

impl DenialBook {
    /// Takes in what others said; answers whether any of it was news. What is no entry is passed over.
    pub fn merge(&mut self, news: impl IntoIterator<Item = Denial>) -> bool {
        let mut is_news = false;
        for Denial { entry, version, is_denied } in news {
            let Ok(entry) = entry.parse::<Denied>() else { continue };
            is_news |= version <= VERSION_MAX && self.take(entry, (version, is_denied));
        }
        is_news
    }

    /// Says something of an identity now, later than all that was said of it; answers whether that changed anything.
    pub fn say(&mut self, entry: Denied, is_denied: bool, now: SystemTime) -> bool {
        let known = self.said.get(&entry).copied();
        if known.is_some_and(|(_, known)| known == is_denied) || (known.is_none() && !is_denied) {
            return false;
        }
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let version = known.map_or(now, |(version, _)| now.max(version + 1)).min(VERSION_MAX);
        self.take(entry, (version, is_denied))
    }

    fn take(&mut self, entry: Denied, said: (u64, bool)) -> bool {
        let has_room = self.said.len() < DENIALS_MAX;
        match self.said.get_mut(&entry) {
            Some(known) if *known < said => *known = said,
            Some(_) => return false,
            None if has_room => drop(self.said.insert(entry, said)),
            None => {
                tracing::error!(%entry, "the deny list is full, and one more is not taken in");
                return false;
            }
        }
        true
    }

    /// Who is denied.
    pub fn denied(&self) -> impl Iterator<Item = &Denied> {
        self.said.iter().filter(|(_, (_, is_denied))| *is_denied).map(|(entry, _)| entry)
    }

    /// All that was said.
    #[must_use]
    pub fn rows(&self) -> Vec<Denial> {
        let row = |(entry, (version, is_denied)): (&Denied, &(u64, bool))| Denial {
            entry: entry.to_string(),
            version: *version,
            is_denied: *is_denied,
        };
        self.said.iter().map(row).collect()
    }
}

/// Where a node keeps who is denied in the mesh, over its restarts. `mesh-node` has it in its state folder.
pub trait DenialStore: fmt::Debug + Send + Sync + 'static {
    /// Takes in what is news, durably, and answers all that is kept then. Without news it answers what is kept, with what an
    /// operator has changed by hand. It may wait for a disk: it is called where that holds up nobody.
    ///
    /// # Errors
    /// [`DenialStoreError`]; what was kept before still is.
    fn merge(&self, news: Vec<Denial>) -> Result<Vec<Denial>, DenialStoreError>;
}

/// Who is denied could not be kept, or not be read. The operator's: a disk, or a list that was written by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the deny list can't be kept: {reason}")]
#[non_exhaustive]
pub struct DenialStoreError {
    /// What went wrong.
    pub reason: String,
}

impl DenialStoreError {
    /// For this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Keeps it for as long as the process lives.
#[derive(Debug, Default)]
pub(super) struct InMemory(parking_lot::Mutex<DenialBook>);

impl DenialStore for InMemory {
    fn merge(&self, news: Vec<Denial>) -> Result<Vec<Denial>, DenialStoreError> {
        let mut book = self.0.lock();
        book.merge(news);
        Ok(book.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn row(name: u8, version: u64, is_denied: bool) -> Denial {
        Denial { entry: format!("client/c{name}"), version, is_denied }
    }

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn denied(book: &DenialBook) -> Vec<String> {
        book.denied().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_word_counts_also_by_a_clock_that_is_behind() {
        let mut book = DenialBook::default();
        let beta: Denied = "node/beta".parse().unwrap();
        assert!(!book.say(beta.clone(), false, at(5)), "nobody had denied it");
        assert!(book.say(beta.clone(), true, at(1000)));
        assert!(!book.say(beta.clone(), true, at(2000)), "it is already");
        let before = book.clone();
        assert!(book.say(beta, false, at(10)), "an hour behind, and later all the same");
        assert_eq!(denied(&book), Vec::<String>::new());
        assert!(!book.merge(before.rows()), "an old word is no news");
        let mut other = before;
        assert!(other.merge(book.rows()));
        assert_eq!(other, book);
    }

    #[test]
    fn a_book_takes_no_more_than_it_holds_and_nothing_that_could_not_be_taken_back() {
        let mut book = DenialBook::default();
        assert!(!book.merge([row(1, u64::MAX, true)]));
        assert!(!book.merge([Denial { entry: "everybody".to_owned(), version: 1, is_denied: true }]));
        let many = (0..DENIALS_MAX as u64 + 10).map(|number| Denial {
            entry: format!("serial:{number:x}"),
            version: 1,
            is_denied: true,
        });
        book.merge(many);
        assert_eq!(book.rows().len(), DENIALS_MAX);
        assert!(book.say("serial:0".parse().unwrap(), false, at(9)), "who is in it can be let in again");
    }

    proptest! {
        #[test]
        fn whoever_tells_whom_all_come_to_the_same(
            rows in prop::collection::vec((0u8..4, 0u64..6, any::<bool>()), 0..30),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let rows: Vec<Denial> = rows.into_iter().map(|(name, version, is)| row(name, version, is)).collect();
            let mut all = DenialBook::default();
            all.merge(rows.clone());
            let mut other = DenialBook::default();
            for index in order {
                if !rows.is_empty() {
                    other.merge([index.get(&rows).clone()]);
                }
            }
            other.merge(rows.into_iter().rev());
            prop_assert_eq!(all, other);
        }
    }
}
