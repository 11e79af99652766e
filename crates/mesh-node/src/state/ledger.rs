//! Join tokens on disk: a file for each, which is moved when the token is used.
//!
//! ```text
//! tokens/ID.json         may be used: what the certificate will say, and the key that proofs are checked with
//! tokens/used/ID.json    was used; the move is what decides, so of any number of processes one succeeds
//! issued/ROLE.NAME       which names have a certificate, by which token
//! ```
//!
//! The move and the folders are synced before a certificate is signed. Whoever is killed in between has used the token
//! up, and no certificate exists.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mesh_net::{Authority, JoinToken, LedgerError, Role, TokenId, TokenKey, TokenLedger, TokenOffer};
use mesh_proto::GrantSet;
use serde::{Deserialize, Serialize};

use super::StateError;
use super::file::{make_folder, read_key, replace, sync_folder, write_new};

/// How long an expired token is remembered, so that whoever comes with it hears why.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The tokens of a state folder.
#[derive(Debug, Clone)]
pub(crate) struct FileLedger {
    root: PathBuf,
}

/// A token's file.
#[derive(Serialize, Deserialize)]
struct Row {
    key: String,
    role: String,
    name: Option<String>,
    grants: String,
    expires_s: u64,
}

/// What is to be made of a token.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) role: Role,
    pub(crate) ttl: Duration,
    pub(crate) name: Option<String>,
    pub(crate) grants: GrantSet,
}

impl FileLedger {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Makes a token that counts from now on.
    pub(crate) fn create(&self, authority: &Authority, wanted: &Wanted) -> Result<JoinToken, StateError> {
        make_folder(&self.root.join("tokens/used"))?;
        make_folder(&self.root.join("issued"))?;
        self.forget_old();
        let token = JoinToken::create(authority, wanted.role, wanted.ttl).map_err(StateError::issue)?;
        let row = Row {
            key: token.key().to_hex().to_string(),
            role: wanted.role.as_str().to_owned(),
            name: wanted.name.clone(),
            grants: wanted.grants.to_string(),
            expires_s: seconds(token.expires()),
        };
        let text = serde_json::to_string(&row).expect("texts and numbers are JSON");
        write_new(&self.pending(token.id()), &text)?;
        tracing::info!(target: "audit", token = %token.id(), role = row.role, name = row.name, grants = row.grants, "token is made");
        Ok(token)
    }

    /// Who has a certificate by a token, as `node/beta`.
    pub(crate) fn issued(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.join("issued")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut issued: Vec<_> = names.map(|name| name.replacen('.', "/", 1)).collect();
        issued.sort();
        issued
    }

    fn pending(&self, token: TokenId) -> PathBuf {
        self.root.join("tokens").join(format!("{token}.json"))
    }

    fn used(&self, token: TokenId) -> PathBuf {
        self.root.join("tokens/used").join(format!("{token}.json"))
    }

    fn name_of(&self, role: Role, name: &str) -> PathBuf {
        self.root.join("issued").join(format!("{}.{name}", role.as_str()))
    }

    /// Takes a name that the joiner chose, unless somebody has it; gives the file to remove if nothing comes of it.
    fn take_name(&self, token: TokenId, role: Role, name: &str) -> Result<PathBuf, LedgerError> {
        let path = self.name_of(role, name);
        let taken = || LedgerError::NameTaken { name: format!("{} {name}", role.as_str()) };
        if role == Role::Node && self.root.join("nodes").join(name).exists() {
            return Err(taken());
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(mut file) => {
                writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(storage)?;
                Ok(path)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(taken()),
            Err(error) => Err(storage(error)),
        }
    }

    fn forget_old(&self) {
        let Some(limit) = SystemTime::now().checked_sub(REMEMBERED) else { return };
        for folder in [self.root.join("tokens"), self.root.join("tokens/used")] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let is_old = read_row(&entry.path()).is_ok_and(|row| row.expires_s < seconds(limit));
                if is_old && let Err(error) = fs::remove_file(entry.path()) {
                    tracing::warn!(path = %entry.path().display(), %error, "an old token cannot be forgotten");
                }
            }
        }
    }
}

impl TokenLedger for FileLedger {
    fn find(&self, token: TokenId) -> Result<TokenOffer, LedgerError> {
        let path = self.pending(token);
        if !path.exists() {
            return Err(if self.used(token).exists() { LedgerError::Used } else { LedgerError::Unknown });
        }
        let row = read_row(&path).map_err(|reason| LedgerError::Storage { reason })?;
        let wrong = |what: &str| LedgerError::Storage { reason: format!("a token's {what} is unreadable") };
        Ok(TokenOffer {
            key: TokenKey::from_hex(&row.key).ok_or_else(|| wrong("key"))?,
            role: if row.role == Role::Node.as_str() { Role::Node } else { Role::Client },
            name: row.name,
            grants: GrantSet::from_certificate(&row.grants),
            expires: SystemTime::UNIX_EPOCH + Duration::from_secs(row.expires_s),
        })
    }

