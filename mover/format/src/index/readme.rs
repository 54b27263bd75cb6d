//! The text that lies beside the index.

use super::Head;
use crate::label::Label;
use crate::recipe::{NEXT_VOLUME, blocking_factor, restore_command};
use crate::utc;

/// The README of a set: what the tape holds, and how to read it with GNU tar,
/// mt and zstd alone.
pub fn readme(label: &Label, set: &Head) -> String {
    let factor = blocking_factor(set.record_bytes);
    let restore = restore_command(set.record_bytes);
    let multi = restore.replace(" -xpf ", " -M -F ./next -xpf ");
    let tape_file = 2 * u64::from(set.sequence) - 1;
    let partial = if set.partial {
        "The backup did not finish: members may be missing, and the last may be damaged.\n"
    } else {
        ""
    };
    let volumes: String = set
        .volumes
        .iter()
        .map(|volume| format!("  {}. {}  {}\n", volume.sequence, volume.name, volume.uuid))
        .collect();
    format!(
        "\
This is a backup that Longhaul wrote. It can be read without Longhaul.

Set {uuid}
  number {sequence} on volume {name}
  of host {host}: {paths}
  from {started} to {ended}
  {members} members, {bytes} bytes of file data, {damaged} of them damaged
{partial}
Volumes of this set, in order:
{volumes}
HOW TO RESTORE ALL OF IT
On Linux, with GNU tar and mt, as root (tape file 0 is the label; each set is one
tape file, and the one behind it is its index):

  mt -f /dev/nst0 rewind
  mt -f /dev/nst0 setblk 0
  mt -f /dev/nst0 fsf {tape_file}
  {restore}

A set on several volumes: put the next lines into a file `next`, chmod +x next,
and use the command below them.

{script}
  {multi}

HOW TO RESTORE ONE FILE
Look for it in the index (names that are not UTF-8 are in path_b64):

  zstd -dc index.jsonl.zst | jq -c 'select(.path==\"etc/fstab\")'

Its `volume`, `block` and `offset` say where it is: load that volume, then

  mt -f /dev/nst0 seek BLOCK
  dd if=/dev/nst0 bs={record} | tail -c +$((OFFSET+1)) | tar -xpf - --occurrence=1 NAME

with the options of the command above. `block` counts blocks from the beginning
of the tape, filemarks among them; a record is {record} bytes (tar -b {factor}).

WHAT IT IS
The set is a POSIX pax archive (IEEE 1003.1, pax). Global headers that hold nothing
but a comment are padding. Where a path occurs twice, the later one counts.
",
        uuid = set.set,
        sequence = set.sequence,
        name = label.name,
        host = set.host,
        paths = set.paths.join(" "),
        started = utc::format(set.started),
        ended = utc::format(set.ended),
        members = set.members,
        bytes = set.bytes,
        damaged = set.damaged,
        record = set.record_bytes,
        script = NEXT_VOLUME,
    )
}
