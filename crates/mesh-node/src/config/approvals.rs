use std::time::Duration;

use mesh_agents::approvals::{Level, Pattern, Policies, Policy, TIMEOUT, TIMEOUT_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, units};

/// Which actions of agents people have to approve first, by `meshctl approvals`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct ApprovalSettings {
    /// Whether the policies hold that the product comes with: "delete*" and "remove*" are confirmed, "deploy*" and
    /// "publish*" reviewed, and "read*" and "list*" pass. Of all policies that mean an action the strictest counts.
    pub shipped_policies: bool,
    /// The level of an action that no policy means: "none" (it is on record), "notify" (people are told), "confirm" (it
    /// waits for somebody's approval), "review" (of somebody who says which arguments they have read).
    pub otherwise: Level,
    /// How long a request waits before it counts as denied; 1 s to 30 days. A policy, and an agent, may say less.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub patience: Duration,
    /// More policies.
    pub policy: Vec<PolicySettings>,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self { shipped_policies: true, otherwise: Level::Confirm, patience: TIMEOUT, policy: Vec::new() }
    }
}

/// What holds for some actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// Which actions, with * for anything: "pay*" with "confirm" or "review" also means auto_pay; with "none" or "notify"
    /// it means whole words of the whole action only.
    pub patterns: Vec<String>,
    /// "none", "notify", "confirm" or "review".
    pub level: Level,
    /// How long a request waits; 1 s to 30 days. Default: the patience of all.
    #[serde(default, with = "units::duration_or_default")]
    #[schemars(with = "Option<String>")]
    pub patience: Option<Duration>,
    /// How many different people must approve. Default: 1.
    #[serde(default = "one")]
    pub needed: u32,
    /// Who may answer, by the names of their certificates. Default: everybody with the grant approve:NODE/approvals.
    #[serde(default)]
    pub approvers: Vec<String>,
}

fn one() -> u32 {
    1
}

impl ApprovalSettings {
    /// What they come to. Patterns that are none, which reading the settings refuses, mean nothing.
    #[must_use]
    pub fn policies(&self) -> Policies {
        let mut rules = if self.shipped_policies { Policies::shipped().rules } else { Vec::new() };
        rules.extend(self.policy.iter().map(|policy| Policy {
            timeout: policy.patience,
            needed: policy.needed,
            approvers: Some(policy.approvers.clone()).filter(|approvers| !approvers.is_empty()),
            ..Policy::new(
                policy.patterns.iter().filter_map(|pattern| pattern.parse().ok()).collect(),
                policy.level,
            )
        }));
        Policies { rules, default: self.otherwise, timeout: self.patience }
    }
}

pub(super) fn problems(settings: &ApprovalSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |key: String, message: String| problems.push(Problem::new(key, message));
    let is_patience = |time: Duration| (Duration::from_secs(1)..=TIMEOUT_MAX).contains(&time);
    let wanted = |time: Duration| format!("{time:?} is not within 1 s and 30 days");
    if !is_patience(settings.patience) {
        problem("approvals.patience".to_owned(), wanted(settings.patience));
    }
    for (index, policy) in settings.policy.iter().enumerate() {
        let key = |name: &str| format!("approvals.policy[{index}].{name}");
        if policy.patterns.is_empty() {
            problem(key("patterns"), "a pattern is wanted, such as \"pay*\"".to_owned());
        }
        for pattern in &policy.patterns {
            if let Err(error) = pattern.parse::<Pattern>() {
                problem(key("patterns"), error.to_string());
            }
        }
        if let Some(time) = policy.patience.filter(|time| !is_patience(*time)) {
            problem(key("patience"), wanted(time));
        }
        for name in &policy.approvers {
            if let Err(error) = mesh_net::check_name(name) {
                problem(key("approvers"), error.to_string());
            }
        }
        let people = policy.approvers.len();
        if policy.needed == 0 {
            problem(key("needed"), "at least 1 is wanted".to_owned());
        } else if people > 0 && policy.needed as usize > people {
            problem(key("needed"), format!("{} are wanted, of {people}", policy.needed));
        }
    }
    problems
}
