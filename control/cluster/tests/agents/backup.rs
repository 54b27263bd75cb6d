//! `ocf:longhaul:backup`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::stage::{Said, Stage};

/// An `lh-mover` that releases and admits as a file says, and can hold a file.
const LH_MOVER: &str = r#"
here=${0%/*}
case $1 in
release) echo "$*" >>"$here/asked"; . "$here/release" ;;
admit) echo "$*" >>"$here/asked"; . "$here/admit" ;;
hold) exec 3<"$2"; echo held; read -r _ ;;
esac
"#;

struct Backup(Stage);

impl Backup {
    fn new(releasing: &str) -> Backup {
        let stage = Stage::new("backup");
        stage.script("lh-mover", LH_MOVER);
        stage.script("other", LH_MOVER);
        fs::write(stage.path("release"), releasing).expect("a file");
        fs::write(stage.path("admit"), "exit 0").expect("a file");
        for folder in ["mount", "mount2"] {
            fs::write(stage.path(folder).join("file"), "").expect("a file");
        }
        Backup(stage)
    }

    fn run(&self, action: &str) -> Said {
        self.with(action, &[])
    }

    fn with(&self, action: &str, more: &[(&str, &str)]) -> Said {
        let (binary, mount) = (self.0.at("lh-mover"), self.0.at("mount"));
        let mut variables = vec![
            ("OCF_RESKEY_binary", binary.as_str()),
            ("OCF_RESKEY_mount", &mount),
            ("OCF_RESKEY_config", "/etc/longhaul/it.toml"),
        ];
        variables.extend(more);
        self.0.run(action, &variables)
    }

    /// A process that holds a file until it is killed, or the test ends.
    fn holds(&self, program: &str, file: &str) -> Holder {
        let mut child = Command::new(self.0.path(program))
            .arg("hold")
            .arg(self.0.path(file))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "held\n");
        Holder(child)
    }
}

struct Holder(Child);

impl Holder {
    fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn r14_stop_has_the_service_let_go_of_the_mount() {
    let backup = Backup::new("exit 0");
    assert_eq!(backup.run("validate-all").code, 0);
    assert_eq!(backup.run("monitor").code, 7);
    assert_eq!(backup.run("start").code, 0);
    assert_eq!(backup.run("start").code, 0);
    assert_eq!(backup.run("monitor").code, 0);
    let mut holder = backup.holds("lh-mover", "mount/file");
    assert_eq!(backup.run("stop").code, 0);
    assert!(holder.is_alive(), "the service is believed");
    assert_eq!(backup.run("monitor").code, 7);
    let asked = |what: &str| {
        let mount = backup.0.at("mount");
        format!("{what} {mount} --config /etc/longhaul/it.toml\n")
    };
    let asked = asked("admit").repeat(2) + &asked("release");
    assert_eq!(backup.0.file("asked"), asked);
    assert_eq!(backup.run("stop").code, 0);
}

#[test]
fn r14_without_a_service_nothing_is_open_and_stop_succeeds() {
    let backup = Backup::new("echo 'no service' >&2; exit 8");
    assert_eq!(backup.run("start").code, 0);
    let begun = Instant::now();
    let said = backup.run("stop");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.errors.contains("no service"), "{said:?}");
    assert_eq!(backup.run("monitor").code, 7);
    assert!(begun.elapsed() < Duration::from_secs(4));
    let gone = [("OCF_RESKEY_binary", "/nonexistent/lh-mover")];
    assert_eq!(backup.with("stop", &gone).code, 0);
}

#[test]
fn r14_a_service_that_does_not_take_note_of_a_mount_keeps_no_application_from_starting() {
    let backup = Backup::new("exit 0");
    fs::write(backup.0.path("admit"), "echo 'no service'; exit 8").expect("a file");
    let said = backup.run("start");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.errors.contains("no service"), "{said:?}");
    fs::write(backup.0.path("admit"), "exec sleep 600").expect("a file");
    let quick = "shift 3; exec /usr/bin/timeout 0.2 \"$@\"";
    backup.0.script("bin/timeout", quick);
    assert_eq!(backup.run("start").code, 0);
    assert_eq!(backup.run("monitor").code, 0);
    // It is told again until it does, and then no more.
    fs::remove_file(backup.0.path("asked")).expect("it was asked");
    fs::write(backup.0.path("admit"), "exit 0").expect("a file");
    for _ in 0..2 {
        assert_eq!(backup.run("monitor").code, 0);
        assert_eq!(backup.0.file("asked").lines().count(), 1);
    }
}

#[test]
fn r14_what_does_not_let_go_is_killed_and_nothing_else_is() {
    let backup = Backup::new("exit 1");
    let mut held = [
        backup.holds("lh-mover", "mount/file"),
        backup.holds("lh-mover", "mount"),
    ];
    let mut free = [
        backup.holds("lh-mover", "mount2/file"),
        backup.holds("other", "mount/file"),
    ];
    let said = backup.run("stop");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(held.iter_mut().all(|holder| !holder.is_alive()));
    assert!(free.iter_mut().all(Holder::is_alive));
    assert!(said.errors.contains("is killed"), "{said:?}");
}

#[test]
fn r14_a_service_that_does_not_answer_has_twenty_seconds() {
    let backup = Backup::new("exec sleep 600");
    let asked = backup.0.at("timeout");
    let quick = format!("echo \"$1 $2 $3\" >>{asked}; shift 3; exec /usr/bin/timeout 0.2 \"$@\"");
    backup.0.script("bin/timeout", &quick);
    let mut holder = backup.holds("lh-mover", "mount/file");
    assert_eq!(backup.run("stop").code, 0);
    assert!(!holder.is_alive());
    assert_eq!(backup.0.file("timeout"), "-k 1 20\n");
}

#[test]
fn r14_a_mount_point_is_a_path_and_not_all_of_them() {
    let backup = Backup::new("exit 1");
    let mut holder = backup.holds("lh-mover", "mount/file");
    for no in ["", "/", "srv/db"] {
        let variables = [("OCF_RESKEY_mount", no)];
        assert_eq!(backup.with("validate-all", &variables).code, 6, "{no}");
        assert_eq!(backup.with("start", &variables).code, 6, "{no}");
        assert_eq!(backup.with("stop", &variables).code, 0, "{no}");
    }
    assert!(holder.is_alive());
    assert!(!Path::new(&backup.0.at("asked")).exists());
    let missing = [("OCF_RESKEY_binary", "/nonexistent/lh-mover")];
    assert_eq!(backup.with("start", &missing).code, 5);
    // A slash behind it changes nothing.
    let slash = format!("{}/", backup.0.at("mount"));
    assert_eq!(backup.with("stop", &[("OCF_RESKEY_mount", &slash)]).code, 0);
    assert!(!holder.is_alive());
}
