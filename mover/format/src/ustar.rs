//! The ustar header block of POSIX.1-2017 (pax, "ustar Interchange Format").
//!
//! ```text
//!   0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12
//! 148 chksum 8 | 156 typeflag 1 | 157 linkname 100 | 257 magic 6 | 263 version 2
//! 265 uname 32 | 297 gname 32 | 329 devmajor 8 | 337 devminor 8 | 345 prefix 155
//! ```
//!
//! A number that outgrows its octal field is written in base-256: the first
//! byte is 80h (FFh if negative), the rest is the number, big-endian. GNU tar
//! introduced it, and every reader in use today knows it.

use std::ops::Range;

use thiserror::Error;

/// Bytes of a block: the unit of every tar archive.
pub const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPEFLAG: usize = 156;
const LINKNAME: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const DEVMAJOR: Range<usize> = 329..337;
const DEVMINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;

/// Bytes of the `name` and the `linkname` field.
pub const NAME_MAX: usize = 100;
/// Bytes of the `prefix` field.
pub const PREFIX_MAX: usize = 155;
/// The largest number in the octal `size` and `mtime` fields: 8 GiB - 1.
pub const OCTAL_11_MAX: u64 = 0o77_777_777_777;
/// The largest number in the octal `uid`, `gid` and device fields.
pub const OCTAL_7_MAX: u64 = 0o7_777_777;

/// The fields of a header block, names borrowed and without their NULs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The last part of the path, at most 100 bytes.
    pub name: &'a [u8],
    /// The first part of the path, without the `/` after it; at most 155 bytes.
    pub prefix: &'a [u8],
    /// Permission bits.
    pub mode: u64,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Bytes of data that follow, before the padding to a block.
    pub size: u64,
    /// Last modification, seconds since 1970.
    pub mtime: i64,
    /// What the member is: `0` file, `1` hard link, `5` directory, `x`, `g`, …
    pub typeflag: u8,
    /// What a link points to, at most 100 bytes.
    pub linkname: &'a [u8],
    /// Device major number.
    pub devmajor: u64,
    /// Device minor number.
    pub devminor: u64,
}

/// Why a block is not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The checksum is wrong: no header, or a damaged one.
    #[error("no tar header: the checksum does not match")]
    Checksum,
    /// A numeric field holds something else, or too large a number.
    #[error("the header's {field} field is not a number in range")]
    Number {
        /// The field.
        field: &'static str,
    },
}

