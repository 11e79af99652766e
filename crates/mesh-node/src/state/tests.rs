use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use mesh_net::Role;
use tempfile::TempDir;

use super::*;

fn folder() -> (TempDir, StateFolder) {
    let temporary = tempfile::tempdir().unwrap();
    let state = StateFolder::new(&temporary.path().join("state"));
    (temporary, state)
}

fn ready(name: &str) -> Ready {
    let text = |text: &str| text.to_owned();
    Ready {
        name: text(name),
        id: text("1"),
        addr: text("127.0.0.1:1"),
        cluster: text("c"),
        pid: 1,
        http: None,
        mcp: None,
    }
}

#[test]
fn eight_processes_at_once_make_one_authority_and_one_client() {
    let (_temporary, state) = folder();
    let begin = Barrier::new(8);
    let roots: BTreeSet<String> = thread::scope(|scope| {
        let claim = |index: usize| {
            begin.wait();
            let node = state.claim_node(&format!("node-{index}"), "user").unwrap();
            let client = state.client().unwrap();
            assert_eq!(client.peer_id().role, Role::Client);
            assert_eq!(client.to_pem().ca, node.identity().to_pem().ca);
            node.identity().to_pem().ca
        };
        let claims: Vec<_> = (0..8).map(|index| scope.spawn(move || claim(index))).collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(roots.len(), 1);
    // No draft is left behind.
    let left =
        fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.collect::<BTreeSet<_>>(), ["ca", "client", "lock", "nodes"].map(str::to_owned).into());
}

#[test]
fn one_of_eight_gets_the_name() {
    let (_temporary, state) = folder();
    let begin = Barrier::new(8);
    let claims: Vec<_> = thread::scope(|scope| {
        let claim = || {
            begin.wait();
            state.claim_node("alpha", "user")
        };
        let claims: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1);
    let refused = claims.iter().filter(|claim| matches!(claim, Err(StateError::NameTaken { .. })));
    assert_eq!(refused.count(), 7);
}

#[test]
fn a_node_keeps_its_key_and_its_name_is_free_again_when_it_is_gone() {
    let (_temporary, state) = folder();
    let first = state.claim_node("alpha", "user").unwrap();
    let before = first.identity().to_pem();
    drop(first);
    let again = state.claim_node("alpha", "user").unwrap();
    assert_eq!(again.identity().to_pem(), before);
    assert_eq!(again.identity().peer_id().name, "alpha");
}

#[test]
fn a_generated_name_is_for_once() {
    let (_temporary, state) = folder();
    let one = state.claim_new_node("user").unwrap();
    let two = state.claim_new_node("user").unwrap();
    let name = one.identity().peer_id().name.clone();
    assert_ne!(two.identity().peer_id().name, name);
    let its_folder = state.path().join("nodes").join(name);
    assert!(its_folder.exists());
    drop(one);
    assert!(!its_folder.exists());
}

#[test]
fn a_key_without_its_certificate_is_replaced() {
    let (_temporary, state) = folder();
    let before = state.claim_node("alpha", "user").unwrap().identity().peer_id().id;
    fs::remove_file(state.path().join("nodes/alpha/cert.pem")).unwrap();
    let after = state.claim_node("alpha", "user").unwrap();
    assert_ne!(after.identity().peer_id().id, before);
}

#[cfg(unix)]
#[test]
fn keys_and_folders_are_their_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_temporary, state) = folder();
    let _node = state.claim_node("alpha", "user").unwrap();
    let mode = |path: &str| fs::metadata(state.path().join(path)).unwrap().permissions().mode() & 0o777;
    for path in ["", "ca", "client", "nodes", "nodes/alpha"] {
        assert_eq!(mode(path), 0o700, "{path}");
    }
    for path in ["ca/ca.key", "client/key.pem", "nodes/alpha/key.pem"] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_temporary, state) = folder();
    drop(state.claim_node("alpha", "user").unwrap());
    let key = state.path().join("ca/ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = state.claim_node("alpha", "user").unwrap_err();
    assert!(matches!(&error, StateError::Exposed { path, mode: 0o644 } if *path == key), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn what_cannot_be_read_is_named_and_left_alone() {
    for (path, content) in [
        ("ca/ca.pem", &b"hello"[..]),
        ("ca/ca.pem", b"\xff\xfe"),
        ("ca/ca.key", b""),
        ("nodes/alpha/cert.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("nodes/alpha/key.pem", b"hello"),
    ] {
        let (_temporary, state) = folder();
        drop(state.claim_node("alpha", "user").unwrap());
        let file = state.path().join(path);
        fs::write(&file, content).unwrap();
        let error = state.claim_node("alpha", "user").unwrap_err();
        assert!(
            matches!(&error, StateError::Broken { path, .. } if file.starts_with(path)),
            "{path}: {error}"
        );
        assert_eq!(fs::read(&file).unwrap(), content, "{path}");
    }
}

#[test]
fn a_folder_without_the_authority_s_key_makes_no_node_and_asks_for_a_token() {
    let (_temporary, state) = folder();
    drop(state.claim_node("alpha", "user").unwrap());
    fs::remove_file(state.path().join("ca/ca.key")).unwrap();
    let error = state.claim_node("beta", "user").unwrap_err();
    assert!(matches!(error, StateError::NoCertificate { .. }), "{error}");
    assert!(error.to_string().contains("join token"), "{error}");
    drop(state.claim_node("alpha", "user").expect("who has a certificate goes on"));
}

#[test]
fn a_client_that_an_earlier_version_made_gets_its_grants_and_keeps_its_key() {
    let (_temporary, state) = folder();
    drop(state.claim_node("alpha", "user").unwrap());
    let Some(Signer::Own(authority)) = state.signer().unwrap() else { panic!("it was just made") };
    // As before there were grants: a certificate without the extension grants nothing either.
    let old = authority.issue_client("user", &GrantSet::default()).unwrap();
    for (name, text) in [("cert.pem", old.to_pem().cert), ("key.pem", old.to_pem().key)] {
        fs::write(state.path().join("client").join(name), text).unwrap();
    }
    drop(state.claim_node("alpha", "user").unwrap());
    let client = state.client().unwrap();
    assert_eq!(client.peer_id(), old.peer_id());
    assert_eq!(client.credential().grants, GrantSet::all());
}

#[test]
fn a_certificate_is_due_when_a_third_of_its_time_is_left() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let identity = |node| {
        let authority = mesh_net::Authority::create("farm").unwrap();
        authority.with_lives(Lives { node, ..Lives::default() }).issue_node("alpha").unwrap()
    };
    assert!(!is_due(identity(hours(24)).credential()));
    assert!(is_due(identity(Duration::ZERO).credential()));
}

#[test]
fn a_node_of_another_mesh_is_told_so() {
    let ((_one, here), (_two, there)) = (folder(), folder());
    drop(here.claim_node("alpha", "user").unwrap());
    drop(there.claim_node("alpha", "user").unwrap());
    for file in ["cert.pem", "key.pem"] {
        fs::copy(there.path().join("nodes/alpha").join(file), here.path().join("nodes/alpha").join(file))
            .unwrap();
    }
    let error = here.claim_node("alpha", "user").unwrap_err();
    assert!(matches!(error, StateError::OtherAuthority { .. }), "{error}");
}

#[test]
fn a_file_where_the_folder_should_be_is_an_error_with_its_path() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("state");
    fs::write(&path, "").unwrap();
    let error = StateFolder::new(&path).claim_node("alpha", "user").unwrap_err();
    assert!(matches!(&error, StateError::Io { path: named, .. } if named.starts_with(&path)), "{error}");
}

#[test]
fn a_folder_that_no_node_used_has_no_client() {
    let (_temporary, state) = folder();
    assert!(matches!(state.client(), Err(StateError::NoClient { .. })));
    assert!(!state.path().exists(), "looking makes nothing");
}

#[test]
fn running_nodes_are_those_that_hold_their_lock() {
    let (_temporary, state) = folder();
    assert!(state.running().is_empty());
    let alpha = state.claim_node("alpha", "user").unwrap();
    let beta = state.claim_node("beta", "user").unwrap();
    alpha.announce(&ready("alpha")).unwrap();
    beta.announce(&ready("beta")).unwrap();
    assert_eq!(state.running(), [ready("alpha"), ready("beta")]);
    drop(alpha);
    assert_eq!(state.running(), [ready("beta")]);
}

#[test]
fn a_ready_file_is_seen_whole_or_not_at_all() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("alpha.json");
    let written = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !written.load(std::sync::atomic::Ordering::Relaxed) || seen == 0 {
                if path.exists() {
                    assert_eq!(Ready::read(&path).unwrap(), ready("alpha"));
                    seen += 1;
                }
            }
            seen
        });
        for _ in 0..50 {
            ready("alpha").write(&path).unwrap();
        }
        written.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let text = fs::read_to_string(&path).unwrap();
    insta::assert_snapshot!(text.trim(), @r#"{"name":"alpha","id":"1","addr":"127.0.0.1:1","cluster":"c","pid":1,"http":null}"#);
}

#[test]
fn a_ready_file_of_an_earlier_run_is_forgotten() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("alpha.json");
    Ready::forget(&path).unwrap();
    ready("alpha").write(&path).unwrap();
    Ready::forget(&path).unwrap();
    assert!(!path.exists());
    assert!(Ready::forget(temporary.path()).is_err(), "a folder is no ready file");
}

#[test]
fn a_ready_file_in_a_missing_folder_is_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let error = ready("alpha").write(&temporary.path().join("missing/alpha.json")).unwrap_err();
    assert!(matches!(error, StateError::Io { .. }), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_called_what_its_user_calls_it() {
    let (temporary, _) = folder();
    let path = temporary.path().join("missing").join("alpha.json");
    let error = crate::error::chain(&ready("alpha").write(&path).unwrap_err());
    assert!(error.starts_with(&format!("cannot write {}: ", path.display())), "{error}");
}

#[test]
fn an_identity_in_no_folder_says_what_would_be_one() {
    let (temporary, _) = folder();
    let missing = temporary.path().join("nobody");
    let error = client_identity(&missing).unwrap_err();
    assert!(matches!(&error, StateError::NoIdentity { folder } if *folder == missing), "{error}");
    assert!(error.to_string().contains("cert.pem"), "{error}");
}
