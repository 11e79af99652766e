use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> ActorPattern {
    text.parse().unwrap()
}

#[test]
fn a_pattern_means_whole_segments() {
    for (text, inside, outside) in [
        (
            "beta/echo",
            vec!["beta/echo"],
            vec!["beta/echo2", "beta/Echo", "beta", "beta/echo/x", "x/beta/echo"],
        ),
        ("*/echo", vec!["a/echo", "b-1/echo"], vec!["echo", "a/b/echo", "a/echo.v2", "/echo/"]),
        ("beta/*", vec!["beta/a", "beta/.hidden"], vec!["beta/a/b", "betas/a", "beta"]),
        ("beta/pool/**", vec!["beta/pool/1", "beta/pool/a/b"], vec!["beta/pool", "beta/pools/1"]),
        ("**", vec!["a/b", "a/b/c"], vec![]),
        ("*/**", vec!["a/b", "a/b/c"], vec!["a"]),
    ] {
        for path in inside {
            assert!(pattern(text).matches(path), "{text} {path}");
        }
        for path in outside {
            assert!(!pattern(text).matches(path), "{text} {path}");
        }
    }
}

#[test]
fn what_could_mean_something_else_is_no_pattern() {
    for text in [
        "",
        "*",
        "echo",
        "beta/ec*",
        "**/echo",
        "beta/**/x",
        "beta//x",
        "beta/../x",
        "beta/.",
        "beta/é",
        "beta/a b",
        "beta/a\u{ff0e}b",
        "beta/a,b",
        "beta/a:b",
        "beta/\0",
        "***",
        "beta/***",
        "1/2/3/4/5/6/7/8/9/10",
        &format!("a/{}", "x".repeat(300)),
    ] {
        assert!(text.parse::<ActorPattern>().is_err(), "{text:?}");
    }
    for text in ["ask", "ask:", ":a/b", "ASK:a/b", "ask :a/b", "fly:a/b", "ask:a/b,tell:a/b"] {
        assert!(text.parse::<Grant>().is_err(), "{text:?}");
    }
}

#[test]
fn nothing_is_allowed_that_was_not_granted() {
    let none = GrantSet::default();
    assert!(!none.allows(Verb::Read, "a/mesh") && !none.reaches("a/mesh"));
    let some = GrantSet::from_certificate("ask:*/echo,tell:alpha/**");
    assert!(some.allows(Verb::Ask, "beta/echo") && some.allows(Verb::Tell, "alpha/x"));
    assert!(!some.allows(Verb::Tell, "beta/echo") && !some.allows(Verb::Ask, "alpha/x"));
    assert!(some.reaches("alpha/x") && !some.reaches("beta/x"));
    for verb in Verb::KNOWN {
        assert!(GrantSet::all().allows(verb, "any/thing/there/is"), "{verb:?}");
    }
}

#[test]
fn a_certificate_of_a_later_version_grants_what_is_known_of_it() {
    let set = GrantSet::from_certificate("fly:a/b,ask:a/b,ask:a/{b},,");
    assert_eq!(set.to_string(), "ask:a/b");
    assert!(GrantSet::from_certificate(&"ask:a/b,".repeat(1000)).is_empty(), "longer than any may be");
}

#[test]
fn a_set_has_a_bound() {
    let grant: Grant = "ask:a/b".parse().unwrap();
    assert!(GrantSet::new(vec![grant.clone(); GRANTS_MAX]).is_ok());
    assert!(GrantSet::new(vec![grant; GRANTS_MAX + 1]).is_err());
    let long: Grant = format!("ask:a/{}", "x".repeat(250)).parse().unwrap();
    assert!(GrantSet::new(vec![long; GRANTS_MAX]).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        if let Ok(grant) = text.parse::<Grant>() {
            prop_assert_eq!(grant.to_string(), text.clone());
        }
        let set = GrantSet::from_certificate(&text);
        prop_assert_eq!(GrantSet::from_certificate(&set.to_string()), set);
    }

    #[test]
    fn a_literal_pattern_means_itself_alone(a in "[a-z]{1,3}(/[a-c._]{1,3}x){1,3}", b in "[a-z]{1,3}(/[a-c._]{1,3}x){1,3}") {
        prop_assert_eq!(pattern(&a).matches(&b), a == b);
    }
}