impl<'a> Header<'a> {
    /// A header of the given type, all else empty or zero.
    pub const fn new(typeflag: u8, name: &'a [u8]) -> Header<'a> {
        Header {
            name,
            prefix: b"",
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            typeflag,
            linkname: b"",
            devmajor: 0,
            devminor: 0,
        }
    }

    /// Writes the header to a block that is all zeros. Names longer than their
    /// fields are cut: a pax record carries the whole name then.
    pub fn write(&self, block: &mut [u8; BLOCK]) {
        put_name(&mut block[NAME], self.name);
        put_number(&mut block[MODE], self.mode);
        put_number(&mut block[UID], self.uid);
        put_number(&mut block[GID], self.gid);
        put_number(&mut block[SIZE], self.size);
        put_signed(&mut block[MTIME], self.mtime);
        block[TYPEFLAG] = self.typeflag;
        put_name(&mut block[LINKNAME], self.linkname);
        block[MAGIC].copy_from_slice(b"ustar\x0000");
        put_number(&mut block[DEVMAJOR], self.devmajor);
        put_number(&mut block[DEVMINOR], self.devminor);
        put_name(&mut block[PREFIX], self.prefix);

        block[CHECKSUM].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        let field = &mut block[CHECKSUM];
        put_octal(&mut field[..6], u64::from(sum));
        field[6] = 0;
    }

    /// Reads a header. The checksum may be the sum of unsigned bytes, as the
    /// standard wants, or of signed ones, as some old programs wrote.
    pub fn read(block: &'a [u8; BLOCK]) -> Result<Header<'a>, HeaderError> {
        check(block)?;
        let unsigned = |range: Range<usize>, field: &'static str| {
            number(&block[range])
                .and_then(|value| u64::try_from(value).ok())
                .ok_or(HeaderError::Number { field })
        };
        // Only POSIX archives have a prefix; GNU's old format keeps times there.
        let posix = &block[MAGIC.start..MAGIC.start + 6] == b"ustar\0";
        Ok(Header {
            name: until_nul(&block[NAME]),
            prefix: if posix {
                until_nul(&block[PREFIX])
            } else {
                b""
            },
            mode: unsigned(MODE, "mode")?,
            uid: unsigned(UID, "uid")?,
            gid: unsigned(GID, "gid")?,
            size: unsigned(SIZE, "size")?,
            mtime: number(&block[MTIME]).ok_or(HeaderError::Number { field: "mtime" })?,
            typeflag: block[TYPEFLAG],
            linkname: until_nul(&block[LINKNAME]),
            devmajor: unsigned(DEVMAJOR, "devmajor")?,
            devminor: unsigned(DEVMINOR, "devminor")?,
        })
    }

    /// The whole path: prefix, `/` and name, or the name alone.
    pub fn path(&self) -> Vec<u8> {
        if self.prefix.is_empty() {
            return self.name.to_vec();
        }
        [self.prefix, b"/", self.name].concat()
    }
}

/// Cuts a path into prefix and name, where it fits a header so.
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_MAX {
        return Some((b"", path));
    }
    // The slash goes into neither part, and the name must not be empty: a
    // directory's last slash is no place to cut.
    let first = path.len().checked_sub(NAME_MAX + 1)?;
    let last = path.len().saturating_sub(2).min(PREFIX_MAX);
    (first.max(1)..=last)
        .find(|&at| path[at] == b'/')
        .map(|at| (&path[..at], &path[at + 1..]))
}

fn check(block: &[u8; BLOCK]) -> Result<(), HeaderError> {
    let stated = number(&block[CHECKSUM]).ok_or(HeaderError::Checksum)?;
    let field = &block[CHECKSUM];
    let spaces = 8 * i64::from(b' ');
    let unsigned = |bytes: &[u8]| bytes.iter().map(|&byte| i64::from(byte)).sum::<i64>();
    let signed = |bytes: &[u8]| bytes.iter().map(|&byte| i64::from(byte as i8)).sum::<i64>();
    if stated == unsigned(block) - unsigned(field) + spaces
        || stated == signed(block) - signed(field) + spaces
    {
        return Ok(());
    }
    Err(HeaderError::Checksum)
}

fn put_name(field: &mut [u8], name: &[u8]) {
    let len = name.len().min(field.len());
    field[..len].copy_from_slice(&name[..len]);
}

fn put_octal(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

/// Octal with a NUL behind it where the number fits, else base-256.
fn put_number(field: &mut [u8], value: u64) {
    let last = field.len() - 1;
    if value >> (3 * last) == 0 {
        put_octal(&mut field[..last], value);
    } else {
        put_base_256(field, i128::from(value));
    }
}

fn put_signed(field: &mut [u8], value: i64) {
    match u64::try_from(value) {
        Ok(value) => put_number(field, value),
        Err(_) => put_base_256(field, i128::from(value)),
    }
}

fn put_base_256(field: &mut [u8], value: i128) {
    let bytes = value.to_be_bytes();
    field.copy_from_slice(&bytes[bytes.len() - field.len()..]);
    field[0] = if value < 0 { 0xFF } else { 0x80 };
}

/// A numeric field: octal with blanks around it, or base-256. Empty is 0.
fn number(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 != 0 {
        return base_256(field);
    }
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|&byte| byte == 0 || byte == b' ')
        .unwrap_or(digits.len());
    digits[..end]
        .iter()
        .try_fold(0i64, |value, &byte| match byte {
            b'0'..=b'7' => Some((value.checked_mul(8)?) | i64::from(byte - b'0')),
            _ => None,
        })
}

