//! What systemd hears of a coordinator: the real program, on a real socket.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use longhaul_control::setup;
use rustix::process::{Pid, Signal, kill_process};

/// Killed unless it has ended.
struct Coordinator(Child);

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn heard(socket: &UnixDatagram, wanted: &str) {
    let begun = Instant::now();
    let mut all = String::new();
    while begun.elapsed() < Duration::from_secs(60) {
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

#[test]
fn systemd_hears_that_it_is_ready_and_alive_and_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let listen = "127.0.0.1:0".parse().expect("an address");
    setup::init(dir.path(), None, listen, 30).expect("a cluster");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let timeout = Some(Duration::from_secs(60));
    socket.set_read_timeout(timeout).expect("a timeout");
    let child = Command::new(env!("CARGO_BIN_EXE_lh-control"))
        .arg("--dir")
        .arg(dir.path())
        .arg("serve")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "600000")
        .stderr(Stdio::null())
        .spawn();
    let mut coordinator = Coordinator(child.expect("a coordinator"));
    heard(&socket, "READY=1");
    heard(&socket, "WATCHDOG=1");
    heard(&socket, "WATCHDOG=1");
    let pid = i32::try_from(coordinator.0.id())
        .ok()
        .and_then(Pid::from_raw);
    let pid = pid.expect("a pid");
    // It reads its file again, and goes on.
    kill_process(pid, Signal::HUP).expect("told");
    heard(&socket, "WATCHDOG=1");
    kill_process(pid, Signal::TERM).expect("told");
    heard(&socket, "STOPPING=1");
    assert!(coordinator.0.wait().expect("it ends").success());
}
