//! A folder in which an agent finds all that it uses.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Where the agents are.
pub const AGENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/ocf");

/// The part of ocf-shellfuncs that the agents use.
const FUNCTIONS: &str = r#"
OCF_SUCCESS=0 OCF_ERR_GENERIC=1 OCF_ERR_ARGS=2 OCF_ERR_UNIMPLEMENTED=3 OCF_ERR_PERM=4
OCF_ERR_INSTALLED=5 OCF_ERR_CONFIGURED=6 OCF_NOT_RUNNING=7
ocf_log() { echo "$*" >&2; }
ocf_exit_reason() { echo "reason: $*" >&2; }
check_binary() {
    command -v "$1" >/dev/null || { ocf_exit_reason "there is no $1"; exit $OCF_ERR_INSTALLED; }
}
"#;

/// One agent on its stage.
pub struct Stage {
    agent: String,
    dir: TempDir,
}

/// What an agent has said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// On its standard output.
    pub output: String,
    /// On its standard error.
    pub errors: String,
}

impl Stage {
    /// One for the agent of that name.
    pub fn new(agent: &str) -> Stage {
        let dir = TempDir::new().expect("a folder");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), mode).expect("its mode");
        for folder in ["run", "bin", "dir", "mount", "mount2"] {
            fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        fs::write(dir.path().join("ocf-shellfuncs"), FUNCTIONS).expect("functions");
        let agent = agent.to_owned();
        Stage { agent, dir }
    }

    /// A path on the stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub fn at(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").to_owned()
    }

    /// Puts a shell script there, which the agent finds before others of its name if
    /// it is in `bin`. It is written by another process: what one test has open for
    /// writing, a child of another may have, too, and then nobody can run it.
    pub fn script(&self, name: &str, does: &str) {
        let written = self.path("written");
        fs::write(&written, format!("#!/bin/sh\n{does}\n")).expect("a script");
        fs::set_permissions(&written, fs::Permissions::from_mode(0o755)).expect("its mode");
        let copied = Command::new("cp")
            .arg(&written)
            .arg(self.path(name))
            .status();
        assert!(copied.expect("cp").success());
    }

    /// What a file on the stage holds; nothing if there is none.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs the agent, with parameters and other variables as `OCF_RESKEY_dir=…`.
    pub fn run(&self, action: &str, variables: &[(&str, &str)]) -> Said {
        self.command(&[action], variables)
    }

    /// The same with any arguments.
    pub fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.at("bin"));
        // Its output is a file: what it leaves running may keep that.
        let (output, errors) = (self.path("output"), self.path("errors"));
        let file = |path: &Path| Stdio::from(fs::File::create(path).expect("a file"));
        let mut command = Command::new("/bin/sh");
        command
            .arg(format!("{AGENTS}/{}", self.agent))
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("OCF_FUNCTIONS_DIR", self.dir.path())
            .env("HA_RSCTMP", self.path("run"))
            .env("OCF_RESOURCE_INSTANCE", "it")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file(&output))
            .stderr(file(&errors));
        let status = command.status().expect("a shell");
        let read = |path: &Path| {
            let mut text = String::new();
            let mut file = fs::File::open(path).expect("a file");
            file.read_to_string(&mut text).expect("text");
            text
        };
        Said {
            code: status.code().expect("no signal"),
            output: read(&output),
            errors: read(&errors),
        }
    }
}
