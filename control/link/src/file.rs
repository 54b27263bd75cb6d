//! Files of certificates and keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::identity::IdentityError;

/// The authority's certificate.
pub(crate) const CA: &str = "ca.pem";
/// The authority's key.
pub(crate) const CA_KEY: &str = "ca.key";
/// One's own certificate.
pub(crate) const CERTIFICATE: &str = "cert.pem";
/// One's own key.
pub(crate) const KEY: &str = "key.pem";

/// Longest such file, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Only the owner reads it.
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const OTHERS: u32 = 0o007;

/// Makes a folder that only its owner enters, unless it is there.
pub(crate) fn create_dir(dir: &Path) -> Result<(), IdentityError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|source| IdentityError::file(dir, source))
}

/// Writes a file that is not there yet, durably.
pub(crate) fn create(path: &Path, text: &str, is_secret: bool) -> Result<(), IdentityError> {
    let written = || -> io::Result<()> {
        let mode = if is_secret { SECRET } else { PUBLIC };
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
            _ => Ok(()),
        }
    };
    written().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => IdentityError::Exists(path.to_owned()),
        _ => IdentityError::file(path, source),
    })
}

/// Reads a file; a secret one only if it is one.
pub(crate) fn read(path: &Path, is_secret: bool) -> Result<Vec<u8>, IdentityError> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|source| IdentityError::file(path, source))?;
    if is_secret && metadata.mode() & OTHERS != 0 {
        return Err(IdentityError::NoSecret(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|source| IdentityError::file(path, source))?;
    Ok(bytes)
}
