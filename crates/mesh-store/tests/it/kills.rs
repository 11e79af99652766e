//! A process that is killed at any moment loses nothing of what it was told is safe.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use mesh_store::{Call, RunId, SqliteOptions, Store};

use crate::child::{self, WRITERS};
use crate::seed::Seed;
use crate::words::{id, payloads};

/// What children were told, of all lives.
#[derive(Default)]
pub(crate) struct Told {
    lines: Vec<String>,
}

impl Told {
    /// Notes a line of a child. Whether it was an acknowledgement.
    pub(crate) fn note(&mut self, line: &str) -> bool {
        let ack = line.strip_prefix("ack ");
        self.lines.extend(ack.map(str::to_owned));
        ack.is_some()
    }

    pub(crate) fn count(&self) -> usize {
        self.lines.len()
    }

    /// Everything that was acknowledged is there, and everything that is there is whole.
    pub(crate) async fn check(&self, file: &Path) {
        let store = Store::open_sqlite(file, SqliteOptions::default()).await.unwrap();
        let mut journals: HashMap<RunId, Vec<String>> = HashMap::new();
        let mut calls: HashMap<RunId, HashMap<String, Call>> = HashMap::new();
        for number in 0..WRITERS {
            let run = id(&format!("run-{number}"));
            if store.run(&run).await.is_err() {
                continue;
            }
            journals.insert(run.clone(), payloads(&store, &run).await);
            let of_run = store.calls(&run).await.unwrap().into_iter();
            calls.insert(run.clone(), of_run.map(|call| (call.key.to_string(), call)).collect());
            assert_eq!(store.latest_checkpoint(&run).await.unwrap().skipped, []);
            // An outcome and its entry are one write.
            let finished = calls[&run].values().filter(|call| call.outcome.is_some()).count();
            assert_eq!(finished, journals[&run].len());
        }
        for line in &self.lines {
            let words: Vec<_> = line.split(' ').collect();
            let run = id(words[1]);
            match words[0] {
                "entry" => assert_eq!(journals[&run][words[2].parse::<usize>().unwrap() - 1], words[3]),
                "intent" => assert!(calls[&run].contains_key(words[2]), "{line}"),
                "outcome" => assert!(calls[&run][words[2]].outcome.is_some(), "{line}"),
                "checkpoint" => {
                    store.checkpoint(words[2].parse().unwrap()).await.unwrap();
                }
                other => panic!("{other}"),
            }
        }
        store.close().await;
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_kills() {
    let kills: u64 = std::env::var("MESH_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let mut seed = Seed::of_the_day();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let mut told = Told::default();
    for life in 1..=kills {
        // Now and then while it opens the file.
        let acks = if seed.below(8) == 0 { 0 } else { seed.below(120) };
        let mut child = child::command(&[], "write", &file, life).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < acks {
            heard += u64::from(told.note(&lines.next().expect("it writes until it is killed").unwrap()));
        }
        child.kill().unwrap();
        // What it said before it died counts. Half a line says nothing.
        let mut rest: Vec<_> = lines.map_while(Result::ok).collect();
        rest.pop();
        rest.iter().for_each(|line| _ = told.note(line));
        child.wait().unwrap();
        told.check(&file).await;
    }
    println!("{kills} kills, {} acknowledgements, none lost", told.count());
    assert!(told.count() as u64 > kills * 5);
}
