//! Which actions people look at, how closely, and who: pure.

use std::time::Duration;

use super::level::Level;
use super::pattern::{Pattern, Text};

/// How long a request waits unless something else is said: 300 s.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// What holds for the actions of some patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which actions. One pattern that means it is enough.
    pub patterns: Vec<Pattern>,
    /// How closely people look.
    pub level: Level,
    /// How long a request waits before it counts as denied; `None` leaves it to the others.
    pub timeout: Option<Duration>,
    /// How many different people must approve, at least 1.
    pub needed: u32,
    /// Who may answer, by the names of their certificates, as `ann`; `None` is everybody who has the grant.
    pub approvers: Option<Vec<String>>,
}

/// Everything that holds on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// The policies; their order means nothing.
    pub rules: Vec<Policy>,
    /// The level of an action that none of them means.
    pub default: Level,
    /// How long a request waits where no policy says so.
    pub timeout: Duration,
}

/// What all policies together say of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How closely people look.
    pub level: Level,
    /// How long it waits.
    pub timeout: Duration,
    /// How many different people must approve, at least 1.
    pub needed: u32,
    /// Who may answer; `None` is everybody who has the grant.
    pub approvers: Option<Vec<String>>,
}

impl Policy {
    /// These patterns, for one approver, whoever it is.
    #[must_use]
    pub fn new(patterns: Vec<Pattern>, level: Level) -> Self {
        Self { patterns, level, timeout: None, needed: 1, approvers: None }
    }

    /// Whether the action, or what stands for a part of it, is meant.
    fn means(&self, text: &Text) -> bool {
        let is_meant = if self.level.waits() { Pattern::concerns } else { Pattern::covers };
        self.patterns.iter().any(|pattern| is_meant(pattern, text))
    }
}

impl Policies {
    /// The policies that the product comes with: `delete*` and `remove*` are confirmed, `deploy*` and `publish*` are
    /// reviewed, `read*` and `list*` pass; everything else is confirmed.
    #[must_use]
    pub fn shipped() -> Self {
        let rule = |patterns: [&str; 2], level| {
            let patterns = patterns.map(|pattern| pattern.parse().expect("it is a pattern"));
            Policy::new(patterns.to_vec(), level)
        };
        let rules = vec![
            rule(["delete*", "remove*"], Level::Confirm),
            rule(["deploy*", "publish*"], Level::Review),
            rule(["read*", "list*"], Level::None),
        ];
        Self { rules, default: Level::Confirm, timeout: TIMEOUT }
    }

    /// What holds for an action: the strictest of all that means it, or any part of it.
    ///
    /// An action that does several things (`read_and_delete_all`) is judged by each of them, and one that no policy means
    /// has the default level. What would pass is looked at once more: where a stricter pattern occurs anywhere in it, in
    /// the middle of a word too, that one counts.
    #[must_use]
    pub fn judge(&self, action: &str) -> Judgement {
        let whole = Text::new(action);
        let mut meant: Vec<&Policy> = self.rules.iter().filter(|rule| rule.means(&whole)).collect();
        let parts = whole.parts();
        let of_part = |part: &Text| {
            let levels = self.rules.iter().filter(|rule| rule.means(part)).map(|rule| rule.level);
            levels.max().unwrap_or(self.default)
        };
        let of_parts = parts.iter().map(of_part).max().unwrap_or(self.default);
        let mut level =
            meant.iter().map(|rule| rule.level).max().map_or(of_parts, |whole| whole.max(of_parts));
        if !level.waits() {
            let hidden = self.rules.iter().filter(|rule| rule.level.waits());
            let occurs = |rule: &&Policy| rule.patterns.iter().any(|pattern| pattern.occurs(&whole));
            meant.extend(hidden.filter(occurs));
            level = meant.iter().map(|rule| rule.level).max().map_or(level, |found| found.max(level));
        }
        let strict = || meant.iter().filter(|rule| rule.level.waits());
        Judgement {
            level,
            timeout: strict().filter_map(|rule| rule.timeout).min().unwrap_or(self.timeout),
            needed: strict().map(|rule| rule.needed).max().unwrap_or(1).max(1),
            approvers: strict().filter_map(|rule| rule.approvers.clone()).reduce(common),
        }
    }
}

/// Who is in both lists.
fn common(one: Vec<String>, other: Vec<String>) -> Vec<String> {
    one.into_iter().filter(|name| other.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(action: &str) -> Level {
        Policies::shipped().judge(action).level
    }

    #[test]
    fn as_shipped_removing_is_confirmed_publishing_reviewed_and_reading_free() {
        for action in ["delete_files", "remove", "removeUser"] {
            assert_eq!(level(action), Level::Confirm, "{action}");
        }
        for action in ["deploy", "publish_post", "auto_deploy"] {
            assert_eq!(level(action), Level::Review, "{action}");
        }
        for action in ["read_file", "list", "listUsers", "read_and_list_files"] {
            assert_eq!(level(action), Level::None, "{action}");
        }
        let judged = Policies::shipped().judge("delete_files");
        assert_eq!((judged.timeout, judged.needed, judged.approvers), (Duration::from_secs(300), 1, None));
    }

    #[test]
    fn what_no_policy_means_is_confirmed() {
        for action in ["send_mail", "x", "and", "-", "readjust_prices", "listen"] {
            assert_eq!(level(action), Level::Confirm, "{action}");
        }
    }

    #[test]
    fn read_and_delete_all_is_not_a_read() {
        for action in [
            "read_and_delete_all",
            "readAndDeleteAll",
            "read_then_wipe",
            "list-or-burn",
            "read_delete",
            "read_undeleted",
            "Read.And.Remove",
        ] {
            assert_eq!(level(action), Level::Confirm, "{action}");
        }
        assert_eq!(level("read_and_deploy"), Level::Review);
        assert_eq!(level("list_autodeploys"), Level::Review, "also within a word");
    }

    #[test]
    fn the_strictest_match_wins_whatever_the_order() {
        let rule = |pattern: &str, level| Policy::new(vec![pattern.parse().unwrap()], level);
        let rules = [
            rule("send*", Level::None),
            Policy { timeout: Some(Duration::from_secs(9)), needed: 2, ..rule("send_money", Level::Review) },
            Policy { approvers: Some(vec!["ann".into(), "bob".into()]), ..rule("*money", Level::Confirm) },
            Policy { approvers: Some(vec!["bob".into(), "cy".into()]), ..rule("send_m*", Level::Confirm) },
        ];
        let expected = Judgement {
            level: Level::Review,
            timeout: Duration::from_secs(9),
            needed: 2,
            approvers: Some(vec!["bob".to_owned()]),
        };
        for turn in 0..rules.len() {
            let mut rules = rules.to_vec();
            rules.rotate_left(turn);
            let policies = Policies { rules, ..Policies::shipped() };
            assert_eq!(policies.judge("send_money"), expected);
            assert_eq!(policies.judge("send_card").level, Level::None);
        }
    }
}
