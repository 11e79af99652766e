//! What callers of a node's own endpoints have to show, as it stands in a file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::chain;
use crate::state::replace;

/// A token that somebody wrote by hand may not be shorter. An empty one would let everybody in.
const TOKEN_BYTES_MIN: usize = 16;

/// The token in this file; a new one, where there is no file.
///
/// # Errors
/// What is wrong with the file, in words that repeat nothing of it.
pub(crate) fn read_or_make(path: &Path) -> Result<Zeroizing<String>, String> {
    let said = |error: String| format!("{}: {error}", path.display());
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let token = Zeroizing::new(text.trim().to_owned());
            if token.len() < TOKEN_BYTES_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(said(format!(
                    "a token of {TOKEN_BYTES_MIN} or more visible characters is wanted"
                )));
            }
            check_mode(path).map_err(said)?;
            Ok(token)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let half = || uuid::Uuid::new_v4().simple().to_string();
            let token = Zeroizing::new(half() + &half());
            replace(path, token.as_bytes(), 0o600).map_err(|error| said(chain(&error)))?;
            Ok(token)
        }
        Err(error) => Err(said(error.to_string())),
    }
}

/// Nobody else may be able to read it.
fn check_mode(path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!("others can read it (mode {mode:o}): chmod 600 it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_alone_and_a_careless_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcp-token");
        let made = read_or_make(&path).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(*read_or_make(&path).unwrap(), *made);
        replace(&path, b"0123456789abcdef0123\n", 0o644).unwrap();
        assert!(read_or_make(&path).unwrap_err().contains("chmod 600"));
        replace(&path, b"short", 0o600).unwrap();
        let error = read_or_make(&path).unwrap_err();
        assert!(error.contains("16 or more") && !error.contains("short"), "{error}");
    }
}
