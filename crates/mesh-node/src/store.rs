//! The store that a URL names.

use std::path::{Path, PathBuf};

use mesh_store::{PostgresOptions, SqliteOptions, Store, StoreError};

/// The file in the node's part of the state folder that is the store where none is named.
pub(crate) const FILE: &str = "store.db";

/// What a URL names.
enum Place {
    File(PathBuf),
    Server(String),
}

fn place(url: &str) -> Result<Place, String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Server(url.to_owned()));
    }
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() => Ok(Place::File(PathBuf::from(path))),
        // It may have a password in it.
        _ => Err("it is neither sqlite:PATH nor postgres://USER@HOST/DATABASE".to_owned()),
    }
}

/// Whether a URL names a store.
pub(crate) fn check(url: &str) -> Result<(), String> {
    place(url).map(drop)
}

/// Opens the store that the URL names, or the file in `folder`.
pub(crate) async fn open(url: Option<&str>, folder: &Path) -> Result<Store, StoreError> {
    let place = match url.map(place) {
        None => Place::File(folder.join(FILE)),
        Some(Ok(place)) => place,
        Some(Err(reason)) => return Err(StoreError::Unusable { reason }),
    };
    match place {
        Place::File(path) => Store::open_sqlite(path, SqliteOptions::default()).await,
        Place::Server(url) => Store::open_postgres(&url, PostgresOptions::default()).await,
    }
}
