//! The conformance suite against the emulated drive, in process.

use longhaul_emulator::{Emulated, Url};
use longhaul_hwtests::conformance::{Ended, GROUPS, run};
use longhaul_hwtests::scratch::Scratch;
use longhaul_scsi::transport::Transport;

/// By two nexuses, and every case passes: the emulated drive lacks nothing.
#[test]
fn the_emulated_drive_conforms() {
    let scratch = Scratch::new().expect("scratch");
    let file = scratch.path().join("a.vtape");
    let url: Url = format!("vtape:{}?capacity=24MiB", file.display())
        .parse()
        .expect("a URL");
    let first = Emulated::create(&url).expect("a cartridge");
    let second = Emulated::attach(first.drive(), "another host", first.name());
    let groups: Vec<_> = GROUPS.iter().map(|(_, group)| *group).collect();
    let report = run(
        vec![Box::new(first), Box::new(second)],
        &groups,
        true,
        |case| println!("{case}"),
    );
    println!("{report}");
    let others: Vec<_> = report
        .cases
        .iter()
        .filter(|case| case.ended != Ended::Passed)
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(report.passed() > 40);
}
