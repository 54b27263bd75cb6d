//! Any sequence of commands, against the simplest tape there is: a list.

use longhaul_emulator::drive::Setup;
use longhaul_scsi::status::Status;
use proptest::prelude::*;

use crate::rig::*;

#[derive(Debug, Clone)]
enum Action {
    Write(Vec<u8>),
    Filemarks(u8, bool),
    Locate(u8),
    SpaceBlocks(i8),
    SpaceFilemarks(i8),
    SpaceEnd,
    Read,
    Rewind,
    Reopen,
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (any::<u8>(), 1_usize..3000).prop_map(|(byte, length)| Action::Write(vec![byte; length])),
        2 => (0_u8..3, any::<bool>()).prop_map(|(count, immediate)| Action::Filemarks(count, immediate)),
        2 => (0_u8..40).prop_map(Action::Locate),
        2 => (-9_i8..9).prop_map(Action::SpaceBlocks),
        2 => (-4_i8..4).prop_map(Action::SpaceFilemarks),
        1 => Just(Action::SpaceEnd),
        4 => Just(Action::Read),
        1 => Just(Action::Rewind),
        1 => Just(Action::Reopen),
    ]
}

/// `None` is a filemark.
#[derive(Default)]
struct Tape {
    objects: Vec<Option<Vec<u8>>>,
    at: usize,
}

impl Tape {
    fn record(&mut self, object: Option<Vec<u8>>) {
        self.objects.truncate(self.at);
        self.objects.push(object);
        self.at += 1;
    }

    /// Steps one object at a time; returns what was left when it had to stop.
    fn space(&mut self, count: i8, marks: bool) -> i64 {
        let mut left = i64::from(count.unsigned_abs());
        while left > 0 {
            let next = if count > 0 {
                Some(self.at)
            } else {
                self.at.checked_sub(1)
            };
            let Some(object) = next.and_then(|next| self.objects.get(next)) else {
                break;
            };
            let is_mark = object.is_none();
            self.at = if count > 0 { self.at + 1 } else { self.at - 1 };
            if is_mark && !marks {
                break;
            }
            left -= i64::from(is_mark == marks);
        }
        left
    }

    fn marks_before(&self) -> u64 {
        self.objects[..self.at]
            .iter()
            .filter(|object| object.is_none())
            .count() as u64
    }
}

fn apply(rig: &mut Rig, tape: &mut Tape, action: Action) {
    match action {
        Action::Write(block) => {
            assert_eq!(rig.write(&block).status, Ok(Status::Good));
            tape.record(Some(block));
        }
        Action::Filemarks(count, immediate) => {
            rig.good(&[0x10, u8::from(immediate), 0, 0, count, 0]);
            (0..count).for_each(|_| tape.record(None));
        }
        Action::Locate(object) => {
            let beyond = usize::from(object) > tape.objects.len();
            let ended = rig.locate(u64::from(object));
            assert_eq!(
                ended.sense.map(|sense| key_code(&sense)),
                beyond.then_some((8, 0, 5))
            );
            tape.at = usize::from(object).min(tape.objects.len());
        }
        Action::SpaceBlocks(count) => {
            let left = tape.space(count, false);
            let ended = rig.run(&space(0, i32::from(count)));
            assert_eq!(
                ended
                    .sense
                    .map_or(0, |sense| sense.residual().expect("residual")),
                left
            );
        }
        Action::SpaceFilemarks(count) => {
            let left = tape.space(count, true);
            let ended = rig.run(&space(1, i32::from(count)));
            assert_eq!(
                ended
                    .sense
                    .map_or(0, |sense| sense.residual().expect("residual")),
                left
            );
        }
        Action::SpaceEnd => {
            rig.good(&space(3, 0));
            tape.at = tape.objects.len();
        }
        Action::Read => {
            let (response, data) = rig.read(4000);
            match tape.objects.get(tape.at) {
                Some(Some(block)) => assert_eq!((&data, response.sense), (block, None)),
                Some(None) => assert!(sense(response).filemark),
                None => assert_eq!(key_code(&sense(response)), (8, 0x00, 0x05)),
            }
            tape.at = (tape.at + 1).min(tape.objects.len());
        }
        Action::Rewind => {
            rig.rewind();
            tape.at = 0;
        }
        Action::Reopen => {
            rig.synchronise();
            rig.power_cut();
            tape.at = 0;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_drive_is_a_list_with_a_position(list in proptest::collection::vec(actions(), 0..60)) {
        // A full cartridge is another test's matter; the buffer is often full.
        let setup = Setup { buffer_bytes: Some(64 << 10), ..Setup::default() };
        let mut rig = Rig::of(64 * MIB, setup);
        let mut tape = Tape::default();
        for action in list {
            apply(&mut rig, &mut tape, action);
            prop_assert_eq!(rig.place(), (tape.at as u64, tape.marks_before()));
        }
    }

    #[test]
    fn any_bytes_are_answered(
        commands in proptest::collection::vec(
            (
                prop_oneof![
                    proptest::sample::select(OPCODES.to_vec()),
                    any::<u8>(),
                ],
                proptest::collection::vec(any::<u8>(), 0..31),
                proptest::collection::vec(any::<u8>(), 0..80),
                0_usize..300,
            ),
            1..30,
        ),
    ) {
        let mut rig = Rig::of(MIB, Setup::default());
        for (opcode, rest, out, room) in commands {
            let cdb = [&[opcode][..], &rest].concat();
            let mut into = vec![0; room];
            let response = rig.send(&cdb, &out, &mut into);
            prop_assert!(response.transferred <= room.max(out.len()));
            prop_assert_eq!(
                response.status == Ok(Status::CheckCondition),
                response.sense.is_some()
            );
        }
    }
}

/// What the drive knows, so that most random commands get somewhere.
const OPCODES: [u8; 26] = [
    0x00, 0x01, 0x03, 0x05, 0x08, 0x0a, 0x10, 0x11, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x2b, 0x34, 0x44,
    0x4d, 0x55, 0x5a, 0x5e, 0x5f, 0x8c, 0x8d, 0x91, 0x92, 0xa3,
];
