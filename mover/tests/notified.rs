//! What systemd hears of a backup service, and what it does on SIGHUP: the real
//! program, on a real socket.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use longhaul_link::{Authority, Role};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);

/// Killed unless it has ended.
struct Service(Child);

impl Service {
    fn start(dir: &Path, socket: &Path) -> Service {
        let child = Command::new(env!("CARGO_BIN_EXE_lh-mover"))
            .args(["-v", "serve", "--config"])
            .arg(dir.join("mover.toml"))
            .env("NOTIFY_SOCKET", socket)
            .env("WATCHDOG_USEC", "600000")
            .stderr(File::create(dir.join("log")).expect("a log"))
            .spawn();
        Service(child.expect("a service"))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("told");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn heard(socket: &UnixDatagram, wanted: &str) {
    let begun = Instant::now();
    let mut all = String::new();
    while begun.elapsed() < PATIENCE {
        let mut bytes = [0; 4096];
        let count = socket.recv(&mut bytes).expect("it says something");
        let said = String::from_utf8_lossy(&bytes[..count]);
        if said.lines().any(|line| line == wanted) {
            return;
        }
        all += &said;
    }
    panic!("no {wanted} in {all}");
}

fn logged(dir: &Path, wanted: &str) {
    let begun = Instant::now();
    let log = || fs::read_to_string(dir.join("log")).expect("a log");
    while !log().contains(wanted) {
        assert!(begun.elapsed() < PATIENCE, "no {wanted:?} in {}", log());
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn systemd_hears_of_a_service_which_reads_its_file_again_when_it_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let authority = Authority::create(&dir.join("ca")).expect("an authority");
    let role = Role::Node("db1".parse().expect("a name"));
    let tls = dir.join("tls");
    authority.issue(&role, 30, &tls).expect("a certificate");
    // Nobody listens there: a service does without a coordinator.
    let file = |more: &str| {
        let text = "coordinator = \"127.0.0.1:9\"\ntls = \"tls\"\nstate = \"state\"\n";
        let text = format!("{text}socket = \"sock\"\ndiscover = false\n{more}\n");
        fs::write(dir.join("mover.toml"), text).expect("written");
    };
    file("");
    let path = dir.join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut service = Service::start(dir, &path);
    heard(&socket, "READY=1");
    heard(&socket, "WATCHDOG=1");
    heard(&socket, "WATCHDOG=1");

    file("checkpoint_s = 0");
    service.signal(Signal::SIGHUP);
    logged(dir, "not reloaded: ");
    let drive = dir.join("drive.vtape");
    file(&format!("drives = [\"vtape:{}\"]", drive.display()));
    service.signal(Signal::SIGHUP);
    logged(dir, "was read again");
    // It looks at the drive that it is told of, which makes it.
    let begun = Instant::now();
    while !drive.exists() {
        assert!(begun.elapsed() < PATIENCE, "it does not look");
        sleep(Duration::from_millis(20));
    }
    heard(&socket, "WATCHDOG=1");
    service.signal(Signal::SIGTERM);
    heard(&socket, "STOPPING=1");
    assert!(service.0.wait().expect("it ends").success());
}
