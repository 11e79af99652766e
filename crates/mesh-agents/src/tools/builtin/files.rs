//! Reading, writing and listing files of a jail.

use std::io::{Read, Seek, SeekFrom};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jail::Jail;
use crate::tools::{Annotations, Tool, ToolContext, ToolError, ToolSpec};

const READ_BYTES: u32 = 64 << 10;
const READ_BYTES_MAX: u32 = 256 << 10;
const WRITE_BYTES_MAX: usize = 512 << 10;
const LIST_MAX: u32 = 1000;

/// `read_file`: reads a text file of a jail.
#[derive(Debug, Clone)]
pub struct ReadFile(pub Jail);

/// `write_file`: puts a text file into a jail, all of it or nothing.
#[derive(Debug, Clone)]
pub struct WriteFile(pub Jail);

/// `list_files`: lists a folder of a jail.
#[derive(Debug, Clone)]
pub struct ListFiles(pub Jail);

/// What to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadArgs {
    /// Path of the file, relative to the folder of the tool.
    path: String,
    /// The first byte to read.
    #[serde(default)]
    offset: u64,
    /// The most bytes to read.
    #[serde(default = "read_bytes")]
    #[schemars(range(min = 1, max = 262_144))]
    bytes_max: u32,
}

fn read_bytes() -> u32 {
    READ_BYTES
}

/// What was read.
#[derive(Debug, Serialize)]
pub struct Text {
    text: String,
    /// Where to read on.
    next_offset: u64,
    /// Whether there is more.
    is_cut: bool,
}

/// What to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteArgs {
    /// Path of the file, relative to the folder of the tool. What is there is replaced.
    path: String,
    /// The whole text of the file.
    content: String,
    /// Whether to make folders on the way that are not there.
    #[serde(default)]
    create_folders: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Wrote {
    bytes: u64,
}

/// What to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArgs {
    /// Path of the folder, relative to the folder of the tool.
    #[serde(default = "here")]
    path: String,
}

fn here() -> String {
    ".".to_owned()
}

/// What there is.
#[derive(Debug, Serialize)]
pub struct Listed {
    entries: Vec<Entry>,
    /// Whether there is more than this.
    is_cut: bool,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    kind: &'static str,
    bytes: u64,
}

impl Tool for ReadFile {
    type Args = ReadArgs;
    type Output = Text;

    fn describe(&self) -> ToolSpec {
        let annotations = Annotations { read_only: true, ..Annotations::default() };
        ToolSpec::new("read_file", "Reads a UTF-8 text file.").annotations(annotations)
    }

    async fn call(&self, args: ReadArgs, _: ToolContext) -> Result<Text, ToolError> {
        let jail = self.0.clone();
        blocking(move || read(&jail, &args)).await
    }
}

fn read(jail: &Jail, args: &ReadArgs) -> Result<Text, ToolError> {
    let path = &args.path;
    let failed = |error: std::io::Error| ToolError::failed(format!("{path}: {error}"));
    let mut file = jail.read(path)?;
    file.seek(SeekFrom::Start(args.offset)).map_err(failed)?;
    let max = args.bytes_max.min(READ_BYTES_MAX);
    let mut bytes = Vec::new();
    // One more, to know whether there is more.
    file.take(u64::from(max) + 1).read_to_end(&mut bytes).map_err(failed)?;
    let is_cut = bytes.len() > max as usize;
    bytes.truncate(max as usize);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A character that the cut has halved is read next time.
        Err(error)
            if is_cut && error.utf8_error().error_len().is_none() && error.utf8_error().valid_up_to() > 0 =>
        {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            String::from_utf8(bytes).expect("it is valid up to there")
        }
        Err(_) => return Err(ToolError::failed(format!("{path}: it is no UTF-8 text"))),
    };
    Ok(Text { next_offset: args.offset + text.len() as u64, text, is_cut })
}

impl Tool for WriteFile {
    type Args = WriteArgs;
    type Output = Wrote;

    fn describe(&self) -> ToolSpec {
        let annotations = Annotations { destructive: true, idempotent: true, ..Annotations::default() };
        ToolSpec::new("write_file", "Writes a UTF-8 text file, in place of what is there.")
            .annotations(annotations)
    }

    async fn call(&self, args: WriteArgs, cx: ToolContext) -> Result<Wrote, ToolError> {
        let bytes = args.content.len();
        if bytes > WRITE_BYTES_MAX {
            let message = format!("the content has {bytes} bytes, at most {WRITE_BYTES_MAX} are written");
            return Err(ToolError::refused("BAD_ARGUMENTS", message));
        }
        let jail = self.0.clone();
        // The same call again, after a crash, must not find its own leftover in the way.
        let temporary = format!(".{}.{:08x}.tmp", cx.call(), rand());
        blocking(move || jail.write(&args.path, args.content.as_bytes(), &temporary, args.create_folders))
            .await?;
        Ok(Wrote { bytes: bytes as u64 })
    }
}

fn rand() -> u32 {
    uuid::Uuid::new_v4().as_fields().0
}

impl Tool for ListFiles {
    type Args = ListArgs;
    type Output = Listed;

    fn describe(&self) -> ToolSpec {
        let annotations = Annotations { read_only: true, ..Annotations::default() };
        ToolSpec::new("list_files", "Lists the files and folders of a folder.").annotations(annotations)
    }

    async fn call(&self, ListArgs { path }: ListArgs, _: ToolContext) -> Result<Listed, ToolError> {
        let jail = self.0.clone();
        let (found, is_cut) = blocking(move || jail.list(&path, LIST_MAX as usize)).await?;
        let entry =
            |found: super::jail::Found| Entry { name: found.name, kind: found.kind, bytes: found.bytes };
        Ok(Listed { entries: found.into_iter().map(entry).collect(), is_cut })
    }
}

/// The file system may be slow: others' actors do not wait for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    let unsure = |error: tokio::task::JoinError| ToolError::unsure("EXECUTION_ERROR", error.to_string());
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(unsure(error)))
}
