//! Which node gets the next agent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh::MemberInfo;
use parking_lot::Mutex;

use crate::models::HOW_TO_GET_ONE;

/// The agents in flight of all runs of one node, by the node that they are on.
#[derive(Debug, Clone, Default)]
pub(super) struct Placement {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    in_flight: HashMap<String, usize>,
    /// Goes up with each choice. Among equally idle nodes the one that was chosen longest ago is next.
    choices: u64,
    chosen: HashMap<String, u64>,
}

/// A node that was chosen. It counts as one agent's node until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    node: String,
    state: Arc<Mutex<State>>,
}

/// Why there is no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoNode {
    /// For people: what was asked for, and what there is.
    pub(super) reason: String,
}

impl Placement {
    /// Chooses the alive member with the fewest agents in flight, of those with all the labels of `place`.
    ///
    /// Nodes of `avoid` are taken only when there is no other: a node may be lost to some and not to all, or come back.
    /// Nodes of `unfit` are never taken.
    pub(super) fn choose(
        &self,
        members: &[MemberInfo],
        place: &BTreeMap<String, String>,
        avoid: &[String],
        unfit: &[String],
    ) -> Result<Lease, NoNode> {
        let mut state = self.state.lock();
        let rank = |member: &&MemberInfo| {
            let name = member.name.as_str();
            let is_avoided = avoid.iter().any(|avoided| avoided == name);
            let in_flight = state.in_flight.get(name).copied().unwrap_or_default();
            (is_avoided, in_flight, state.chosen.get(name).copied().unwrap_or_default(), name.to_owned())
        };
        let fits = |member: &&MemberInfo| {
            let has = |(label, value)| member.labels.get(label) == Some(value);
            member.state == "alive" && place.iter().all(has) && !unfit.contains(&member.name)
        };
        let node = members.iter().filter(fits).min_by_key(rank).map(|member| member.name.clone());
        let node = node.ok_or_else(|| NoNode { reason: reason(members, place, unfit) })?;
        state.choices += 1;
        let choices = state.choices;
        state.chosen.insert(node.clone(), choices);
        *state.in_flight.entry(node.clone()).or_default() += 1;
        // Nodes that have left for good would stay in the table for ever.
        state.chosen.retain(|chosen, _| members.iter().any(|member| member.name == *chosen));
        Ok(Lease { node, state: Arc::clone(&self.state) })
    }
}

impl Lease {
    pub(super) fn node(&self) -> &str {
        &self.node
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if let Some(in_flight) = state.in_flight.get_mut(&self.node) {
            *in_flight -= 1;
            if *in_flight == 0 {
                state.in_flight.remove(&self.node);
            }
        }
    }
}

fn reason(members: &[MemberInfo], place: &BTreeMap<String, String>, unfit: &[String]) -> String {
    let mut alive: Vec<&str> =
        members.iter().filter(|member| member.state == "alive").map(|member| member.name.as_str()).collect();
    alive.sort_unstable();
    let labels: Vec<String> = place.iter().map(|(label, value)| format!("{label}={value}")).collect();
    let wanted =
        if labels.is_empty() { "an agent".to_owned() } else { format!("an agent on {}", labels.join(",")) };
    let mut reason = format!("no node can run {wanted}; alive are: {}", alive.join(", "));
    if !unfit.is_empty() {
        let mut unfit: Vec<&str> = unfit.iter().map(String::as_str).collect();
        unfit.sort_unstable();
        reason.push_str(&format!("; without agents or model: {} ({HOW_TO_GET_ONE})", unfit.join(", ")));
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, state: &'static str, labels: &[(&str, &str)]) -> MemberInfo {
        MemberInfo {
            name: name.to_owned(),
            id: String::new(),
            state,
            addr: String::new(),
            labels: labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect(),
            actors: 0,
        }
    }

    fn three() -> Vec<MemberInfo> {
        ["alpha", "beta", "gamma"].map(|name| member(name, "alive", &[])).to_vec()
    }

    fn anywhere() -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    #[test]
    fn agents_spread_evenly_and_go_round() {
        let placement = Placement::default();
        let choose = || placement.choose(&three(), &anywhere(), &[], &[]).unwrap();
        let leases: Vec<Lease> = (0..6).map(|_| choose()).collect();
        let nodes: Vec<&str> = leases.iter().map(Lease::node).collect();
        assert_eq!(nodes, ["alpha", "beta", "gamma", "alpha", "beta", "gamma"]);
    }

    #[test]
    fn one_after_the_other_they_go_round_as_well() {
        let placement = Placement::default();
        let nodes: Vec<String> = (0..4)
            .map(|_| placement.choose(&three(), &anywhere(), &[], &[]).unwrap().node().to_owned())
            .collect();
        assert_eq!(nodes, ["alpha", "beta", "gamma", "alpha"]);
    }

    #[test]
    fn the_node_with_the_fewest_agents_comes_first() {
        let placement = Placement::default();
        let choose = || placement.choose(&three(), &anywhere(), &[], &[]).unwrap();
        let (_alpha, beta, _gamma) = (choose(), choose(), choose());
        drop(beta);
        assert_eq!(choose().node(), "beta");
    }

    #[test]
    fn a_node_that_failed_is_taken_only_when_it_is_the_last() {
        let placement = Placement::default();
        let avoid = ["alpha".to_owned()];
        for _ in 0..4 {
            assert_ne!(placement.choose(&three(), &anywhere(), &avoid, &[]).unwrap().node(), "alpha");
        }
        let only = [member("alpha", "alive", &[])];
        assert_eq!(placement.choose(&only, &anywhere(), &avoid, &[]).unwrap().node(), "alpha");
    }

    #[test]
    fn labels_and_states_and_fitness_are_kept_to_and_the_reason_names_them() {
        let placement = Placement::default();
        let members =
            [member("alpha", "alive", &[("gpu", "false")]), member("beta", "down", &[("gpu", "true")])];
        let gpu = BTreeMap::from([("gpu".to_owned(), "true".to_owned())]);
        let error = placement.choose(&members, &gpu, &[], &[]).unwrap_err();
        assert_eq!(error.reason, "no node can run an agent on gpu=true; alive are: alpha");

        let error = placement.choose(&members, &anywhere(), &[], &["alpha".to_owned()]).unwrap_err();
        let expected = "no node can run an agent; alive are: alpha; without agents or model: alpha (start one with \
                        MESH_MODEL_URL, ANTHROPIC_API_KEY or OPENAI_API_KEY in its environment)";
        assert_eq!(error.reason, expected);
        let unfit = ["beta", "alpha"].map(str::to_owned);
        let error = placement.choose(&members, &anywhere(), &[], &unfit).unwrap_err();
        assert!(error.reason.contains("model: alpha, beta ("), "{}", error.reason);
    }
}
