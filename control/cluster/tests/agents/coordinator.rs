//! `ocf:longhaul:coordinator`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::stage::{Said, Stage};

/// An `lh-control` that serves, and answers, as files in its folder say.
const LH_CONTROL: &str = r#"
dir=$2
case "$*" in
*serve)
    [ -e "$dir/dead" ] && { echo "the database is held" >&2; exit 5; }
    [ -e "$dir/deaf" ] && trap '' TERM
    : >"$dir/serving"
    exec sleep 600 ;;
*"--patience 0 status")
    [ -e "$dir/hangs" ] && exec sleep 600
    if [ -e "$dir/serving" ] && ! [ -e "$dir/never" ]; then exit 0; fi
    : >"$dir/asked"
    echo "cannot reach the coordinator" >&2; exit 8 ;;
*) exit 2 ;;
esac
"#;

struct Coordinator(Stage);

impl Coordinator {
    fn new() -> Coordinator {
        let stage = Stage::new("coordinator");
        stage.script("lh-control", LH_CONTROL);
        fs::write(stage.path("dir/coordinator.toml"), "").expect("a file");
        // Whoever it runs as.
        let mode = fs::Permissions::from_mode(0o777);
        fs::set_permissions(stage.path("dir"), mode).expect("its mode");
        Coordinator(stage)
    }

    fn run(&self, action: &str) -> Said {
        self.with(action, &[])
    }

    fn with(&self, action: &str, more: &[(&str, &str)]) -> Said {
        let (binary, dir) = (self.0.at("lh-control"), self.0.at("dir"));
        let log = self.0.at("log");
        let mut variables = vec![
            ("OCF_RESKEY_binary", binary.as_str()),
            ("OCF_RESKEY_dir", &dir),
            ("OCF_RESKEY_log", &log),
            // What is around Pacemaker is not for what it starts.
            ("NOTIFY_SOCKET", "/run/systemd/notify"),
        ];
        variables.extend(more);
        self.0.run(action, &variables)
    }

    fn is(&self, file: &str) {
        fs::write(self.0.path("dir").join(file), "").expect("a file");
    }

