//! The units in `tools/systemd`.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Where the units have our programs.
const INSTALLED: &str = "/usr/bin/lh-";

/// What systemd says of our units, with this in place of `from` in them; empty if
/// nothing.
fn said(from: &str, to: &str) -> String {
    let scratch = TempDir::new().expect("a scratch folder");
    // The program as it is called here: systemd looks whether it is there.
    let program = scratch.path().join("lh-");
    for name in ["control", "mover"] {
        fs::copy("/bin/true", program.with_file_name(format!("lh-{name}"))).expect("a program");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let mut units = Vec::new();
    for entry in fs::read_dir(folder).expect("the units") {
        let path = entry.expect("a unit").path();
        let text = fs::read_to_string(&path).expect("a unit");
        assert!(text.contains(INSTALLED), "{}", path.display());
        let text = text
            .replace(INSTALLED, program.to_str().expect("a name"))
            .replace(from, to);
        let unit = scratch.path().join(path.file_name().expect("a name"));
        fs::write(&unit, text).expect("a unit");
        units.push(unit);
    }
    assert_eq!(units.len(), 2);
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&units)
        .output()
        .expect("systemd-analyze, which tools/test installs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A key that it does not know is no failure to it.
    assert!(output.status.success() || !said.is_empty(), "{output:?}");
    said
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    assert_eq!(said("", ""), "");
}

#[test]
fn systemd_says_what_is_wrong_with_a_unit() {
    let said = said("WatchdogSec=", "WatchDogSec=");
    assert!(said.contains("WatchDogSec"), "{said}");
}
