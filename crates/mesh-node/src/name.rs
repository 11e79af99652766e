//! Names for nodes that were given none, and for the user who runs them.

use uuid::Uuid;

const ADJECTIVES: [&str; 32] = [
    "amber", "brave", "brisk", "calm", "clear", "coral", "dapper", "eager", "early", "fair", "fleet",
    "gentle", "golden", "hardy", "jolly", "keen", "kind", "lively", "lucid", "mellow", "nimble", "noble",
    "patient", "plucky", "quick", "quiet", "ready", "sage", "steady", "sunny", "swift", "witty",
];
const NOUNS: [&str; 32] = [
    "badger", "beaver", "bison", "crane", "curlew", "dolphin", "falcon", "finch", "fox", "gecko", "hare",
    "heron", "ibex", "jackdaw", "kestrel", "lark", "lynx", "marten", "newt", "orca", "otter", "owl",
    "plover", "puffin", "raven", "robin", "seal", "sparrow", "stork", "swan", "tern", "wren",
];

/// A name that is easy to say and rarely meets another one: `swift-otter-3f`.
pub(crate) fn generated() -> String {
    let random = Uuid::new_v4().into_bytes();
    let pick = |words: [&'static str; 32], byte: u8| words[usize::from(byte % 32)];
    // Bytes 6 and 8 of a UUID are not random.
    format!("{}-{}-{:02x}", pick(ADJECTIVES, random[0]), pick(NOUNS, random[1]), random[2])
}

/// The name that meshctl has in its certificate: the user's, as far as it is a name.
pub(crate) fn of_client(user: Option<&str>) -> String {
    let user = user.unwrap_or_default().to_lowercase().replace(['_', '.'], "-");
    if mesh_net::check_name(&user).is_ok() { user } else { "client".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_generated_name_is_a_name_and_rarely_the_same() {
        let names: BTreeSet<String> = (0..100).map(|_| generated()).collect();
        assert!(names.iter().all(|name| mesh_net::check_name(name).is_ok()), "{names:?}");
        assert!(names.len() > 95, "{} of 100", names.len());
    }

    #[test]
    fn a_client_is_called_as_its_user_where_that_is_a_name() {
        assert_eq!(of_client(Some("Ann_Lee")), "ann-lee");
        for other in [None, Some(""), Some("añn"), Some("-a")] {
            assert_eq!(of_client(other), "client");
        }
    }
}