    fn burn(&self, token: TokenId, offer: &TokenOffer, name: &str) -> Result<(), LedgerError> {
        // A token that was made for a name may replace what has it: a machine that lost its disk.
        let reserved = match offer.name {
            Some(_) => None,
            None => Some(self.take_name(token, offer.role, name)?),
        };
        // Of any number of processes one finds the file there.
        match fs::rename(self.pending(token), self.used(token)) {
            Ok(()) => {}
            Err(error) => {
                if let Some(reserved) = reserved {
                    // A name that stays taken is freed by a token that is made for it.
                    let _ = fs::remove_file(reserved);
                }
                return Err(match error.kind() {
                    ErrorKind::NotFound => LedgerError::Used,
                    _ => storage(error),
                });
            }
        }
        if offer.name.is_some() {
            // Nobody else shall choose it later.
            let path = self.name_of(offer.role, name);
            replace(&path, format!("{token}\n").as_bytes(), 0o600)
                .map_err(|error| LedgerError::Storage { reason: crate::error::chain(&error) })?;
        }
        for path in [self.used(token), self.pending(token), self.root.join("issued").join(name)] {
            sync_folder(&path)
                .map_err(|error| LedgerError::Storage { reason: crate::error::chain(&error) })?;
        }
        Ok(())
    }
}

fn read_row(path: &Path) -> Result<Row, String> {
    let text = read_key(path).map_err(|error| crate::error::chain(&error))?;
    serde_json::from_str(&text).map_err(|_| "a token's file is damaged".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn storage(error: std::io::Error) -> LedgerError {
    LedgerError::Storage { reason: error.to_string() }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: Option<&str>, ttl: u64) -> Wanted {
        let name = name.map(str::to_owned);
        Wanted { role: Role::Node, ttl: Duration::from_secs(ttl), name, grants: GrantSet::default() }
    }

    fn ledger() -> (tempfile::TempDir, FileLedger, Authority) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = FileLedger::new(folder.path());
        (folder, ledger, Authority::create("farm").unwrap())
    }

    #[test]
    fn row_4_of_many_threads_one_burns_a_token_and_a_new_process_knows_it() {
        let (folder, ledger, authority) = ledger();
        let token = ledger.create(&authority, &wanted(None, 60)).unwrap();
        let (id, offer) = (token.id(), ledger.find(token.id()).unwrap());
        let burned: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|racer| {
                    let (ledger, offer) = (&ledger, &offer);
                    scope.spawn(move || ledger.burn(id, offer, &format!("n-{racer}")).is_ok())
                })
                .collect();
            racers.into_iter().map(|racer| usize::from(racer.join().unwrap())).sum()
        });
        assert_eq!(burned, 1);
        let again = FileLedger::new(folder.path());
        assert_eq!(again.find(id).unwrap_err(), LedgerError::Used);
        assert_eq!(again.burn(id, &offer, "other"), Err(LedgerError::Used));
        assert_eq!(
            fs::read_dir(folder.path().join("issued")).unwrap().count(),
            1,
            "the losers' names are free"
        );
    }

    #[test]
    fn a_name_is_chosen_once_and_given_again_only_on_purpose() {
        let (folder, ledger, authority) = ledger();
        let burn = |wanted: &Wanted, name: &str| {
            let id = ledger.create(&authority, wanted).unwrap().id();
            let offer = ledger.find(id).unwrap();
            ledger.burn(id, &offer, name).map_err(|error| (ledger.find(id).is_ok(), error))
        };
        burn(&wanted(None, 60), "beta").unwrap();
        let (is_left, error) = burn(&wanted(None, 60), "beta").unwrap_err();
        assert!(is_left && matches!(error, LedgerError::NameTaken { .. }), "{error}");
        burn(&wanted(Some("beta"), 60), "beta").unwrap();
        burn(&wanted(Some("gamma"), 60), "gamma").unwrap();
        assert!(burn(&wanted(None, 60), "gamma").is_err(), "it was given on purpose before");
        // A node that shares the folder has its name without a token.
        fs::create_dir_all(folder.path().join("nodes/alpha")).unwrap();
        assert!(burn(&wanted(None, 60), "alpha").is_err());
    }

    #[test]
    fn the_secret_is_not_on_disk() {
        let (folder, ledger, authority) = ledger();
        let token = ledger.create(&authority, &wanted(None, 60)).unwrap();
        let kept = fs::read_to_string(folder.path().join(format!("tokens/{}.json", token.id()))).unwrap();
        assert!(!kept.contains(&token.to_text()[40..70]), "{kept}");
    }
}
