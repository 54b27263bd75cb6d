//! The door in the same process.

use std::time::{Duration, Instant};

use longhaul_emulator::{Emulated, Url};
use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::Cdb;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Data, Request, Transport, TransportError};

use crate::rig::*;

fn request(cdb: &[u8], data: Data) -> Request {
    Request {
        cdb: Cdb::new(cdb),
        data,
        timeout: Duration::from_secs(60),
    }
}

fn emulated(dir: &tempfile::TempDir, options: &str) -> Emulated {
    let url: Url = format!(
        "vtape:{}/a.vtape?capacity=16MiB{options}",
        dir.path().display()
    )
    .parse()
    .expect("a valid URL");
    let mut emulated = Emulated::create(&url).expect("new");
    emulated.execute(request(&[0; 6], Data::None));
    emulated
}

#[test]
fn buffers_come_back_with_the_outcome() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut tape = emulated(&dir, "");
    assert_eq!(
        tape.name(),
        format!("vtape:{}/a.vtape", dir.path().display())
    );
    let buffer = Buffer::from_slice(b"hello, tape");
    let at = buffer.as_ptr();
    tape.submit(request(&write(5), Data::Out { buffer, len: 5 }));
    let done = tape.complete();
    assert_eq!(
        (done.outcome.status, done.outcome.residual),
        (Ok(Status::Good), 0)
    );
    assert_eq!(done.data.into_buffer().expect("the buffer").as_ptr(), at);
    tape.execute(request(&[0x01, 0, 0, 0, 0, 0], Data::None));
    let buffer = Buffer::zeroed(100);
    let done = tape.execute(request(&read(100, 0), Data::In { buffer, len: 100 }));
    let sense = done.outcome.sense.expect("ILI");
    assert_eq!((sense.residual(), done.outcome.residual), (Some(95), 95));
    assert_eq!(&done.data.into_buffer().expect("the buffer")[..5], b"hello");
}

#[test]
fn a_second_path_is_a_nexus_of_its_own() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut first = emulated(&dir, "");
    let mut second = Emulated::attach(first.drive(), "host-b", "second".to_owned());
    let attention = second.execute(request(&[0; 6], Data::None)).outcome;
    assert!(attention.sense.is_some());
    let list = Buffer::from_slice(&[
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let register = [0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    first.execute(request(
        &register,
        Data::Out {
            buffer: list,
            len: 24,
        },
    ));
    let list = Buffer::from_slice(&[
        0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let reserve = [0x5f, 1, 3, 0, 0, 0, 0, 0, 24, 0];
    let held = first.execute(request(
        &reserve,
        Data::Out {
            buffer: list,
            len: 24,
        },
    ));
    assert_eq!(held.outcome.status, Ok(Status::Good));
    let refused = second.execute(request(&[0x01, 0, 0, 0, 0, 0], Data::None));
    assert_eq!(refused.outcome.status, Ok(Status::ReservationConflict));
}

#[test]
fn a_hang_beyond_the_timeout_is_a_timeout() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let plan = dir.path().join("plan.toml");
    std::fs::write(
        &plan,
        "[[fault]]\ncommand = 2\nhang = \"1h\"".replace("1h", "60min"),
    )
    .expect("write");
    let mut tape = emulated(&dir, &format!("&faults={}", plan.display()));
    let began = Instant::now();
    let mut hangs = request(&[0; 6], Data::None);
    hangs.timeout = Duration::from_millis(30);
    let outcome = tape.execute(hangs).outcome;
    assert_eq!(outcome.status, Err(TransportError::TimedOut));
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(
        tape.execute(request(&[0; 6], Data::None)).outcome.status,
        Ok(Status::Good)
    );
}

#[test]
fn the_real_clock_takes_its_time() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut tape = emulated(&dir, "&clock=real&buffer=2MiB");
    let began = Instant::now();
    for _ in 0..40 {
        let buffer = Buffer::zeroed(256 << 10);
        let done = tape.execute(request(
            &write(256 << 10),
            Data::Out {
                buffer,
                len: 256 << 10,
            },
        ));
        assert_eq!(done.outcome.status, Ok(Status::Good));
    }
    // 8 of 10 MiB must have left a buffer of 2, at 400 MB/s.
    assert!(
        began.elapsed() >= Duration::from_millis(20),
        "{:?}",
        began.elapsed()
    );
}
