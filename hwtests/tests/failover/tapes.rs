//! What becomes of the cartridges, seen from the host that has their drives.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::Cluster;
use serde_json::Value;

/// Where they are.
const CARTRIDGES: &str = "/tmp/library/cartridges/*.vtape";
/// What a drive has accepted and not yet written, at most, in bytes
/// (mover/emulator/src/drive/mod.rs).
const BUFFER_BYTES: u64 = 4 << 20;
/// What a drive takes in a second, at most: it takes 80 ms for a record of 512 KiB
/// (hwtests/src/rig/san.rs), so that is true of a machine with nothing else to do too.
const RATE: u64 = (512 << 10) * 1000 / 80;
/// Between a record that is on the medium, and a checkpoint of it that the coordinator
/// has: the interval of 100 ms (house.rs), and as long as it may take to ask the drive,
/// to make the journal durable on the node, and then in the database. A checkpoint that
/// is a second old is too old.
const AGE_MS: u64 = 500;

/// Bytes that were written to each of the cartridges in its life: what was written over
/// counts too.
pub fn written(cluster: &mut Cluster<'_>) -> Result<Vec<u64>> {
    // Two copies of the head, of which the one with the higher number is the newer
    // (mover/emulator/src/medium/superblock.rs).
    let script = format!(
        "python3 - {CARTRIDGES} <<'END'
import struct, sys
for path in sys.argv[1:]:
    with open(path, 'rb') as tape:
        copies = [tape.read(16 << 10) for _ in range(2)]
    number = lambda copy, at: struct.unpack_from('<Q', copy, at)[0]
    print(max((number(copy, 16), number(copy, 160)) for copy in copies)[1])
END"
    );
    let said = cluster.san().host().run(&script)?;
    let numbers: Result<Vec<u64>, _> = said.lines().map(str::parse).collect();
    numbers.with_context(|| said)
}

/// Of a run that went on once: how much of it was written twice, in bytes, with what an
/// archive has beside its files. It is no more than what the last checkpoint did not
/// cover.
pub fn written_twice(cluster: &mut Cluster<'_>, before: &[u64], shown: &Value) -> Result<u64> {
    let all = written(cluster)?.iter().sum::<u64>() - before.iter().sum::<u64>();
    let set = &shown["attempts"][0]["row"]["ended"]["set"];
    let twice = all - set["bytes"].as_u64().context("a set")?;
    let most = BUFFER_BYTES + RATE * AGE_MS / 1000;
    ensure!(
        twice <= most,
        "{twice} bytes were written twice, not {most}: {shown}"
    );
    Ok(twice)
}

/// Digests of the cartridges, to see whether one has changed.
pub fn digests(cluster: &mut Cluster<'_>) -> Result<String> {
    cluster.san().host().run(&format!("sha256sum {CARTRIDGES}"))
}
