//! What a coordinator decides, as a line among those of the stages.

use std::io;

use mesh_agents::workflows::RunEvent;

use super::super::super::output::Output;
use super::super::super::table::{Tone, printable};
use super::{INDENT, Progress, cost, excerpt, times};

/// `    · planner@alpha goes on as planned  320ms  40 tok`
pub(super) fn decided(shown: &mut Progress, event: &RunEvent, output: &mut Output<'_>) -> io::Result<()> {
    let RunEvent::CoordinatorDecided {
        agent,
        node,
        replanned,
        items,
        reason,
        problem,
        tokens,
        elapsed_ms,
        ..
    } = event
    else {
        return Ok(());
    };
    shown.coordinator = None;
    let who =
        if node.is_empty() { printable(agent) } else { format!("{}@{}", printable(agent), printable(node)) };
    let (tone, what) = match (replanned, problem) {
        (Some(stage), _) => (Tone::Warning, format!("re-plans {}{}", printable(stage), times(*items))),
        (None, Some(problem)) => (Tone::Warning, format!("goes on as planned: {}", excerpt(problem))),
        (None, None) => (Tone::Plain, "goes on as planned".to_owned()),
    };
    shown.line(tone, &format!("    · coordinator {who} {what}{}", cost(*elapsed_ms, *tokens)), output)?;
    if reason.is_empty() {
        Ok(())
    } else {
        shown.line(Tone::Faint, &format!("{INDENT}{}", excerpt(reason)), output)
    }
}