    fn pid(&self) -> Option<u32> {
        let text = self.0.file("run/longhaul-it.pid");
        text.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Coordinator {
    /// Whatever a test that failed has left.
    fn drop(&mut self) {
        if self.pid().is_some() {
            self.with("stop", &[("OCF_RESKEY_CRM_meta_timeout", "1")]);
        }
    }
}

#[test]
fn r13_start_waits_until_it_serves_and_stop_until_it_is_gone() {
    if skipped() {
        return;
    }
    let coordinator = Coordinator::new();
    assert_eq!(coordinator.run("validate-all").code, 0);
    assert_eq!(coordinator.run("monitor").code, 7);
    let said = coordinator.run("start");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(coordinator.0.path("dir/serving").exists());
    let pid = coordinator.pid().expect("it is written down");
    assert_eq!(coordinator.run("monitor").code, 0);
    let environment = fs::read(format!("/proc/{pid}/environ")).expect("it runs");
    let text = String::from_utf8_lossy(&environment);
    assert!(!text.contains("NOTIFY_SOCKET"), "{text}");
    // Said again, it changes nothing.
    assert_eq!(coordinator.run("start").code, 0);
    assert_eq!(coordinator.pid(), Some(pid));
    assert_eq!(coordinator.run("stop").code, 0);
    assert!(!is_there(pid));
    assert_eq!(coordinator.run("monitor").code, 7);
    assert_eq!(coordinator.run("stop").code, 0);
}

#[test]
fn r13_one_that_lives_and_does_not_answer_has_failed() {
    if skipped() {
        return;
    }
    let coordinator = Coordinator::new();
    assert_eq!(coordinator.run("start").code, 0);
    let pid = coordinator.pid().expect("it runs");
    coordinator.is("never");
    let said = coordinator.run("monitor");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.errors.contains("cannot reach the coordinator"),
        "{said:?}"
    );
    // Started again, it is another one.
    fs::remove_file(coordinator.0.path("dir/never")).expect("a file");
    assert_eq!(coordinator.run("start").code, 0);
    assert!(!is_there(pid) || coordinator.pid() == Some(pid));
    // One that is killed does not run.
    let pid = coordinator.pid().expect("it runs");
    kill("-KILL", pid);
    let begun = Instant::now();
    while is_there(pid) && begun.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(coordinator.run("monitor").code, 7);
}

#[test]
fn r13_an_answer_that_does_not_come_is_not_waited_for() {
    if skipped() {
        return;
    }
    let coordinator = Coordinator::new();
    assert_eq!(coordinator.run("start").code, 0);
    // It would take ten seconds.
    let asked = coordinator.0.at("asked");
    let quick = format!("echo \"$1 $2 $3\" >>{asked}; shift 3; exec /usr/bin/timeout 0.2 \"$@\"");
    coordinator.0.script("bin/timeout", &quick);
    coordinator.is("hangs");
    let begun = Instant::now();
    assert_eq!(coordinator.run("monitor").code, 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(coordinator.0.file("asked"), "-k 2 10\n");
}

#[test]
fn r13_one_that_ends_at_once_is_a_failed_start_that_says_why() {
    if skipped() {
        return;
    }
    let coordinator = Coordinator::new();
    coordinator.is("dead");
    let said = coordinator.run("start");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.errors.contains("the database is held"), "{said:?}");
    assert_eq!(coordinator.run("monitor").code, 7);
}

#[test]
fn r13_one_that_does_not_end_is_killed() {
    if skipped() {
        return;
    }
    let coordinator = Coordinator::new();
    coordinator.is("deaf");
    assert_eq!(coordinator.run("start").code, 0);
    let pid = coordinator.pid().expect("it runs");
    let begun = Instant::now();
    let said = coordinator.with("stop", &[("OCF_RESKEY_CRM_meta_timeout", "6000")]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.errors.contains("is killed"), "{said:?}");
    // Of six seconds, five are left for SIGKILL.
    let elapsed = begun.elapsed();
    assert!((1..5).contains(&elapsed.as_secs()), "{elapsed:?}");
    assert!(!is_there(pid));
}

#[test]
fn r13_a_process_that_has_the_number_later_is_left_alone() {
    let coordinator = Coordinator::new();
    let mut other = Command::new("sleep").arg("600").spawn().expect("a process");
    let words = format!("{} 1\n", other.id());
    fs::write(coordinator.0.path("run/longhaul-it.pid"), words).expect("a file");
    let monitored = coordinator.run("monitor").code;
    let stopped = coordinator.run("stop").code;
    let is_alive = matches!(other.try_wait(), Ok(None));
    let _ = other.kill();
    let _ = other.wait();
    assert_eq!((monitored, stopped, is_alive), (7, 0, true));
    for words in ["", "x y\n", "1\n", "-1 5\n", "99999999 1\n"] {
        fs::write(coordinator.0.path("run/longhaul-it.pid"), words).expect("a file");
        assert_eq!(coordinator.run("monitor").code, 7, "{words:?}");
        assert_eq!(coordinator.run("stop").code, 0, "{words:?}");
    }
}

#[test]
fn r13_what_is_wrong_on_this_node_and_what_is_everywhere_are_told_apart() {
    let coordinator = Coordinator::new();
    let code = |action, variable, value: &str| coordinator.with(action, &[(variable, value)]).code;
    assert_eq!(code("validate-all", "OCF_RESKEY_dir", "here"), 6);
    assert_eq!(code("validate-all", "OCF_RESKEY_binary", "/nonexistent"), 5);
    assert_eq!(code("validate-all", "OCF_RESKEY_user", "no-such-user"), 5);
    assert_eq!(code("start", "OCF_RESKEY_dir", "/nonexistent"), 5);
    // A probe on a node where nothing is installed, and nothing mounted.
    assert_eq!(code("monitor", "OCF_RESKEY_binary", "/nonexistent"), 7);
    assert_eq!(code("stop", "OCF_RESKEY_binary", "/nonexistent"), 0);
}

#[test]
fn r13_it_runs_as_the_user_that_is_said() {
    if skipped() {
        return;
    }
    let coordinator = Coordinator::new();
    let said = coordinator.with("start", &[("OCF_RESKEY_user", "nobody")]);
    assert_eq!(said.code, 0, "{said:?}");
    let pid = coordinator.pid().expect("it runs");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("Uid:"));
    let ids: Vec<_> = line.expect("a user").split_whitespace().skip(1).collect();
    assert!(ids.iter().all(|id| *id != "0"), "{ids:?}");
    assert_eq!(coordinator.run("stop").code, 0);
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("proc");
    status.contains("Uid:\t0\t0\t0\t0")
}

fn skipped() -> bool {
    if !is_root() {
        eprintln!("SKIPPED: the agent starts programs as another user, which needs root");
    }
    !is_root()
}

fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    Path::new(&format!("/proc/{pid}")).exists() && !stat.contains(") Z ")
}

fn kill(signal: &str, pid: u32) {
    let killed = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(killed.expect("kill").success());
}
