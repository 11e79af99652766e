//! The file tools, and paths that want out of their folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_agents::tools::builtin::{Jail, ListFiles, ReadFile, WriteFile};
use mesh_agents::tools::{Call, HookedTool, ToolError, ToolSet};
use serde_json::{Value, json};

struct Ground {
    _folder: tempfile::TempDir,
    inside: PathBuf,
    outside: PathBuf,
    tools: ToolSet,
}

/// A jail beside a folder with a secret.
fn ground() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    fs::write(inside.join("notes.txt"), "grüße").unwrap();
    let jail = Jail::open(&inside).unwrap();
    let tools = ToolSet::default()
        .with(HookedTool::new(ReadFile(jail.clone())).unwrap())
        .with(HookedTool::new(WriteFile(jail.clone())).unwrap())
        .with(HookedTool::new(ListFiles(jail)).unwrap());
    Ground { _folder: folder, inside, outside, tools }
}

impl Ground {
    async fn call(&self, tool: &str, args: Value) -> Result<Value, ToolError> {
        self.tools.call(Call::new(tool, args)).await.result
    }

    async fn read(&self, path: &str) -> Result<Value, ToolError> {
        self.call("read_file", json!({ "path": path })).await
    }

    async fn write(&self, path: &str, content: &str) -> Result<Value, ToolError> {
        self.call("write_file", json!({ "path": path, "content": content, "create_folders": true })).await
    }

    /// Everything outside is as it was.
    fn is_untouched(&self) {
        let left: Vec<_> =
            fs::read_dir(&self.outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["secret"]);
        assert_eq!(fs::read_to_string(self.outside.join("secret")).unwrap(), "secret");
    }
}

#[tokio::test]
async fn files_are_written_read_and_listed() {
    let ground = ground();
    assert_eq!(ground.read("notes.txt").await.unwrap()["text"], "grüße");
    assert_eq!(ground.write("a/b/c.txt", "one").await.unwrap(), json!({"bytes": 3}));
    assert_eq!(ground.write("a/b/c.txt", "two").await.unwrap(), json!({"bytes": 3}));
    assert_eq!(fs::read_to_string(ground.inside.join("a/b/c.txt")).unwrap(), "two");
    let listed = ground.call("list_files", json!({})).await.unwrap();
    let expected = json!([
        {"name": "a", "kind": "folder"}, {"name": "notes.txt", "kind": "file"},
    ]);
    for (index, entry) in expected.as_array().unwrap().iter().enumerate() {
        for (key, value) in entry.as_object().unwrap() {
            assert_eq!(&listed["entries"][index][key], value);
        }
    }
    let listed = ground.call("list_files", json!({"path": "a/b"})).await.unwrap();
    assert_eq!(listed["entries"].as_array().unwrap().len(), 1, "no leftover of the writing: {listed}");
}

#[tokio::test]
async fn a_file_is_read_in_pieces_of_whole_characters() {
    let ground = ground();
    let mut said = String::new();
    let mut offset = 0;
    loop {
        let args = json!({"path": "notes.txt", "offset": offset, "bytes_max": 3});
        let piece = ground.call("read_file", args).await.unwrap();
        said.push_str(piece["text"].as_str().unwrap());
        offset = piece["next_offset"].as_u64().unwrap();
        if piece["is_cut"] == false {
            break;
        }
    }
    assert_eq!(said, "grüße");
    fs::write(ground.inside.join("raw"), [0xff, 0xfe]).unwrap();
    assert_eq!(ground.read("raw").await.unwrap_err().code, "EXECUTION_ERROR");
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let ground = ground();
    symlink(&ground.outside, ground.inside.join("link")).unwrap();
    symlink(ground.outside.join("secret"), ground.inside.join("file-link")).unwrap();
    symlink("notes.txt", ground.inside.join("inner-link")).unwrap();
    symlink("..", ground.inside.join("up")).unwrap();
    let absolute = ground.outside.join("secret").display().to_string();
    let long = format!("{}secret", "../".repeat(1400));
    for path in [
        "../outside/secret",
        "../../x",
        "a/../../outside/secret",
        "/etc/passwd",
        &absolute,
        "link/secret",
        "link/new",
        "file-link",
        "up/outside/secret",
        "inner-link",
        "notes.txt\0.png",
        &long,
        "\u{2025}/outside/secret",
        "",
        ".",
        "a\\..\\..\\outside",
    ] {
        let error = ground.read(path).await.unwrap_err();
        assert!(["BAD_PATH", "EXECUTION_ERROR"].contains(&error.code.as_str()), "{path:?}: {error:?}");
        // A link in a file's own place is replaced, not followed; all else is refused.
        let written = ground.write(path, "changed").await;
        assert!(written.is_err() || path.ends_with("-link"), "{path:?}");
        let listed = ground.call("list_files", json!({ "path": path })).await;
        assert!(listed.is_err() || path == ".", "{path:?}");
        ground.is_untouched();
    }
    assert!(!fs::symlink_metadata(ground.inside.join("file-link")).unwrap().is_symlink());
}

#[tokio::test]
async fn what_is_no_plain_file_keeps_nobody() {
    let ground = ground();
    let made = std::process::Command::new("mkfifo").arg(ground.inside.join("pipe")).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    assert!(ground.read("pipe").await.unwrap_err().message.contains("no plain file"));
}

#[tokio::test]
async fn a_folder_that_turns_into_a_link_meanwhile_leads_nowhere() {
    let ground = ground();
    let (real, spare, link) =
        (ground.inside.join("dir"), ground.inside.join("spare"), ground.inside.join("trap"));
    fs::create_dir(&real).unwrap();
    fs::write(real.join("secret"), "harmless").unwrap();
    symlink(&ground.outside, &link).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let swaps = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&real, &spare).unwrap();
                fs::rename(&link, &real).unwrap();
                fs::rename(&real, &link).unwrap();
                fs::rename(&spare, &real).unwrap();
            }
        }
    });
    let mut read = 0;
    for index in 0..500 {
        if let Ok(answer) = ground.read("dir/secret").await {
            assert_eq!(answer["text"], "harmless");
            read += 1;
        }
        let _ = ground.call("write_file", json!({"path": format!("dir/{index}"), "content": "x"})).await;
    }
    over.store(true, Ordering::Relaxed);
    swaps.join().unwrap();
    assert!(read > 0, "the race was not run");
    ground.is_untouched();
}
