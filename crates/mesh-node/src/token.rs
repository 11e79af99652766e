//! Join tokens, as they come from files, from the environment, and go to a terminal. Never from or into arguments, logs
//! or the journal.

use std::fs;
use std::path::Path;

use mesh_net::{InvalidToken, JoinToken};
use zeroize::Zeroizing;

/// The variable that is the token itself.
const VARIABLE: &str = "MESH_JOIN_TOKEN";
/// A file that is longer is no token's.
const FILE_BYTES_MAX: u64 = 4096;

/// A token that cannot be used, with the place where it was given.
#[derive(Debug)]
pub(crate) struct BadToken {
    pub(crate) place: String,
    pub(crate) reason: String,
}

/// The token that was given, if any: the file's, or the environment's.
pub(crate) fn given(
    file: Option<&Path>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<JoinToken>, BadToken> {
    if let Some(path) = file {
        return from_file(path).map(Some);
    }
    let text = environment(VARIABLE).filter(|text| !text.is_empty()).map(Zeroizing::new);
    text.map(|text| parsed(VARIABLE, &text)).transpose()
}

fn from_file(path: &Path) -> Result<JoinToken, BadToken> {
    let place = path.display().to_string();
    let unread = |error: std::io::Error| BadToken { place: place.clone(), reason: error.to_string() };
    if fs::metadata(path).map_err(unread)?.len() > FILE_BYTES_MAX {
        return Err(BadToken { place, reason: "the file is too long for a token".to_owned() });
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unread)?);
    parsed(&place, &text)
}

fn parsed(place: &str, text: &str) -> Result<JoinToken, BadToken> {
    text.parse()
        .map_err(|error: InvalidToken| BadToken { place: place.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_from_its_file_before_the_environment_and_errors_do_not_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "mesh1-notatokenbutasecret").unwrap();
        let bad = given(Some(&path), |_| Some("mesh1-x".to_owned())).unwrap_err();
        assert!(bad.place.ends_with("token") && !bad.reason.contains("secret"), "{bad:?}");
        let bad = given(None, |name| (name == VARIABLE).then(|| "mesh1-secret".to_owned())).unwrap_err();
        assert!(bad.place == VARIABLE && !bad.reason.contains("secret"), "{bad:?}");
        assert!(given(None, |_| None).unwrap().is_none());
    }
}
