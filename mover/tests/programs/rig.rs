//! A scratch folder with a catalog and cartridges, and `lh-mover` in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub struct Rig {
    dir: tempfile::TempDir,
}

/// What a run of the program said.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The JSON that it printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    #[track_caller]
    pub fn ended(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Run {
        assert!(self.stderr.contains(words), "{words:?} not in {self:?}");
        self
    }
}

impl Rig {
    pub fn new() -> Rig {
        Rig {
            dir: tempfile::tempdir().expect("scratch"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("resolved").join(name)
    }

    /// A source tree of these files, each with its own name as content.
    pub fn tree(&self, name: &str, files: &[&str]) -> PathBuf {
        let tree = self.path(name);
        fs::create_dir_all(&tree).expect("made");
        for file in files {
            let path = tree.join(file);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, file).expect("written");
        }
        tree
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lh-mover"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("RUST_LOG");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        let output = self.command(args).output().expect("run");
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `lh-mover COMMAND --catalog catalog ARGS`.
    pub fn mover(&self, command: &str, args: &[&str]) -> Run {
        let mut all = vec![command, "--catalog", "catalog"];
        all.extend(args);
        self.run(&all)
    }

    pub fn start(&self, command: &str, args: &[&str]) -> Child {
        let mut all = vec![command, "--catalog", "catalog"];
        all.extend(args);
        self.command(&all).spawn().expect("started")
    }

    /// Labels a new cartridge and backs `tree` up to it.
    pub fn backed_up(&self, drive: &str, tree: &Path) -> Run {
        self.mover("label", &["--drive", drive, "--name", "TEST01"])
            .ended(0);
        self.mover("backup", &["--drive", drive, text(tree)])
            .ended(0)
    }

    /// Where a path of the source lies in a folder that was restored to.
    pub fn restored(&self, to: &str, source: &Path) -> PathBuf {
        self.path(to)
            .join(source.strip_prefix("/").expect("absolute"))
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Files with their content, by relative path.
pub type Contents = Vec<(String, Vec<u8>)>;

/// These are those: by their names first, which are shorter to print.
#[track_caller]
pub fn expect_same(expected: &Contents, found: &Contents) {
    let names =
        |list: &Contents| -> Vec<String> { list.iter().map(|(name, _)| name.clone()).collect() };
    assert_eq!(names(expected), names(found));
    for ((name, expected), (_, found)) in expected.iter().zip(found) {
        assert!(expected == found, "{name} differs");
    }
}

/// All files below a folder.
pub fn contents(dir: &Path) -> Contents {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).expect("listed").flatten() {
            let path = entry.path();
            if entry.file_type().expect("typed").is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below").display().to_string();
                found.push((name, fs::read(&path).expect("read")));
            }
        }
    }
    found.sort();
    found
}
