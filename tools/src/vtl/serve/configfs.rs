//! The kernel's target as files: what is made here exists in the kernel.
//!
//! In configfs a folder that is made is an object of the kernel's, its files
//! are the object's attributes, and a symbolic link ties two objects together.
//! A folder goes away, with its attributes, once nothing links to it and
//! nothing that somebody made lies in it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::error::ServeError;

/// Where configfs shows the kernel's target.
pub(super) const TARGET: &str = "/sys/kernel/config/target";

/// Makes an object; one that is there already is an error.
pub(super) fn make(path: &Path) -> Result<(), ServeError> {
    fs::create_dir(path).map_err(ServeError::configfs("make", path))
}

/// Makes an object that several may share.
pub(super) fn make_shared(path: &Path) -> Result<(), ServeError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(ServeError::configfs("make", path)),
    }
}

/// Writes an attribute, in one write, as the kernel wants it.
pub(super) fn set(object: &Path, attribute: &str, value: &str) -> Result<(), ServeError> {
    let path = object.join(attribute);
    let written = OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(ServeError::configfs("write to", &path))
}

/// Ties an object to another: `object/name` becomes a link to `to`.
pub(super) fn link(to: &Path, object: &Path, name: &str) -> Result<(), ServeError> {
    let path = object.join(name);
    symlink(to, &path).map_err(ServeError::configfs("link", &path))
}

/// Removes an object. One that is gone is removed.
pub(super) fn remove(path: &Path) -> Result<(), ServeError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(ServeError::configfs("remove", path)),
    }
}

/// Unties an object from all others.
pub(super) fn unlink_all(object: &Path) -> Result<(), ServeError> {
    for (link, _) in links(object) {
        fs::remove_file(&link).map_err(ServeError::configfs("remove", &link))?;
    }
    Ok(())
}

/// The links of an object, and what they lead to.
pub(super) fn links(object: &Path) -> Vec<(PathBuf, PathBuf)> {
    children(object, "")
        .into_iter()
        .filter_map(|path| fs::read_link(&path).ok().map(|to| (path, to)))
        .collect()
}

/// What lies in a folder and has a name that begins so, in order. There is
/// nothing in a folder that is not there.
pub(super) fn children(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| name(path).starts_with(prefix))
        .collect();
    paths.sort();
    paths
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}
