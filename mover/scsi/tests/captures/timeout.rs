//! Timeouts: the table must allow what the vendors ask for.

use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::spc::opcode as spc;
use longhaul_scsi::ssc::opcode as ssc;
use longhaul_scsi::timeout::{TIMEOUT_MIN, table};

use crate::capture::{says, text};

/// The names in the captures that this crate sends.
const NAMES: [(&str, u8); 25] = [
    ("ERASE", ssc::ERASE_6),
    ("FORMAT_MEDIUM", ssc::FORMAT_MEDIUM),
    ("LOAD_UNLOAD", ssc::LOAD_UNLOAD),
    ("LOCATE10", ssc::LOCATE_10),
    ("LOCATE16", ssc::LOCATE_16),
    ("READ", ssc::READ_6),
    ("READ_BUFFER", spc::READ_BUFFER),
    ("REWIND", ssc::REWIND),
    ("SEND_DIAGNOSTIC", spc::SEND_DIAGNOSTIC),
    ("SET_CAPACITY", ssc::SET_CAPACITY),
    ("SPACE6", ssc::SPACE_6),
    ("SPACE16", ssc::SPACE_16),
    ("VERIFY", ssc::VERIFY_6),
    ("WRITE", ssc::WRITE_6),
    ("WRITE_BUFFER", spc::WRITE_BUFFER),
    ("WRITE_FILEMARKS6", ssc::WRITE_FILEMARKS_6),
    ("INQUIRY", spc::INQUIRY),
    ("MODE_SELECT10", spc::MODE_SELECT_10),
    ("MODE_SENSE10", spc::MODE_SENSE_10),
    ("PERSISTENT_RESERVE_IN", spc::PERSISTENT_RESERVE_IN),
    ("PERSISTENT_RESERVE_OUT", spc::PERSISTENT_RESERVE_OUT),
    ("READ_ATTRIBUTE", spc::READ_ATTRIBUTE),
    ("READ_POSITION", ssc::READ_POSITION),
    ("SPIN", spc::SECURITY_PROTOCOL_IN),
    ("TEST_UNIT_READY", spc::TEST_UNIT_READY),
];

/// The longest that a capture gives a command, over all LTO generations; the
/// last five columns of IBM's table are other drives, whose common commands
/// count only where LTO has no row.
fn longest(file: &str, name: &str) -> Option<u64> {
    let text = text(file);
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let heads = lines.next()?.split('\t').collect::<Vec<_>>();
    let row = lines.find(|line| line.split('\t').next() == Some(name))?;
    let cells = heads.iter().zip(row.split('\t')).skip(1);
    let lto = cells.clone().filter(|(head, _)| head.starts_with("lto"));
    let numbers = |cells: &mut dyn Iterator<Item = (&&str, &str)>| {
        cells.filter_map(|(_, cell)| cell.parse::<u64>().ok()).max()
    };
    numbers(&mut lto.into_iter()).or_else(|| numbers(&mut cells.into_iter()))
}

#[test]
fn the_table_allows_what_both_vendors_ask_for() {
    for file in [
        "rsoc-timeouts-ibm-lto5-lto10.txt",
        "rsoc-timeouts-hp-lto5-lto10.txt",
    ] {
        let mut found = 0;
        for (name, opcode) in NAMES {
            let ours = table(DeviceType::SequentialAccess, opcode);
            assert!(ours >= TIMEOUT_MIN);
            if let Some(theirs) = longest(file, name) {
                assert!(
                    ours.as_secs() >= theirs,
                    "{name}: {theirs} s in {file}, {ours:?} here"
                );
                found += 1;
            }
        }
        assert!(found >= 16, "{file} has only {found} of the rows");
    }
}

#[test]
fn the_table_allows_what_drives_were_seen_to_ask_for() {
    let file = "rsoc-timeouts-observed-real.txt";
    says(file, "LOAD UNLOAD 7920");
    says(file, "LOCATE(16) 2940, READ(6) 2340");
    let seconds = |opcode| table(DeviceType::SequentialAccess, opcode).as_secs();
    assert!(seconds(ssc::LOAD_UNLOAD) >= 7920);
    assert!(seconds(ssc::LOCATE_16) >= 2940);
    assert!(seconds(ssc::READ_6) >= 2340);
}
