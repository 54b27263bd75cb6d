//! The index of a set: JSON lines, a head and then an entry a member.
//!
//! It lies behind its set as `index.jsonl.zst` (compressing is the caller's),
//! in the order of the archive, and can be read with `zstd -dc` and `jq`.
//!
//! ```json
//! {"longhaul_index":1,"set":"67e5…","sequence":1,"partial":false,"volumes":[…],…}
//! {"path":"etc/","type":"dir","size":0,…,"volume":1,"block":2,"offset":1024,"state":"ok"}
//! {"path":"etc/fstab","type":"file","size":614,…,"blake3":"af13…","state":"ok"}
//! ```
//!
//! Names are bytes: one that is not UTF-8 stands as base64 in `path_b64` (and
//! `link_b64`). Fields that a reader does not know are to be ignored.

mod entry;
mod head;
mod readme;
mod stream;

pub use entry::{Digest, Entry, EntryType, State, nanoseconds, time};
pub use head::{Head, Volume};
pub use readme::readme;
pub use stream::{IndexError, Reader, Writer};

/// The version of the index's form.
pub const INDEX_VERSION: u32 = 1;
/// The longest line in bytes, without its newline: a path and a link of 64 KiB
/// each, every byte of them escaped, and the numbers.
pub const LINE_MAX: usize = 1 << 20;
/// The name of the index in its archive.
pub const INDEX_NAME: &str = "index.jsonl.zst";
/// The name of the text beside it.
pub const README_NAME: &str = "README";
