//! What programs of its node ask of a backup service, and who may: the real
//! programs, on a real socket.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use longhaul_link::{Authority, Role};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
/// Somebody who is neither root nor the service's user.
const SOMEBODY: &str = "65534";
const ALERT: [(&str, &str); 5] = [
    ("CRM_alert_kind", "node"),
    ("CRM_alert_node", "db2"),
    ("CRM_alert_desc", "lost"),
    ("CRM_alert_node_sequence", "7"),
    ("CRM_alert_timestamp_epoch", "1764111600"),
];

/// A node: its folder, and its service. That is killed unless it has ended.
struct Node {
    dir: TempDir,
    service: Option<Child>,
}

impl Node {
    fn new() -> Node {
        let dir = tempfile::tempdir().expect("a folder");
        let node = Node { dir, service: None };
        // Somebody else is to find his way.
        fs::set_permissions(node.dir.path(), Permissions::from_mode(0o755)).expect("its mode");
        let authority = Authority::create(&node.path("ca")).expect("an authority");
        let role = Role::Node("db1".parse().expect("a name"));
        authority
            .issue(&role, 30, &node.path("tls"))
            .expect("a certificate");
        // Nobody listens there: a service does without a coordinator.
        let text = "coordinator = \"127.0.0.1:9\"\ntls = \"tls\"\nstate = \"state\"\n\
                    socket = \"run/sock\"\ndiscover = false\n";
        fs::write(node.path("mover.toml"), text).expect("written");
        // He may not find the way to the build's. It is written by another process:
        // what a test has open for writing, a child may have, too.
        let copied = Command::new("cp")
            .args([env!("CARGO_BIN_EXE_lh-mover"), "."])
            .current_dir(node.dir.path())
            .status();
        assert!(copied.expect("cp").success());
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn serves(&mut self) {
        let child = Command::new(self.path("lh-mover"))
            .args(["-vv", "serve", "--config"])
            .arg(self.path("mover.toml"))
            .stderr(File::create(self.path("log")).expect("a log"))
            .spawn();
        self.service = Some(child.expect("a service"));
        self.logged("the backup service of node db1 runs");
    }

    fn dies(&mut self) {
        let mut service = self.service.take().expect("a service");
        service.kill().expect("killed");
        service.wait().expect("it is gone");
    }

    fn logged(&self, wanted: &str) {
        let begun = Instant::now();
        let log = || fs::read_to_string(self.path("log")).expect("a log");
        while !log().contains(wanted) {
            assert!(begun.elapsed() < PATIENCE, "no {wanted:?} in {}", log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Has somebody, or whoever runs this test, ask.
    fn asks(&self, somebody: bool, args: &[&str]) -> Said {
        let program = self.path("lh-mover");
        let mut command = match somebody {
            false => Command::new(program),
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups"]);
                command.arg(program);
                command
            }
        };
        command
            .args(args)
            .arg("--config")
            .arg(self.path("mover.toml"));
        Said(command.envs(ALERT).output().expect("it is run"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

struct Said(Output);

impl Said {
    #[track_caller]
    fn is(&self, code: i32, words: &str) {
        let said = String::from_utf8_lossy(&self.0.stderr);
        assert_eq!(self.0.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("SKIP: only root can be somebody else");
    }
    is_root
}

#[test]
fn r21_anybody_may_hand_over_an_alert_and_nothing_else() {
    let mut node = Node::new();
    node.serves();
    node.asks(false, &["alert"]).is(0, "");
    node.logged("alert: db2: Node { state: Lost }");
    node.asks(false, &["release", "/srv/pg"]).is(0, "");
    node.logged("/srv/pg is released");
    node.asks(false, &["admit", "/srv/pg"]).is(0, "");
    node.logged("/srv/pg is admitted");
    if !is_root() {
        return;
    }
    File::create(node.path("log")).expect("a log");
    node.asks(true, &["alert"]).is(0, "");
    node.logged("alert: db2: Node { state: Lost }");
    for what in ["release", "admit"] {
        node.asks(true, &[what, "/srv/pg"]).is(4, "user 65534");
    }
    let log = fs::read_to_string(node.path("log")).expect("a log");
    assert!(!log.contains("is released"), "{log}");
    // Who may not read the file asks where a service usually listens.
    let secret = Permissions::from_mode(0o600);
    fs::set_permissions(node.path("mover.toml"), secret).expect("its mode");
    node.asks(true, &["release", "/srv/pg"]).is(2, "mover.toml");
    let said = node.asks(true, &["alert"]);
    let usual = Path::new("/run/longhaul/mover.sock");
    if !usual.exists() {
        said.is(8, usual.to_str().expect("text"));
    }
}

#[test]
fn r14_without_a_service_all_is_released_and_its_socket_is_nobodys() {
    let mut node = Node::new();
    node.asks(false, &["release", "/srv/pg"]).is(0, "");
    node.serves();
    node.asks(false, &["release", "srv"]).is(4, "absolute");
    node.dies();
    assert!(node.path("run/sock").exists());
    node.asks(false, &["alert"])
        .is(8, "no backup service listens");
    node.asks(false, &["release", "/srv/pg"]).is(0, "");
    node.asks(false, &["admit", "/srv/pg"]).is(0, "");

    node.serves();
    node.asks(false, &["alert"]).is(0, "");
    // Nobody can know what is open if it runs and cannot be asked.
    fs::remove_file(node.path("run/sock")).expect("removed");
    node.asks(false, &["release", "/srv/pg"])
        .is(5, "does not listen");
}

#[test]
fn what_is_no_alert_is_not_handed_over() {
    let node = Node::new();
    let said = Command::new(node.path("lh-mover"))
        .args(["alert", "--config"])
        .arg(node.path("mover.toml"))
        .env_clear()
        .env("CRM_alert_kind", "weather")
        .output();
    Said(said.expect("it is run")).is(2, "CRM_alert_kind=\"weather\"");
}
