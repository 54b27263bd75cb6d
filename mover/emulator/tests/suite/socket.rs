//! The library behind a socket: who has a path, and what becomes of a command
//! whose client dies.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use longhaul_emulator::socket::{Address, CONNECTIONS_MAX, ConnectError, Remote, Server};
use longhaul_emulator::{Error, Library};
use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::Cdb;
use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Data, Outcome, Request, Transport, TransportError};
use tempfile::TempDir;

use crate::cabinet::*;
use crate::rig::{read, write};

/// Names a device for [`the_child_holds_a_path_until_it_is_killed`].
const PATH: &str = "LONGHAUL_SOCKET_PATH";
const READY: [u8; 6] = [0; 6];

struct Served {
    server: Option<Server>,
    changer: String,
    drive: String,
    dir: TempDir,
}

impl Served {
    fn new() -> Served {
        let dir = tempfile::tempdir().expect("temporary folder");
        let lib = dir.path().join("lib");
        Library::create(&lib, &plan()).expect("a library");
        let library = Library::open(&lib).expect("it opens");
        let host = Host::new(&library.units()[0], "operator");
        host.good(&move_medium(SLOT, DRIVE));
        Served::with(dir, library)
    }

    fn with(dir: TempDir, library: Library) -> Served {
        let serials: Vec<String> = library.units().iter().map(|unit| unit.serial()).collect();
        let library = Arc::new(library);
        let server = Server::start(library, &dir.path().join("sock")).expect("it listens");
        Served {
            server: Some(server),
            changer: serials[0].clone(),
            drive: serials[1].clone(),
            dir,
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    fn address(&self, serial: &str, initiator: &str) -> Address {
        Address {
            socket: self.socket(),
            serial: serial.to_owned(),
            initiator: Some(initiator.to_owned()),
        }
    }

    /// A path to the first drive, its attentions taken.
    fn drive(&self, initiator: &str) -> Remote {
        let address = self.address(&self.drive, initiator);
        let mut remote = Remote::connect(address).expect("a path");
        for _ in 0..3 {
            run(&mut remote, &READY);
        }
        remote
    }
}

fn request(cdb: &[u8], data: Data) -> Request {
    Request {
        cdb: Cdb::new(cdb),
        data,
        timeout: Duration::from_secs(10),
    }
}

fn run(remote: &mut Remote, cdb: &[u8]) -> Outcome {
    remote.execute(request(cdb, Data::None)).outcome
}

fn write_block(remote: &mut Remote, block: &[u8]) -> Outcome {
    let mut buffer = Buffer::zeroed(block.len().max(1));
    buffer[..block.len()].copy_from_slice(block);
    let len = block.len();
    remote
        .execute(request(&write(len as u32), Data::Out { buffer, len }))
        .outcome
}

fn read_block(remote: &mut Remote, len: usize) -> (Outcome, Vec<u8>) {
    let buffer = Buffer::zeroed(len);
    let done = remote.execute(request(&read(len as u32, 2), Data::In { buffer, len }));
    let moved = len - done.outcome.residual as usize;
    let buffer = done.data.into_buffer().expect("it comes back");
    (done.outcome, buffer[..moved].to_vec())
}

#[test]
fn blocks_go_out_and_back() {
    let served = Served::new();
    let mut drive = served.drive("a");
    assert_eq!(drive.name(), served.address(&served.drive, "a").to_string());
    let block: Vec<u8> = (0..700_000_u32).map(|n| n as u8).collect();
    assert_eq!(write_block(&mut drive, &block), Outcome::good());
    assert_eq!(run(&mut drive, &[0x10, 0, 0, 0, 1, 0]), Outcome::good());
    assert_eq!(run(&mut drive, &[0x01, 0, 0, 0, 0, 0]), Outcome::good());
    let (outcome, data) = read_block(&mut drive, 1 << 20);
    assert_eq!(outcome.status, Ok(Status::Good));
    assert_eq!(outcome.residual, (1 << 20) - 700_000);
    assert!(data == block);
    let (outcome, data) = read_block(&mut drive, 1 << 20);
    let sense = outcome.sense.expect("a filemark");
    assert!(sense.filemark && data.is_empty());
    assert_eq!(outcome.status, Ok(Status::CheckCondition));
}

#[test]
fn two_initiators_and_a_reservation() {
    let served = Served::new();
    let (mut a, mut b) = (served.drive("a"), served.drive("b"));
    let reserve = |remote: &mut Remote, action, kind, key: u64, new: u64| {
        let list = [&key.to_be_bytes()[..], &new.to_be_bytes(), &[0; 8]].concat();
        let mut buffer = Buffer::zeroed(24);
        buffer[..24].copy_from_slice(&list);
        let cdb = [0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0];
        remote
            .execute(request(&cdb, Data::Out { buffer, len: 24 }))
            .outcome
    };
    assert_eq!(reserve(&mut a, 0, 0, 0, 10).status, Ok(Status::Good));
    assert_eq!(reserve(&mut a, 1, 3, 10, 0).status, Ok(Status::Good));
    assert_eq!(
        write_block(&mut b, b"no").status,
        Ok(Status::ReservationConflict)
    );
    assert_eq!(write_block(&mut a, b"yes").status, Ok(Status::Good));
    // The nexus outlives the connection.
    drop(a);
    assert_eq!(
        write_block(&mut b, b"no").status,
        Ok(Status::ReservationConflict)
    );
    let mut a = Remote::connect(served.address(&served.drive, "a")).expect("free again");
    assert_eq!(
        write_block(&mut a, b"yes").status,
        Ok(Status::Good),
        "no attention either"
    );
    // A takeover.
    assert_eq!(reserve(&mut b, 0, 0, 0, 20).status, Ok(Status::Good));
    assert_eq!(reserve(&mut b, 5, 3, 20, 10).status, Ok(Status::Good));
    assert_eq!(write_block(&mut b, b"mine").status, Ok(Status::Good));
    let told = write_block(&mut a, b"no").sense.expect("an attention");
    assert!(told.is(SenseKey::UnitAttention, 0x2a, 0x05));
    assert_eq!(
        write_block(&mut a, b"no").status,
        Ok(Status::ReservationConflict)
    );
}

#[test]
fn a_path_has_one_process_at_a_time() {
    let served = Served::new();
    let first = served.drive("a");
    let error = Remote::connect(served.address(&served.drive, "a")).expect_err("in use");
    let ConnectError::InUse { pid, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*pid, std::process::id());
    served.drive("b");
    Remote::connect(served.address(&served.changer, "a")).expect("another device");
    drop(first);
    served.drive("a");
}

#[test]
fn who_is_not_there_is_named() {
    let served = Served::new();
    let error = Remote::connect(served.address("NONE", "a")).expect_err("no such drive");
    assert!(
        matches!(error, ConnectError::NoSuchDevice { .. }),
        "{error}"
    );
    let mut nowhere = served.address(&served.drive, "a");
    nowhere.socket = served.dir.path().join("none");
    let error = Remote::connect(nowhere).expect_err("nobody listens");
    assert!(matches!(error, ConnectError::NotServed { .. }), "{error}");
}

#[test]
fn bad_bytes_close_the_connection_and_disturb_nobody() {
    let served = Served::new();
    let mut drive = served.drive("a");
    let hello = |initiator: &str| {
        let serial = &served.drive;
        let mut bytes = b"LHVTL\0\0\x01\0\0\0\x07".to_vec();
        bytes.extend([serial.len() as u8, initiator.len() as u8]);
        bytes.extend([serial.as_bytes(), initiator.as_bytes()].concat());
        bytes
    };
    let closes = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(served.socket()).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a socket");
        // The server may close before all is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        answer
    };
    assert_eq!(closes(b"GET / HTTP/1.1\r\n\r\n"), [4, 0, 0, 0, 0]);
    assert_eq!(closes(&[0; 64]), [4, 0, 0, 0, 0]);
    assert_eq!(
        closes(&[&hello("x")[..], &[0; 9]].concat())[..1],
        [0],
        "no CDB"
    );
    closes(&[&hello("x")[..], &[6, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]].concat());
    closes(&[&hello("x")[..], &[6, 0, 0, 0, 0, 0xff, 0, 0, 0]].concat());
    closes(&[&hello("x")[..], &[33, 0, 0, 0, 0, 0, 0, 0, 0]].concat());
    assert_eq!(write_block(&mut drive, b"still there"), Outcome::good());
}

#[test]
fn half_a_command_is_none() {
    let served = Served::new();
    let mut drive = served.drive("a");
    drop(drive);
    let serial = &served.drive;
    let mut bytes = b"LHVTL\0\0\x01\0\0\0\x07".to_vec();
    bytes.extend([serial.len() as u8, 1]);
    bytes.extend([serial.as_bytes(), b"a"].concat());
    bytes.extend([6, 0, 0, 0, 100, 0, 0, 0, 0]);
    bytes.extend(write(100));
    bytes.extend([0; 99]);
    let mut stream = UnixStream::connect(served.socket()).expect("it listens");
    stream.write_all(&bytes).expect("sent");
    drop(stream);
    drive = served.drive("a");
    let buffer = Buffer::zeroed(32);
    let cdb = [0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    let done = drive.execute(request(&cdb, Data::In { buffer, len: 32 }));
    assert_eq!(done.outcome, Outcome::good());
    assert_eq!(
        done.data.into_buffer().expect("back")[8..16],
        [0; 8],
        "nothing was written"
    );
}

/// Runs only as the child of the test below; by itself it has nothing to do.
#[test]
fn the_child_holds_a_path_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let address = path.to_str().expect("text").parse().expect("an address");
    let mut remote = Remote::connect(address).expect("a path");
    for _ in 0..3 {
        run(&mut remote, &READY);
    }
    for number in 0_u8.. {
        assert_eq!(
            write_block(&mut remote, &[number; 1000]).status,
            Ok(Status::Good)
        );
        println!("\naccepted {number}");
        if number == 20 {
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

#[test]
fn a_drive_outlives_its_mover() {
    let served = Served::new();
    let address = format!(
        "vtape:unix:{}#{}?initiator=a",
        served.socket().display(),
        served.drive
    );
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "socket::the_child_holds_a_path_until_it_is_killed",
            "--nocapture",
        ])
        .env(PATH, address)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut stdout = child.stdout.take().expect("piped");
    let mut said = String::new();
    while !said.contains("accepted 20") {
        let mut bytes = [0; 256];
        let got = stdout.read(&mut bytes).expect("a pipe");
        assert_ne!(got, 0, "{said}");
        said += &String::from_utf8_lossy(&bytes[..got]);
    }
    let error = Remote::connect(served.address(&served.drive, "a")).expect_err("in use");
    assert!(
        matches!(error, ConnectError::InUse { pid, .. } if pid == child.id()),
        "{error}"
    );
    child.kill().expect("killed");
    child.wait().expect("gone");
    // The drive goes on by itself.
    let server = served.server.as_ref().expect("it serves");
    let longhaul_emulator::Unit::Drive(drive) = &server.library().units()[1] else {
        panic!("a drive")
    };
    let until = Instant::now() + Duration::from_secs(5);
    while !drive.lock().expect("whole").object_buffer().is_empty() {
        assert!(Instant::now() < until, "the drive does not go on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let objects = drive
        .lock()
        .expect("whole")
        .medium()
        .expect("there")
        .objects();
    assert_eq!(objects, 21);
    // Its successor is the same nexus, and meets no attention.
    let mut successor = Remote::connect(served.address(&served.drive, "a")).expect("free");
    assert_eq!(run(&mut successor, &READY), Outcome::good());
}

#[test]
fn a_hang_is_a_timeout_and_the_path_is_back_afterwards() {
    let served = Served::new();
    let server = served.server.as_ref().expect("it serves");
    let longhaul_emulator::Unit::Drive(drive) = &server.library().units()[1] else {
        panic!("a drive")
    };
    let mut remote = served.drive("a");
    let plan = "[[fault]]\nopcode = \"TEST UNIT READY\"\nhang = \"1min\"\n";
    drive
        .lock()
        .expect("whole")
        .set_faults(longhaul_emulator::faults::Plan::parse(plan).expect("a plan"));
    let started = Instant::now();
    let late = Request {
        timeout: Duration::from_millis(300),
        ..request(&READY, Data::None)
    };
    let outcome = remote.execute(late).outcome;
    assert_eq!(outcome.status, Err(TransportError::TimedOut));
    assert_eq!(run(&mut remote, &READY), Outcome::good());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_orderly_end_moves_everything_to_the_medium() {
    let mut served = Served::new();
    let mut drive = served.drive("a");
    assert_eq!(write_block(&mut drive, b"last words"), Outcome::good());
    served.server = None;
    assert_eq!(
        run(&mut drive, &READY).status,
        Err(TransportError::Disrupted)
    );
    assert_eq!(
        run(&mut drive, &READY).status,
        Err(TransportError::NoConnect)
    );
    assert!(!served.socket().exists());
    let Served { dir, .. } = served;
    let library = Library::open(&dir.path().join("lib")).expect("free");
    let served = Served::with(dir, library);
    let mut drive = served.drive("a");
    assert_eq!(read_block(&mut drive, 10).1, b"last words");
}

#[test]
fn a_socket_is_replaced_only_if_nobody_listens() {
    let served = Served::new();
    let other = tempfile::tempdir().expect("temporary folder");
    let library = |name: &str| {
        let lib = other.path().join(name);
        Library::create(&lib, &plan()).expect("a library");
        Arc::new(Library::open(&lib).expect("it opens"))
    };
    let error = Server::start(library("a"), &served.socket()).expect_err("somebody listens");
    assert!(matches!(error, Error::Held { .. }), "{error}");
    let file = other.path().join("file");
    std::fs::write(&file, b"precious").expect("written");
    let error = Server::start(library("b"), &file).expect_err("no socket");
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&file).expect("still there"), b"precious");
    let stale = other.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("bound"));
    let server = Server::start(library("c"), &stale).expect("nobody listens there");
    assert!(UnixStream::connect(&stale).is_ok());
    drop(server);
}

#[test]
fn connections_are_counted() {
    let served = Served::new();
    let open: Vec<Remote> = (0..CONNECTIONS_MAX)
        .map(|n| {
            let address = served.address(&served.drive, &format!("host-{n}"));
            Remote::connect(address).expect("room")
        })
        .collect();
    let error = Remote::connect(served.address(&served.drive, "one more")).expect_err("full");
    assert!(matches!(error, ConnectError::TooMany { .. }), "{error}");
    drop(open);
    served.drive("one more");
}

#[test]
fn the_changer_is_behind_the_socket_too() {
    let served = Served::new();
    let mut changer = Remote::connect(served.address(&served.changer, "a")).expect("a path");
    run(&mut changer, &READY);
    assert_eq!(
        run(&mut changer, &move_medium(SLOT + 1, DRIVE + 1)),
        Outcome::good()
    );
    let outcome = run(&mut changer, &move_medium(SLOT + 1, DRIVE + 1));
    assert!(
        outcome
            .sense
            .expect("empty")
            .is(SenseKey::IllegalRequest, 0x3b, 0x0e)
    );
    assert!(Path::new(&served.socket()).exists());
}
