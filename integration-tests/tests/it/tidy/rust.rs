//! What must not be written in Rust, and where.

use super::assert_none;
use super::source::{Part, Source, lines_with, rust_files};

/// Where a rule holds.
enum Scope {
    Everywhere,
    Code,
    Libraries,
    Tests,
    /// Code of files whose path starts with this.
    Under(&'static str),
}

struct Rule {
    scope: Scope,
    patterns: &'static [&'static str],
    why: &'static str,
    /// Paths where it is the point of the file.
    except: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        scope: Scope::Everywhere,
        patterns: &["todo !", "unimplemented !", "# [ ignore", "dbg !"],
        why: "nothing unfinished or switched off",
        except: &[],
    },
    Rule {
        scope: Scope::Everywhere,
        patterns: &["# [ allow (", "# ! [ allow ("],
        why: "an excuse is `#[expect(…, reason)]`, which says when it is no longer needed",
        except: &[],
    },
    Rule {
        scope: Scope::Code,
        patterns: &[". unwrap ( )"],
        why: "`expect` says why it cannot happen",
        except: &[],
    },
    Rule {
        scope: Scope::Libraries,
        patterns: &["unbounded_channel", "mpsc :: unbounded", "UnboundedSender", "channel :: unbounded"],
        why: "every queue has a bound",
        except: &[],
    },
    Rule {
        scope: Scope::Libraries,
        patterns: &["std :: fs", "tokio :: fs", "File :: open", "env :: var", "env :: vars", "env :: var_os"],
        why: "a library takes values; files and the environment belong to mesh-node",
        except: &["crates/mesh-store/", "crates/mesh-agents/src/tools/"],
    },
    Rule {
        scope: Scope::Libraries,
        patterns: &["thread :: sleep", "println !", "eprintln !", "process :: exit"],
        why: "a library neither blocks, nor talks, nor ends the process",
        except: &[],
    },
    Rule {
        scope: Scope::Under("crates/mesh-proto/"),
        patterns: &[
            "Instant :: now",
            "SystemTime :: now",
            "now_v7",
            "new_v4",
            "thread_rng",
            "rand :: rng",
            "OsRng",
        ],
        why: "mesh-proto is given the time and its random numbers",
        except: &[],
    },
    Rule {
        scope: Scope::Everywhere,
        patterns: &["bincode"],
        why: "the format is mesh-proto's own affair",
        except: &["crates/mesh-proto/"],
    },
    Rule {
        scope: Scope::Under("crates/mesh-proto/"),
        patterns: &[
            "bincode :: config",
            "bincode :: serde",
            "decode_from_slice",
            "borrow_decode_from_slice",
            "decode_from_std_read",
            "decode_from_reader",
            "encode_to_vec",
            "encode_into_slice",
            "encode_into_std_write",
            "encode_into_writer",
        ],
        why: "codec.rs alone reads and writes, always with a limit and to the last byte",
        except: &["crates/mesh-proto/src/codec.rs", "crates/mesh-proto/src/codec/"],
    },
    Rule {
        scope: Scope::Tests,
        patterns: &["# [ should_panic ]"],
        why: "say which panic: `#[should_panic(expected = …)]`",
        except: &[],
    },
];

fn problems(source: &Source) -> Vec<String> {
    let (code, tests) = (source.tokens(Part::Code), source.tokens(Part::Tests));
    let applies = |rule: &&Rule| !rule.except.iter().any(|path| source.path.starts_with(path));
    let mut problems = Vec::new();
    for rule in RULES.iter().filter(applies) {
        let parts = match rule.scope {
            Scope::Everywhere => vec![&code, &tests],
            Scope::Code => vec![&code],
            Scope::Tests => vec![&tests],
            Scope::Libraries if source.is_library() => vec![&code],
            Scope::Under(folder) if source.path.starts_with(folder) => vec![&code],
            Scope::Libraries | Scope::Under(_) => vec![],
        };
        for (pattern, tokens) in
            rule.patterns.iter().flat_map(|&pattern| parts.iter().map(move |&part| (pattern, part)))
        {
            let found = lines_with(tokens, pattern);
            problems.extend(
                found.into_iter().map(|line| {
                    source.problem(line, &format!("`{}`: {}", pattern.replace(' ', ""), rule.why))
                }),
            );
        }
    }
    problems
}

#[test]
fn nothing_is_written_that_a_rule_forbids() {
    assert_none(&rust_files().iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn every_rule_notices_its_breach() {
    for (path, text) in [
        ("crates/mesh/src/a.rs", "fn a() { todo!() }"),
        ("crates/mesh/src/a.rs", "#[cfg(test)] mod tests { #[test] #[ignore] fn a() {} }"),
        ("crates/mesh/src/a.rs", "#[cfg(test)] mod tests { #[test] #[ignore = \"slow\"] fn a() {} }"),
        ("crates/mesh/src/a.rs", "#![allow(dead_code)]"),
        ("crates/mesh/src/a.rs", "#[allow(dead_code)] fn a() {}"),
        ("crates/mesh-node/src/main.rs", "fn main() { a().unwrap() }"),
        ("crates/mesh-net/src/a.rs", "use tokio::sync::mpsc::{UnboundedSender};"),
        ("crates/mesh-net/src/a.rs", "fn a() { let (a, b) = unbounded_channel(); }"),
        ("crates/mesh/src/a.rs", "fn a() { std::env::var(\"MESH\"); }"),
        ("crates/mesh-agents/src/a.rs", "use tokio::fs;"),
        ("crates/mesh-models/src/a.rs", "fn a() { println!(); }"),
        ("crates/mesh-proto/src/a.rs", "fn a() { Instant::now(); }"),
        ("crates/mesh-proto/src/frame.rs", "use bincode::config;"),
        ("crates/mesh-proto/src/frame.rs", "fn a() { bincode::decode_from_slice(b, c); }"),
        ("integration-tests/src/a.rs", "use bincode::config;"),
        ("crates/mesh/tests/a.rs", "#[test] #[should_panic] fn a() {}"),
    ] {
        assert_eq!(problems(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
}

#[test]
fn what_is_allowed_is_not_a_breach() {
    for (path, text) in [
        ("crates/mesh-proto/src/codec.rs", "use bincode::config;"),
        ("crates/mesh-proto/src/frame.rs", "use bincode::{Decode, Encode};"),
        ("crates/mesh-node/src/main.rs", "fn main() { std::env::var(\"MESH\"); }"),
        ("crates/mesh-store/src/file.rs", "use std::fs;"),
        ("crates/mesh/src/a.rs", "#[cfg(test)] mod tests { fn a() { b().unwrap() } }"),
        ("crates/mesh/src/a.rs", "/// `todo!()`, bincode\nfn a() { \"x.unwrap()\" }"),
        ("crates/mesh-net/src/a.rs", "fn a() { Instant::now(); }"),
    ] {
        assert_none(&problems(&Source::new(path, text)));
    }
}