fn base_256(field: &[u8]) -> Option<i64> {
    // Bit 6 is the sign; bit 7 only marks the encoding.
    let first = i128::from((field[0] << 1) as i8 >> 1);
    let value = field[1..]
        .iter()
        .fold(first, |value, &byte| (value << 8) | i128::from(byte));
    i64::try_from(value).ok()
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_header() {
        let mut block = [0; BLOCK];
        let header = Header {
            mode: 0o644,
            uid: 1000,
            size: 5,
            ..Header::new(b'0', b"a")
        };
        header.write(&mut block);
        assert_eq!(&block[..2], b"a\0");
        assert_eq!(&block[100..124], b"0000644\x000001750\x000000000\0");
        assert_eq!(&block[124..148], b"00000000005\x0000000000000\0");
        assert_eq!(&block[257..265], b"ustar\x0000");
        // The sum, worked out by hand: 97 + digits and magic + 8 blanks.
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum::<u32>()
            - block[CHECKSUM].iter().map(|&b| u32::from(b)).sum::<u32>()
            + 256;
        assert_eq!(&block[148..156], format!("{sum:06o}\0 ").as_bytes());
    }

    #[test]
    fn signed_checksums_are_accepted() {
        let mut block = [0; BLOCK];
        Header::new(b'0', b"caf\xe9").write(&mut block);
        let sum: i64 = block.iter().map(|&b| i64::from(b as i8)).sum::<i64>()
            - block[CHECKSUM]
                .iter()
                .map(|&b| i64::from(b as i8))
                .sum::<i64>()
            + 256;
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(Header::read(&block).unwrap().name, b"caf\xe9");
        block[3] ^= 1;
        assert_eq!(Header::read(&block), Err(HeaderError::Checksum));
    }

    #[test]
    fn base_256_as_gnu_tar_writes_it() {
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(8 << 30));
        assert_eq!(
            number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb"),
            Some(-5)
        );
        assert_eq!(number(b"\x80\xff\0\0\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn a_path_is_split_only_where_both_parts_fit() {
        let long = [b"d/".repeat(60), b"file".to_vec()].concat();
        let (prefix, name) = split(&long).unwrap();
        assert!(prefix.len() <= PREFIX_MAX && name.len() <= NAME_MAX);
        assert_eq!([prefix, b"/", name].concat(), long);
        assert_eq!(split(&[b'x'; 101]), None);
        assert_eq!(split(&[&[b'x'; 101][..], b"/"].concat()), None);
        assert_eq!(split(&[b'x'; 100]), Some((&b""[..], &[b'x'; 100][..])));
    }

    proptest! {
        #[test]
        fn round_trip(
            name in proptest::collection::vec(1u8.., 0..=100),
            prefix in proptest::collection::vec(1u8.., 0..=155),
            numbers in any::<(u32, u32, u32)>(),
            size in 0..=i64::MAX as u64,
            mtime in any::<i64>(),
            typeflag in any::<u8>(),
        ) {
            let header = Header {
                prefix: &prefix,
                mode: numbers.0.into(),
                uid: numbers.1.into(),
                gid: numbers.2.into(),
                size,
                mtime,
                linkname: &name,
                devmajor: numbers.1.into(),
                devminor: numbers.2.into(),
                ..Header::new(typeflag, &name)
            };
            let mut block = [0; BLOCK];
            header.write(&mut block);
            prop_assert_eq!(Header::read(&block), Ok(header));
        }

        #[test]
        fn splits_join_again(path in "[ab/]{0,300}") {
            if let Some((prefix, name)) = split(path.as_bytes()) {
                let header = Header { prefix, ..Header::new(b'0', name) };
                prop_assert!(prefix.len() <= PREFIX_MAX && name.len() <= NAME_MAX);
                prop_assert_eq!(header.path(), path.as_bytes());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), BLOCK),
        ) {
            let mut block: [u8; BLOCK] = bytes.try_into().unwrap();
            let _ = Header::read(&block);
            let sum: i64 = block.iter().map(|&b| i64::from(b)).sum::<i64>()
                - block[CHECKSUM].iter().map(|&b| i64::from(b)).sum::<i64>()
                + 256;
            block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let _ = Header::read(&block).map(|header| header.path());
        }
    }
}
