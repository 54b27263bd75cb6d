//! How to read a tape without this program, in words and commands.

/// The options of GNU tar that restore everything a set holds, apart from `-b`.
const TAR_OPTIONS: [&str; 2] = [
    "--acls --xattrs --xattrs-include='*'",
    "--numeric-owner --warning=no-unknown-keyword",
];

/// The blocking factor of `tar -b` for a record size.
pub fn blocking_factor(record_bytes: u64) -> u64 {
    record_bytes / 512
}

/// The command that restores a set from the drive, on one line.
pub fn restore_command(record_bytes: u64) -> String {
    let [first, second] = TAR_OPTIONS;
    let factor = blocking_factor(record_bytes);
    format!("LC_ALL=C tar -b {factor} {first} {second} -xpf /dev/nst0")
}

/// The recipe in lines of at most 74 characters of printable ASCII, as they
/// stand in the label.
pub(crate) fn label_lines(record_bytes: u64) -> [String; 7] {
    let [first, second] = TAR_OPTIONS;
    let factor = blocking_factor(record_bytes);
    [
        "To read this tape on Linux: tape file 0 is this label, 1 is a backup, 2 is".into(),
        "its index, 3 the next backup, and so on. To restore, go to a backup (1):".into(),
        "mt -f /dev/nst0 rewind; mt -f /dev/nst0 setblk 0; mt -f /dev/nst0 fsf 1".into(),
        format!("and run  LC_ALL=C tar -b {factor} {first} \\"),
        format!("  {second} -xpf /dev/nst0"),
        format!("An index: go to file 2;  tar -b {factor} -xf /dev/nst0; zstd -dc index*.zst"),
        "Backups over several tapes: tar -M, -F SCRIPT that skips the next label.".into(),
    ]
}

/// The script for `tar -M -F` (GNU tar runs it when it needs the next volume).
pub(crate) const NEXT_VOLUME: &str = "\
#!/bin/sh
# Asks for the next tape, and skips its label.
read -p \"Load tape $TAR_VOLUME, then press Enter. \" answer </dev/tty
mt -f /dev/nst0 rewind && mt -f /dev/nst0 setblk 0 && mt -f /dev/nst0 fsf 1
";
