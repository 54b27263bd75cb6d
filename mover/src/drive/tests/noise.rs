//! A drive that answers anything at all: errors, never panics, and never
//! without end.

use std::time::Duration;

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::spc::opcode;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Completion, Data, Outcome, Request, Transport, TransportError};
use proptest::prelude::*;

use super::super::{Drive, Key, Patience, VolumeIdentity};

/// One answer of the drive.
#[derive(Debug, Clone)]
struct Answer {
    outcome: Outcome,
    data: Vec<u8>,
}

/// Gives its answers in a circle, but says that it is a tape drive.
struct Noise {
    answers: Vec<Answer>,
    next: usize,
    done: Option<Completion>,
}

impl Transport for Noise {
    fn submit(&mut self, request: Request) {
        let answer = &self.answers[self.next % self.answers.len()];
        self.next += 1;
        let mut outcome = answer.outcome.clone();
        let mut data = request.data;
        if let Data::In { buffer, len } = &mut data {
            for (to, from) in buffer[..*len].iter_mut().zip(answer.data.iter().cycle()) {
                *to = *from;
            }
            if request.cdb.opcode() == opcode::INQUIRY {
                buffer[0] = 0x01;
                outcome = Outcome::good();
            }
        }
        self.done = Some(Completion { outcome, data });
    }

    fn complete(&mut self) -> Completion {
        self.done.take().expect("a command in flight")
    }

    fn name(&self) -> String {
        "noise".to_owned()
    }
}

fn statuses() -> impl Strategy<Value = Result<Status, TransportError>> {
    prop_oneof![
        6 => Just(Ok(Status::Good)),
        4 => Just(Ok(Status::CheckCondition)),
        1 => any::<u8>().prop_map(|byte| Ok(Status::from(byte))),
        1 => Just(Err(TransportError::TimedOut)),
        1 => Just(Err(TransportError::NotSent)),
        1 => any::<i32>().prop_map(|number| Err(TransportError::Other(number))),
    ]
}

fn senses() -> impl Strategy<Value = Sense> {
    let flags = any::<(bool, bool, bool, bool)>();
    (0..16_u8, any::<(u8, u8)>(), flags, any::<Option<u64>>()).prop_map(
        |(key, (asc, ascq), (filemark, eom, ili, rare), information)| Sense {
            deferred: rare && filemark && eom,
            filemark,
            eom,
            ili,
            information,
            ..Sense::new(SenseKey::from_low_bits(key), asc % 0x60, ascq % 8)
        },
    )
}

fn answers() -> impl Strategy<Value = Answer> {
    let data = proptest::collection::vec(any::<u8>(), 1..64);
    (statuses(), senses(), any::<i64>(), data).prop_map(|(status, sense, residual, data)| {
        let check = status == Ok(Status::CheckCondition);
        let outcome = Outcome {
            status,
            sense: check.then_some(sense),
            residual,
        };
        Answer { outcome, data }
    })
}

/// Everything that a drive can be asked; what comes of it does not matter.
fn use_it(drive: &mut Drive) {
    let _ = drive.ready(Duration::ZERO);
    let _ = drive.reserve(Key::new(0, 1));
    let _ = drive.prepare();
    let _ = drive.recover_position();
    for len in [1, 64] {
        let _ = drive.write(Buffer::zeroed(64), len);
        let _ = drive.read(Buffer::zeroed(64), len);
    }
    let _ = drive.write_filemarks(3, false);
    let _ = drive.frontier();
    let _ = drive.locate_in(1, u64::MAX);
    let _ = drive.space_blocks(-5);
    let _ = drive.space_filemarks(5);
    let _ = drive.locate_end_of_data();
    let _ = drive.rewind();
    let _ = drive.health();
    let identity = VolumeIdentity {
        barcode: Some("A".to_owned()),
        ..VolumeIdentity::default()
    };
    let _ = drive.write_volume_identity(&identity);
    let _ = drive.unload();
    let _ = drive.load(Duration::ZERO);
    let _ = drive.position();
    let _ = drive.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_answers_are_survived(answers in proptest::collection::vec(answers(), 1..24)) {
        let patience = Patience {
            busy: Duration::from_micros(200),
            path: Duration::from_micros(200),
            pause: Duration::from_micros(1),
            pause_max: Duration::from_micros(10),
            ..Patience::brief()
        };
        let noise = Noise { answers, next: 0, done: None };
        if let Ok(mut drive) = Drive::open_with(Box::new(noise), patience) {
            use_it(&mut drive);
        }
    }
}
