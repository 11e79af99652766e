use super::*;
use proptest::prelude::*;

#[test]
fn hostile_paths_are_refused_each_with_its_rule() {
    for path in
        ["", "/", "a/", "/a", "a/../b", "a/.", "A/b", "-a/b", "a-/b", "a/b c", "a/b\0", "a/ü", "a/b//c"]
    {
        assert!(path.parse::<ActorPath>().is_err(), "{path:?} was taken");
    }
    assert!(format!("a/{}", "x".repeat(4096)).parse::<ActorPath>().is_err());
    assert!("a/1/2/3/4/5/6/7/8".parse::<ActorPath>().is_ok());
    assert!("a/1/2/3/4/5/6/7/8/9".parse::<ActorPath>().is_err());
}

#[test]
fn an_error_names_the_path_and_the_rule() {
    let error = "alpha/../etc".parse::<ActorPath>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"alpha/../etc\" is not an actor's path (`node/name`): a segment of a name is never empty, `.` or `..`"
    );
}

#[test]
fn kinds_have_an_area_a_name_and_a_version() {
    for kind in ["a.b.v1", "mesh.members.v1", "area.sub.do_it.v12"] {
        assert!(kind.parse::<Kind>().is_ok(), "{kind} was refused");
    }
    for kind in ["", "v1", "a.v1", "a.b", "a.b.v", "a.b.vx", "A.b.v1", "a..b.v1", "a.b.v12345", "1.b.v1"] {
        assert!(kind.parse::<Kind>().is_err(), "{kind} was taken");
    }
}

proptest! {
    #[test]
    fn a_path_that_parses_prints_as_it_was_written(text in "[a-zA-Z0-9./_-]{0,40}") {
        if let Ok(path) = text.parse::<ActorPath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
