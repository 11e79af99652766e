use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the whole project.
///
/// # Panics
/// Never: this package has a folder around it.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member lies inside of its workspace")
}

/// The path of one of the binaries of `mesh-node`: from the folder `$BIN` where that is set (relative paths start at
/// [`workspace`]), and otherwise built from the sources as they are.
///
/// # Panics
/// If there is no such binary, or it does not build.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    find(FOLDER.get_or_init(|| folder(&["-p", "mesh-node", "--bins"])), name)
}

/// The path of one of the examples; as [`binary`].
///
/// # Panics
/// As [`binary`].
#[must_use]
pub fn example(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    find(&FOLDER.get_or_init(|| folder(&["-p", "mesh-examples", "--examples"])).join("examples"), name)
}

fn find(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    assert!(path.is_file(), "there is no {}: `make test` builds it", path.display());
    path
}

fn folder(what: &[&str]) -> PathBuf {
    if let Some(folder) = env::var_os("BIN") {
        return workspace().join(folder);
    }
    // A left-over binary of older sources would be tested without a word, so cargo decides what is fresh.
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let built = cargo.args(["build", "--quiet"]).args(what).current_dir(workspace()).status();
    assert!(built.is_ok_and(|status| status.success()), "{what:?} does not build");
    // The test itself is TARGET/debug/deps/it-HASH.
    let test = env::current_exe().expect("a running program has a path");
    test.ancestors().nth(2).expect("cargo runs tests from TARGET/PROFILE/deps").to_owned()
}
