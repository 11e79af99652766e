use mesh::{Actor, Context, Handler, Kinds, Message, WireActor, WireMessage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileMeasure, ParsedFile, SourceFile, measure, parse, report};

/// Asks for the first stage: a file's functions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parse {
    /// The file.
    pub file: SourceFile,
}

impl Message for Parse {
    type Reply = Result<ParsedFile, String>;
}

impl WireMessage for Parse {
    const KIND: &'static str = "analysis.parse.v1";
}

/// Asks for the second stage: a file's figures.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Measure {
    /// What the first stage found.
    pub file: ParsedFile,
}

impl Message for Measure {
    type Reply = Result<FileMeasure, String>;
}

impl WireMessage for Measure {
    const KIND: &'static str = "analysis.measure.v1";
}

/// Asks for the third stage: the report over all files, as text.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summarize {
    /// The figures of all files.
    pub files: Vec<FileMeasure>,
    /// How many of the longest and the most complex functions are named.
    pub top: usize,
}

impl Message for Summarize {
    type Reply = String;
}

impl WireMessage for Summarize {
    const KIND: &'static str = "analysis.summarize.v1";
}

/// Any of the three stages. Each runs on a node of its own.
#[derive(Debug)]
pub struct Analyst;

impl Actor for Analyst {}

impl WireActor for Analyst {
    fn accepts(kinds: Kinds<Self>) -> Kinds<Self> {
        kinds.message::<Parse>().message::<Measure>().message::<Summarize>()
    }
}

impl Handler<Parse> for Analyst {
    async fn handle(&mut self, ask: Parse, _: &mut Context<Self>) -> Result<ParsedFile, String> {
        parse(&ask.file).map_err(|error| error.to_string())
    }
}

impl Handler<Measure> for Analyst {
    async fn handle(&mut self, ask: Measure, _: &mut Context<Self>) -> Result<FileMeasure, String> {
        measure(&ask.file).map_err(|error| error.to_string())
    }
}

impl Handler<Summarize> for Analyst {
    async fn handle(&mut self, ask: Summarize, _: &mut Context<Self>) -> String {
        report(&ask.files, ask.top).to_string()
    }
}
