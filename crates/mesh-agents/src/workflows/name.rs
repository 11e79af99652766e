//! Names for runs and their agents.

use uuid::Uuid;

/// How much of a stage's or an agent's name goes into the name of an actor. The sum stays below the 200 bytes of one.
const PART_BYTES_MAX: usize = 40;

/// A run's id: short enough to be typed, and unlike any other of this node.
pub(super) fn run_id() -> String {
    // The first half of a UUID of version 7 is the time; chance is in the second.
    let id = Uuid::now_v7().simple().to_string();
    id[id.len() - 10..].to_owned()
}

/// The name of the actor of a run.
pub(super) fn run(id: &str) -> String {
    format!("runs/{id}")
}

/// The name of an actor through which a stored run is read; a run may be read more than once.
pub(super) fn reader(run: &str) -> String {
    format!("workflows/{run}/{}", run_id())
}

/// The name of the agent that makes an attempt at an item.
pub(super) fn agent(run: &str, agent: &str, stage: &str, index: usize, attempt: u32) -> String {
    format!("{run}/{}-{}-{index}-{attempt}", part(agent), part(stage))
}

/// The name of the coordinator that is told of a stage.
pub(super) fn coordinator(run: &str, agent: &str, stage: &str, attempt: u32) -> String {
    format!("{run}/{}-after-{}-{attempt}", part(agent), part(stage))
}

/// What is no letter, digit, `_` or `.` becomes `_`: names of actors are narrower than those of files.
fn part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' };
    name.chars().map(plain).take(PART_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_file_becomes_the_name_of_an_actor() {
        for name in ["plan", "a stage/with: all", "日本語", &"long".repeat(100), "..", ""] {
            let agent = agent(&run(&run_id()), name, name, 999, 3);
            assert_eq!(mesh_proto_rules(&agent), Ok(()), "{agent}");
            let coordinator = coordinator(&run(&run_id()), name, name, 3);
            assert_eq!(mesh_proto_rules(&coordinator), Ok(()), "{coordinator}");
        }
    }

    #[test]
    fn ids_of_the_same_moment_differ() {
        assert_ne!(run_id(), run_id());
    }

    fn mesh_proto_rules(name: &str) -> Result<(), mesh::InvalidPath> {
        mesh::ActorPath::new("node", name).map(drop)
    }
}
