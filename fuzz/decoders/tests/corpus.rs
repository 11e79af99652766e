//! All that is kept in `fuzz/corpus`, and each of it cut short and with single bits turned.

use std::fs;
use std::path::{Path, PathBuf};

use decoders::TARGETS;

fn fuzz() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it lies in `fuzz`")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let stem = |path: PathBuf| path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| stem(entry.expect("the tree can be read").path())).collect();
    names.sort();
    names
}

#[test]
fn every_decoder_keeps_its_promise_on_what_was_found_before() {
    for (name, target) in TARGETS {
        let folder = fuzz().join("corpus").join(name);
        let samples = names(&folder);
        assert!(!samples.is_empty(), "{} is empty", folder.display());
        for sample in samples {
            let mut bytes = fs::read(folder.join(sample)).expect("the tree can be read");
            target(&bytes);
            for bit in 0..8 * bytes.len() {
                bytes[bit / 8] ^= 1 << (bit % 8);
                target(&bytes);
                bytes[bit / 8] ^= 1 << (bit % 8);
                target(&bytes[..bit / 8]);
            }
        }
    }
}

#[test]
fn every_target_has_a_binary_and_samples() {
    let wanted: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("targets")), wanted);
    assert_eq!(names(&fuzz().join("corpus")), wanted);
}
