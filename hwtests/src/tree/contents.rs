//! Files: lengths around every boundary, holes, many, and large.

use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;

use super::{Maker, RECORD_BYTES, create, write};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Maker {
    pub(super) fn contents(&mut self) -> Result<()> {
        self.sizes()?;
        self.many()?;
        self.large()?;
        self.sparse()
    }

    /// Lengths around tar's blocks and the tape's records.
    fn sizes(&self) -> Result<()> {
        let part = self.part("sizes")?;
        let lengths = [
            0,
            1,
            511,
            512,
            513,
            10_240,
            RECORD_BYTES - 1024,
            RECORD_BYTES - 512,
            RECORD_BYTES - 1,
            RECORD_BYTES,
            RECORD_BYTES + 1,
            2 * RECORD_BYTES - 512,
            2 * RECORD_BYTES,
            3 * RECORD_BYTES + 1,
        ];
        for length in lengths {
            write(&part.join(length.to_string()), &bytes(length, length))?;
        }
        Ok(())
    }

    fn many(&self) -> Result<()> {
        let part = self.part("many")?;
        for number in 0..1000 {
            write(
                &part.join(format!("{number:04}")),
                &bytes(number, number * 37 % 9000),
            )?;
        }
        Ok(())
    }

    /// At and above the length from which members start on a record.
    fn large(&self) -> Result<()> {
        let part = self.part("large")?;
        for (name, length) in [
            ("below-64-mib", 64 * MIB - 1),
            ("64-mib", 64 * MIB),
            ("odd", 65 * MIB + 4321),
        ] {
            // Data at both ends and in the middle of each MiB; zeros between
            // that are written, so the file has no holes.
            let file = create(&part.join(name))?;
            let mut piece = vec![0; MIB as usize];
            let mut at = 0;
            while at < length {
                piece[..4096].copy_from_slice(&bytes(at, 4096));
                piece[500_000..504_096].copy_from_slice(&bytes(at + 1, 4096));
                let now = (length - at).min(MIB);
                file.write_all_at(&piece[..now as usize], at)?;
                at += now;
            }
            file.write_all_at(b"the end", length - 7)?;
        }
        Ok(())
    }

    fn sparse(&self) -> Result<()> {
        let part = self.part("sparse")?;
        holes(&part.join("hole-at-the-start"), 3 * MIB, &[(2 * MIB, MIB)])?;
        holes(
            &part.join("hole-in-the-middle"),
            3 * MIB,
            &[(0, 4096), (2 * MIB, MIB)],
        )?;
        holes(&part.join("hole-at-the-end"), 3 * MIB, &[(0, 10_000)])?;
        holes(
            &part.join("hole-at-the-end-of-an-odd-length"),
            3 * MIB + 777,
            &[(0, 10_000)],
        )?;
        holes(&part.join("nothing-but-a-hole"), 5 * MIB, &[])?;
        holes(&part.join("a-hole-of-an-odd-length"), 1_234_567, &[])?;
        holes(
            &part.join("an-odd-end"),
            MIB + 1001,
            &[(0, 4096), (MIB, 1001)],
        )?;
        let many: Vec<_> = (0..2000).map(|n| (n * 3 * 4096, 4096)).collect();
        holes(&part.join("many-segments"), 2000 * 3 * 4096, &many)?;
        let over = 8 * GIB + 12_345;
        let segments = [(0, 4096), (4 * GIB - 4096, 8192), (8 * GIB, 12_345)];
        holes(&part.join("over-8-gib"), over, &segments)?;
        holes(&part.join("over-8-gib-and-empty"), 9 * GIB, &[])
    }
}

/// A file of this length with data in these places only: offset and length.
fn holes(path: &Path, length: u64, segments: &[(u64, u64)]) -> Result<()> {
    let file = create(path)?;
    file.set_len(length)?;
    for &(offset, len) in segments {
        file.write_all_at(&bytes(offset ^ length, len), offset)?;
    }
    Ok(())
}

/// Bytes that look random, and are the same for the same seed.
pub(super) fn bytes(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes
}
