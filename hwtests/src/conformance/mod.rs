//! What a tape drive has to do, as cases: the same for the emulated drive in
//! process, for the drive behind real kernels, for the kernel's own simulated
//! tape, and for a user's real one.
//!
//! A [`Case`] speaks SCSI through [`Transport`]s, one a nexus, and says what it
//! found: it passed, the device does not have the command (which is no fault
//! where the standard leaves it open), or the device did something else than
//! the standard says, in words. The commands that a passing case relied on are
//! noted ([`Report::confirmed`]): the table in docs/commands.md is made of them.
//!
//! | file | noun |
//! | --- | --- |
//! | `bench` | the device on the bench: sending, attentions, expectations |
//! | `identity` | who it is and what it can do |
//! | `blocks` | writing and reading, filemarks, lengths |
//! | `positions` | LOCATE, SPACE, READ POSITION |
//! | `state` | modes, the door, load and unload, logs, cartridge memory |
//! | `ends` | early warning and the end of the partition |
//! | `nexuses` | several initiators: attentions, reservations |

mod bench;
mod blocks;
mod ends;
mod identity;
mod nexuses;
mod positions;
mod state;

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use longhaul_scsi::transport::Transport;

pub use bench::{Bench, Gap};

/// What a case needs of the device, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Only asks.
    Identity,
    /// Writes and reads blocks and filemarks.
    Blocks,
    /// Moves the tape.
    Positions,
    /// Changes modes, loads and unloads.
    State,
    /// Fills the medium: for small ones.
    Ends,
    /// Needs two nexuses.
    Nexuses,
}

/// All groups with their names.
pub const GROUPS: [(&str, Group); 6] = [
    ("identity", Group::Identity),
    ("blocks", Group::Blocks),
    ("positions", Group::Positions),
    ("state", Group::State),
    ("ends", Group::Ends),
    ("nexuses", Group::Nexuses),
];

/// One thing that a drive has to do.
pub struct Case {
    /// The sentence that it proves.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    run: fn(&mut Bench) -> Result<(), Gap>,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The device did what the standard says.
    Passed,
    /// The device does not have what the case needs.
    Lacking(String),
    /// The device did something else.
    Failed(String),
}

/// A case that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The case's name.
    pub name: &'static str,
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { name, ended, took } = self;
        match ended {
            Ended::Passed => write!(f, "passed   {name} ({:.2} s)", took.as_secs_f64()),
            Ended::Lacking(what) => write!(f, "lacking  {name}: {what}"),
            Ended::Failed(what) => write!(f, "FAILED   {name}: {what}"),
        }
    }
}

/// What came of all cases. As text: the sum of them.
#[derive(Debug, Default)]
pub struct Report {
    /// The cases, in order.
    pub cases: Vec<Done>,
    /// The commands that passing cases relied on.
    pub confirmed: BTreeSet<&'static str>,
}

impl Report {
    /// Cases that failed.
    pub fn failed(&self) -> usize {
        self.count(|ended| matches!(ended, Ended::Failed(_)))
    }

    /// Cases that passed.
    pub fn passed(&self) -> usize {
        self.count(|ended| *ended == Ended::Passed)
    }

    fn count(&self, is: impl Fn(&Ended) -> bool) -> usize {
        self.cases.iter().filter(|case| is(&case.ended)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.confirmed.iter().copied().collect();
        writeln!(f, "confirmed: {}", all.join(", "))?;
        let lacking = self.cases.len() - self.passed() - self.failed();
        writeln!(
            f,
            "{} passed, {} failed, {lacking} lacking",
            self.passed(),
            self.failed()
        )
    }
}

/// All cases.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    identity::CASES
        .iter()
        .chain(blocks::CASES)
        .chain(positions::CASES)
        .chain(state::CASES)
        .chain(ends::CASES)
        .chain(nexuses::CASES)
}

/// Runs the cases of some groups. `nexuses` are paths of different initiators to
/// one drive with a scratch cartridge, **which is written over**; with one, the
/// cases for several are left out. `keeps_data` is false for a device that
/// returns other data than was written to it. `each` is told of every case when
/// it has ended: some take minutes on a real drive.
pub fn run(
    nexuses: Vec<Box<dyn Transport>>,
    groups: &[Group],
    keeps_data: bool,
    mut each: impl FnMut(&Done),
) -> Report {
    let several = nexuses.len() > 1;
    let mut bench = Bench::new(nexuses, keeps_data);
    let mut report = Report::default();
    let wanted =
        |case: &&Case| groups.contains(&case.group) && (several || case.group != Group::Nexuses);
    for case in cases().filter(wanted) {
        let begun = Instant::now();
        bench.begin();
        let ended = match bench.settle().and_then(|()| (case.run)(&mut bench)) {
            Ok(()) => Ended::Passed,
            Err(Gap::Lacking(what)) => Ended::Lacking(what),
            Err(Gap::Wrong(what)) => Ended::Failed(what),
        };
        let relied_on = bench.end();
        if ended == Ended::Passed {
            report.confirmed.extend(relied_on);
        }
        let done = Done {
            name: case.name,
            ended,
            took: begun.elapsed(),
        };
        each(&done);
        report.cases.push(done);
    }
    report
}
