//! An agent whose work outlives its process: kill the node in the middle, start it again, and it goes on where it was.
//!
//! Its steps write lines into a file, one each. The lines that a killed step may have written twice have the same key.
//!
//! ```console
//! $ cargo run -p mesh-examples --example durable_agent -- --name alpha
//! $ meshctl runs start clerk --task '{"file":"lines.txt","lines":100,"pause_ms":200}'
//! $ kill -9 $(pgrep durable_agent) && cargo run -p mesh-examples --example durable_agent -- --name alpha
//! $ meshctl runs list && meshctl runs show RUN
//! ```

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use mesh_agents::durable::{DurableAgent, RunContext, Step, StepError, StepResult};
use mesh_node::{Node, NodeError};
use serde::Deserialize;

/// What a clerk is to do.
#[derive(Deserialize)]
struct Task {
    file: PathBuf,
    lines: u64,
    pause_ms: u64,
}

struct Clerk;

impl DurableAgent for Clerk {
    async fn plan(&mut self, task: &str, _: &mut RunContext) -> Result<Vec<Step>, StepError> {
        let task: Task = serde_json::from_str(task)?;
        Ok((0..task.lines).map(|line| Step::with("write", line)).collect())
    }

    async fn execute(&mut self, step: &Step, cx: &mut RunContext) -> StepResult {
        let task: Task = serde_json::from_str(cx.task())?;
        let key = cx.call_key();
        let (run, doubt) = (cx.run().to_string(), cx.may_have_run());
        let mut file = OpenOptions::new().create(true).append(true).open(&task.file)?;
        // One write a line: a process that is killed leaves a whole line, or none.
        file.write_all(format!("{run} {} {key} {doubt}\n", step.input).as_bytes())?;
        tokio::time::sleep(Duration::from_millis(task.pause_ms)).await;
        Ok(step.input.clone())
    }
}

fn main() -> Result<(), NodeError> {
    let node = Node::from_args()?.durable("clerk", || Clerk);
    mesh_node::runtime()?.block_on(node.run())
}
