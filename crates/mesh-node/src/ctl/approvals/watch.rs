//! `watch`: asks about each request on the terminal.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use mesh_agents::approvals::{AnswerApproval, ApprovalRow, Word};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::super::connection::Connection;
use super::super::error::CtlError;
use super::super::lines;
use super::super::output::Output;
use super::answer::{answer, said, send};
use super::{find, show};

/// How often all nodes are looked at.
const LOOK: Duration = Duration::from_secs(1);

const PROMPT: &str = "approve? [y]es, [n]o and why, [l]ater, [q]uit: ";

/// Asks about what waits, one after the other. What is read from the terminal is read on a thread of its own, so that
/// meanwhile all else goes on: a request that somebody else answers is asked about no more.
pub(super) async fn watch(mesh: &Connection, output: &mut Output<'_>) -> Result<(), CtlError> {
    let mut typed = lines::read(io::stdin())?;
    let mut desk = Desk::default();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => desk.look(mesh, output).await?,
            line = next(&mut typed) => match line? {
                None => return Ok(()),
                Some(line) => if desk.take(&line, mesh, output).await?.is_over() { return Ok(()) },
            },
        }
    }
}

async fn next(typed: &mut mpsc::Receiver<io::Result<(u64, String)>>) -> Result<Option<String>, CtlError> {
    match typed.recv().await {
        None => Ok(None),
        Some(line) => Ok(Some(line.map_err(|error| CtlError::Usage(format!("stdin: {error}")))?.1)),
    }
}

/// What is asked about now, and what was put off.
#[derive(Default)]
struct Desk {
    asked: Option<ApprovalRow>,
    later: BTreeSet<String>,
    is_told_that_none: bool,
    /// Why not all nodes were seen, the last time that it was told.
    trouble: Option<String>,
}

/// Whether there is more to do.
enum Next {
    More,
    Over,
}

impl Next {
    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Yes,
    No(String),
    Later,
    Quit,
    Else,
}

fn parse(line: &str) -> Typed {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word.to_ascii_lowercase().as_str() {
        "y" | "yes" if rest.is_empty() => Typed::Yes,
        "n" | "no" => Typed::No(rest.trim().to_owned()),
        "l" | "later" => Typed::Later,
        "q" | "quit" => Typed::Quit,
        _ => Typed::Else,
    }
}

impl Desk {
    async fn look(&mut self, mesh: &Connection, output: &mut Output<'_>) -> Result<(), CtlError> {
        let found = find::all(mesh, false).await;
        let trouble = found.failure.as_ref().map(|error| format!("{error:?}"));
        if let Some(error) = found.failure
            && !found.is_answered
        {
            return Err(error);
        }
        if trouble.is_some() && trouble != self.trouble {
            output.line("not all nodes could be seen")?;
        }
        self.trouble = trouble;
        if let Some(asked) = &self.asked {
            match found.rows.iter().find(|row| row.id == asked.id) {
                Some(row) if row.hash == asked.hash => return Ok(()),
                Some(_) => output.line("\nsomebody edited it")?,
                None => output.line("\nit is settled")?,
            }
            self.asked = None;
        }
        self.ask_next(&found.rows, mesh, output).await
    }

    async fn ask_next(
        &mut self,
        rows: &[ApprovalRow],
        mesh: &Connection,
        output: &mut Output<'_>,
    ) -> Result<(), CtlError> {
        let Some(row) = rows.iter().find(|row| !self.later.contains(&row.id)) else {
            if !self.is_told_that_none && !output.is_json {
                output.line("nothing waits; Ctrl-C ends the watch")?;
            }
            self.is_told_that_none = true;
            return Ok(());
        };
        // Its node may be gone for now; it is looked for again.
        let Ok(detail) = show::detail(mesh, row).await else { return Ok(()) };
        self.is_told_that_none = false;
        if output.is_json {
            output.document(&detail)?;
        } else {
            output.text(&format!("\n{}", show::text(&detail, output.paint)))?;
            output.text(PROMPT)?;
            output.flush()?;
        }
        self.asked = Some(detail.row);
        Ok(())
    }

    async fn take(
        &mut self,
        line: &str,
        mesh: &Connection,
        output: &mut Output<'_>,
    ) -> Result<Next, CtlError> {
        let typed = parse(line);
        if typed == Typed::Quit {
            return Ok(Next::Over);
        }
        let Some(row) = self.asked.take() else { return Ok(Next::More) };
        // The answer is about what stands above, and nothing else.
        let given = match typed {
            Typed::Yes => answer(&row, Word::Approve),
            Typed::No(note) => AnswerApproval { note, ..answer(&row, Word::Reject) },
            Typed::Later => {
                self.later.insert(row.id);
                return self.look(mesh, output).await.map(|()| Next::More);
            }
            Typed::Quit | Typed::Else => {
                if !output.is_json {
                    output.text(PROMPT)?;
                    output.flush()?;
                }
                self.asked = Some(row);
                return Ok(Next::More);
            }
        };
        match send(mesh, &row, &given).await {
            Ok(taken) if output.is_json => output.document(&taken)?,
            Ok(taken) => output.line(&said(&row, &taken))?,
            Err(CtlError::Refused(document)) => {
                output.line(&format!("{}: {}", document.code, document.message))?
            }
            Err(error) => return Err(error),
        }
        // What needs more people is not asked about again here.
        self.later.insert(row.id);
        self.look(mesh, output).await.map(|()| Next::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        assert_eq!(parse(" Y \n"), Typed::Yes);
        assert_eq!(parse("yes"), Typed::Yes);
        assert_eq!(parse("n not today"), Typed::No("not today".to_owned()));
        assert_eq!(parse("q"), Typed::Quit);
        for other in ["yes but not now", "yep", "ja", "1", "[y]", "approve all"] {
            assert_eq!(parse(other), Typed::Else, "{other}");
        }
    }
}
