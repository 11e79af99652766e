//! A plan as text, for `meshctl workflow check`.

use std::fmt::Write as _;

use super::file::{Quote, WorkflowType};
use super::plan::{Input, Plan, Stage};

pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String can't fail, so the results carry nothing.
    let _ = write(plan, &mut text);
    text
}

fn write(plan: &Plan, text: &mut String) -> std::fmt::Result {
    let kind = match plan.workflow_type {
        WorkflowType::Hierarchical => "hierarchical",
        WorkflowType::Mesh => "mesh",
        WorkflowType::Pipeline => "pipeline",
        WorkflowType::Graph => "graph",
    };
    let (stages, agents) = (plan.stages.len(), plan.agents.len());
    writeln!(text, "{kind} workflow: {}, {}", counted(stages, "stage"), counted(agents, "agent"))?;

    writeln!(text, "\ntask")?;
    branches(plan, text)?;

    writeln!(text, "\ninputs")?;
    let width = plan.stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0);
    for stage in &plan.stages {
        writeln!(text, "  {:width$}  {}", stage.name, input(plan, stage))?;
    }

    if let Some(coordinator) = &plan.coordinator {
        let model = coordinator.model.as_deref().unwrap_or("the node's model");
        let times = counted(plan.max_replans as usize, "time");
        writeln!(text, "\ncoordinator")?;
        writeln!(text, "  {} ({model}) is told each result, and may re-plan {times}", coordinator.name)?;
    }

    if let Some(checkpoints) = &plan.checkpoints {
        writeln!(text, "\ncheckpoints")?;
        writeln!(
            text,
            "  each item and stage that is done, in the node's store, under `{}`",
            checkpoints.namespace
        )?;
    }

    if !plan.ignored.is_empty() {
        writeln!(text, "\nignored")?;
        for line in &plan.ignored {
            writeln!(text, "  {line}")?;
        }
    }
    Ok(())
}

/// The stages as a tree: a stage takes one thing, so it hangs below that one thing.
fn branches(plan: &Plan, text: &mut String) -> std::fmt::Result {
    /// The stages that take `from`.
    fn below(plan: &Plan, from: Input) -> Vec<usize> {
        (0..plan.stages.len()).filter(|&nth| plan.stages[nth].input == from).collect()
    }
    // A stack and not a recursion: a pipeline of a thousand stages is a thousand levels deep.
    let mut open: Vec<(usize, String, bool)> = Vec::new();
    let push = |open: &mut Vec<_>, from: Input, indent: &str| {
        let stages = below(plan, from);
        let last = stages.last().copied();
        for stage in stages.into_iter().rev() {
            open.push((stage, indent.to_owned(), Some(stage) == last));
        }
    };
    push(&mut open, Input::Task, "");
    while let Some((nth, indent, is_last)) = open.pop() {
        let (knot, rail) = if is_last { ("└─", "   ") } else { ("├─", "│  ") };
        writeln!(text, "{indent}{knot} {}", work(&plan.stages[nth]))?;
        push(&mut open, Input::Stage(nth), &format!("{indent}{rail}"));
    }
    Ok(())
}

fn work(stage: &Stage) -> String {
    let agent = &stage.agent;
    let model = agent.model.as_deref().unwrap_or("the node's model");
    let mut text = format!("{}: {} ({model})", stage.name, agent.name);
    if stage.parallel {
        let _ = write!(text, ", split into items, {} at once", stage.max_concurrent);
    }
    if let Some(quote) = stage.quote {
        text.push_str(match quote {
            Quote::Headings => ", quotes a heading of the task",
            Quote::Section => ", quotes a sentence of the section that it is given",
            Quote::Input => ", quotes a sentence of its input",
        });
    }
    for (label, value) in &stage.place {
        let _ = write!(text, ", on {label}={value}");
    }
    let each = if stage.parallel { " each" } else { "" };
    let _ = write!(text, ", at most {}{each}", humantime::format_duration(stage.timeout));
    text
}

fn input(plan: &Plan, stage: &Stage) -> String {
    match (stage.input, &stage.input_name) {
        (Input::Stage(nth), Some(name)) => {
            format!("takes `{name}`, the result of stage \"{}\"", plan.stages[nth].name)
        }
        (Input::Stage(nth), None) => format!("takes the result of stage \"{}\"", plan.stages[nth].name),
        (Input::Task, _) => "takes the task".to_owned(),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
