//! Several initiators: attentions and reservations.

use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::spc::basic::TestUnitReady;
use longhaul_scsi::spc::inquiry::Inquiry;
use longhaul_scsi::spc::persistent_reserve::{
    FullStatus, InAction, Keys, OutAction, OutParameters, PersistentReserveIn,
    PersistentReserveOut, Reservation, ReservationType,
};
use longhaul_scsi::ssc::motion::{LoadUnload, Rewind};
use longhaul_scsi::ssc::transfer::Write6;

use super::bench::{Answer, block, must, parsed};
use super::{Bench, Case, Gap, Group};

pub(super) const CASES: &[Case] = &[
    case("a new medium is told to the other nexus, once", new_medium),
    case(
        "a reservation shuts the other nexus out, registered or not",
        exclusive,
    ),
    case(
        "READ KEYS, READ RESERVATION and READ FULL STATUS tell who holds it",
        told,
    ),
    case("RELEASE and unregistering let the other in", released),
    case(
        "PREEMPT AND ABORT takes the drive from the other, who is told",
        preempted,
    ),
    case("a key that is not registered takes nothing", strangers),
];

const fn case(name: &'static str, run: fn(&mut Bench) -> Result<(), Gap>) -> Case {
    let group = Group::Nexuses;
    Case { name, group, run }
}

const A: usize = 0;
const B: usize = 1;
const KEY_A: u64 = 0x4c48_0000_0000_00aa;
const KEY_B: u64 = 0x4c48_0000_0000_00bb;
const EXCLUSIVE: ReservationType = ReservationType::ExclusiveAccess;

fn out(bench: &mut Bench, nexus: usize, action: OutAction, key: u64, other: u64) -> Answer {
    let parameters = OutParameters::new(key, other).encode();
    bench.tell(
        nexus,
        PersistentReserveOut::new(action, EXCLUSIVE),
        &parameters,
    )
}

fn ask(bench: &mut Bench, nexus: usize, action: InAction) -> Result<Vec<u8>, Gap> {
    let cdb = PersistentReserveIn::new(action, 4096);
    super::bench::if_known(bench.ask(nexus, cdb, 4096))
}

fn write(bench: &mut Bench, nexus: usize) -> Answer {
    let block = block(1, 512);
    bench.tell(nexus, Write6::variable(512), &block)
}

/// Nobody is registered, and nobody has anything to be told.
fn clean(bench: &mut Bench) -> Result<(), Gap> {
    ask(bench, A, InAction::ReadKeys)?;
    out(bench, A, OutAction::RegisterAndIgnoreExistingKey, 0, KEY_A).good()?;
    out(bench, A, OutAction::Clear, KEY_A, 0).good()?;
    bench.calm(A)?;
    bench.calm(B)
}

/// A holds the drive; B is registered.
fn held(bench: &mut Bench) -> Result<(), Gap> {
    clean(bench)?;
    out(bench, A, OutAction::Register, 0, KEY_A).good()?;
    out(bench, A, OutAction::Reserve, KEY_A, 0).good()?;
    out(bench, B, OutAction::Register, 0, KEY_B).good()?;
    bench.calm(A)?;
    bench.calm(B)
}

fn new_medium(bench: &mut Bench) -> Result<(), Gap> {
    bench.command(A, LoadUnload::unload(false)).good()?;
    bench.command(A, LoadUnload::load(false)).good()?;
    bench.calm(A)?;
    let answer = bench.command(B, TestUnitReady::new());
    answer.check(SenseKey::UnitAttention, 0x28, 0x00)?;
    bench.command(B, TestUnitReady::new()).good().map(drop)
}

fn exclusive(bench: &mut Bench) -> Result<(), Gap> {
    clean(bench)?;
    out(bench, A, OutAction::Register, 0, KEY_A).good()?;
    out(bench, A, OutAction::Reserve, KEY_A, 0).good()?;
    write(bench, B).conflict()?;
    bench.command(B, Rewind::new(false)).conflict()?;
    bench.ask(B, Inquiry::standard(96), 96).good()?;
    out(bench, B, OutAction::Register, 0, KEY_B).good()?;
    write(bench, B).conflict()?;
    out(bench, B, OutAction::Reserve, KEY_B, 0).conflict()?;
    write(bench, A).good()?;
    clean(bench)
}

fn told(bench: &mut Bench) -> Result<(), Gap> {
    held(bench)?;
    let keys = parsed(Keys::parse(&ask(bench, B, InAction::ReadKeys)?))?;
    let mut all = keys.keys.clone();
    all.sort_unstable();
    must!(all == [KEY_A, KEY_B], "READ KEYS says {all:X?}");
    let bytes = ask(bench, B, InAction::ReadReservation)?;
    let holder = parsed(Reservation::parse(&bytes))?.holder;
    must!(
        holder.is_some_and(|h| h.key == KEY_A && h.kind == EXCLUSIVE),
        "READ RESERVATION says {holder:?}"
    );
    let bytes = ask(bench, B, InAction::ReadFullStatus)?;
    let status = parsed(FullStatus::parse(&bytes))?;
    let holders: Vec<_> = status
        .registrations
        .iter()
        .filter(|r| r.holds.is_some())
        .collect();
    must!(
        status.registrations.len() == 2 && holders.len() == 1 && holders[0].key == KEY_A,
        "READ FULL STATUS says {status:?}"
    );
    clean(bench)
}

fn released(bench: &mut Bench) -> Result<(), Gap> {
    held(bench)?;
    out(bench, A, OutAction::Release, KEY_A, 0).good()?;
    bench.calm(B)?;
    write(bench, B).good()?;
    out(bench, B, OutAction::Reserve, KEY_B, 0).good()?;
    write(bench, A).conflict()?;
    out(bench, B, OutAction::Register, KEY_B, 0).good()?;
    bench.calm(A)?;
    write(bench, A).good()?;
    clean(bench)
}

fn preempted(bench: &mut Bench) -> Result<(), Gap> {
    held(bench)?;
    write(bench, A).good()?;
    out(bench, B, OutAction::PreemptAndAbort, KEY_B, KEY_A).good()?;
    bench.calm(B)?;
    write(bench, B).good()?;
    // It is told once, and then shut out.
    let answer = bench.command(A, Rewind::new(false));
    let told = answer.outcome.sense.as_ref();
    must!(
        told.is_some_and(|s| s.key == SenseKey::UnitAttention && s.asc == 0x2a),
        "{:?}",
        answer.wrong("REGISTRATIONS PREEMPTED")
    );
    write(bench, A).conflict()?;
    clean(bench)
}

fn strangers(bench: &mut Bench) -> Result<(), Gap> {
    held(bench)?;
    out(bench, B, OutAction::PreemptAndAbort, 0x1234, KEY_A).conflict()?;
    out(bench, B, OutAction::Release, 0x1234, 0).conflict()?;
    write(bench, B).conflict()?;
    write(bench, A).good()?;
    clean(bench)
}
