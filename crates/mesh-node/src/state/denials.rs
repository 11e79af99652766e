//! Who is denied in the mesh, as the nodes of a state folder keep it.
//!
//! Two files: `denied` is for people, an entry a line, and `denials.json` says when each was said, and who was let in
//! again. What a person has changed in the first since is said now, so that a line that is added or taken away is an order
//! to the whole mesh; a file that is missing is none.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::SystemTime;

use mesh::{Denial, DenialBook, DenialStore, DenialStoreError};
use mesh_net::Denied;

use super::file::write_new;
use super::{StateError, StateFolder};
use crate::error::chain;

const NAME: &str = "denials.json";

/// The book of a state folder, for all of its nodes.
#[derive(Debug)]
pub(crate) struct FileDenials {
    state: StateFolder,
}

impl FileDenials {
    pub(crate) fn new(state: StateFolder) -> Self {
        Self { state }
    }

    fn path(&self) -> PathBuf {
        self.state.path().join(NAME)
    }

    fn read(&self) -> Result<DenialBook, StateError> {
        let path = self.path();
        let mut book = DenialBook::default();
        match fs::read_to_string(&path) {
            Ok(text) => {
                let rows: Vec<Denial> =
                    serde_json::from_str(&text).map_err(|error| StateError::broken(&path, &error))?;
                book.merge(rows);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StateError::io("read", &path)(error)),
        }
        Ok(book)
    }

    /// As [`DenialStore::merge`], for those who know what went wrong.
    pub(super) fn merge_files(&self, news: Vec<Denial>) -> Result<Vec<Denial>, StateError> {
        let _lock = self.state.lock()?;
        let (file, mut book) = (self.state.denied(), self.read()?);
        let before = book.clone();
        let listed = file.read()?;
        if file.path().exists() {
            say_changes(&mut book, &listed);
        }
        book.merge(news);
        let rows = book.rows();
        if book != before {
            // The book first: with the list alone, what was let in again would be an order to deny it.
            let text = serde_json::to_string_pretty(&rows)
                .map_err(|error| StateError::broken(&self.path(), &error))?;
            write_new(&self.path(), &text)?;
        }
        let mut denied: Vec<Denied> = book.denied().cloned().collect();
        let is_as_listed = denied.len() == listed.len() && denied.iter().all(|entry| listed.contains(entry));
        if !is_as_listed {
            // In the order in which a person has them.
            denied.sort_by_key(|entry| listed.iter().position(|known| known == entry).unwrap_or(usize::MAX));
            file.write(&denied)?;
        }
        Ok(rows)
    }
}

/// Says what a person has changed in the list since it was written.
fn say_changes(book: &mut DenialBook, listed: &[Denied]) {
    let now = SystemTime::now();
    let gone: Vec<Denied> = book.denied().filter(|entry| !listed.contains(entry)).cloned().collect();
    for (entry, is_denied) in
        listed.iter().map(|entry| (entry, true)).chain(gone.iter().map(|entry| (entry, false)))
    {
        if book.say(entry.clone(), is_denied, now) {
            tracing::warn!(target: "audit", who = %entry, is_denied, "an operator has changed the deny list");
        }
    }
}

impl DenialStore for FileDenials {
    fn merge(&self, news: Vec<Denial>) -> Result<Vec<Denial>, DenialStoreError> {
        self.merge_files(news).map_err(|error| DenialStoreError::new(chain(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, FileDenials) {
        let temporary = tempfile::tempdir().unwrap();
        let state = StateFolder::new(temporary.path());
        (temporary, FileDenials::new(state))
    }

    fn text(store: &FileDenials) -> String {
        fs::read_to_string(store.state.denied().path()).unwrap_or_default()
    }

    fn denied(rows: &[Denial]) -> Vec<&str> {
        rows.iter().filter(|row| row.is_denied).map(|row| row.entry.as_str()).collect()
    }

    #[test]
    fn what_a_person_writes_and_what_others_say_come_together_and_stay() {
        let (_temporary, store) = store();
        assert_eq!(store.merge(Vec::new()).unwrap(), []);
        assert!(!store.state.denied().path().exists(), "nothing is written where nobody is denied");
        fs::write(store.state.denied().path(), "# two of them\nclient/zoe\nclient/ann\n").unwrap();
        let said = Denial { entry: "node/beta".to_owned(), version: 7, is_denied: true };
        let rows = store.merge(vec![said]).unwrap();
        assert_eq!(denied(&rows), ["node/beta", "client/ann", "client/zoe"]);
        assert_eq!(text(&store), "client/zoe\nclient/ann\nnode/beta\n");
        assert_eq!(
            FileDenials::new(store.state.clone()).merge(Vec::new()).unwrap(),
            rows,
            "also after a restart"
        );

        fs::write(store.state.denied().path(), "client/ann\nnode/beta\n").unwrap();
        let rows = store.merge(Vec::new()).unwrap();
        assert_eq!(denied(&rows), ["node/beta", "client/ann"]);
        let zoe = rows.iter().find(|row| row.entry == "client/zoe").unwrap();
        assert!(!zoe.is_denied, "that she is let in again is said as well");
        let again = Denial { version: zoe.version + 1, is_denied: true, ..zoe.clone() };
        store.merge(vec![again]).unwrap();
        assert_eq!(text(&store), "client/ann\nnode/beta\nclient/zoe\n");
    }

    #[test]
    fn a_list_that_is_missing_or_broken_lets_nobody_in() {
        let (_temporary, store) = store();
        let said = Denial { entry: "node/beta".to_owned(), version: 7, is_denied: true };
        store.merge(vec![said]).unwrap();
        fs::remove_file(store.state.denied().path()).unwrap();
        assert_eq!(denied(&store.merge(Vec::new()).unwrap()), ["node/beta"]);
        assert_eq!(text(&store), "node/beta\n", "it is written again");
        fs::remove_file(store.state.denied().path()).unwrap();
        store.state.list_denied(&"client/eve".parse().unwrap(), true).unwrap();
        assert_eq!(denied(&store.merge(Vec::new()).unwrap()), ["node/beta", "client/eve"]);
        fs::write(store.state.denied().path(), "everybody\n").unwrap();
        let error = store.merge(Vec::new()).unwrap_err();
        assert!(error.reason.contains("everybody"), "{error}");
        fs::write(store.state.denied().path(), "").unwrap();
        assert_eq!(denied(&store.merge(Vec::new()).unwrap()), Vec::<&str>::new(), "an empty one is an order");
    }
}
