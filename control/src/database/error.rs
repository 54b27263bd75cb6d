//! What can go wrong with the database.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use longhaul_catalog::sqlite::Fault;

use super::FILE;
use super::copies::{Copies, Copy};

/// What can go wrong with the database: what happened, to which file, and what
/// to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file is not as it was written.
    #[error("{path} is damaged ({what}); {back}")]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// How that shows.
        what: String,
        /// How to go back to the last good copy.
        back: Back,
    },
    /// The database belongs to another program.
    #[error("{path} is a database, but not the coordinator's; name another folder")]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// There is another coordinator on it.
    #[error("{lock} is held: another coordinator is on this database; stop that one first")]
    Held {
        /// The file that it has locked.
        lock: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was to be done, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The database was written by a newer Longhaul.
    #[error(
        "{path} has version {found}, this program knows versions up to {known}; use the Longhaul \
         that wrote it, or a newer one; or else {back}"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version it has.
        found: u32,
        /// The newest version known here.
        known: u32,
        /// How to go back to the last copy of a version that is known.
        back: Back,
    },
    /// Another coordinator has written to it.
    #[error(
        "another coordinator has written to {path}, and this one has to end; see that the file \
         system is mounted on one node at a time"
    )]
    Superseded {
        /// The database.
        path: PathBuf,
    },
    /// SQLite failed, other than by finding damage.
    #[error("database {path}")]
    Sqlite {
        /// The database, or a copy that was to be made.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
}

/// How to go back to a copy, as commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    dir: PathBuf,
    copy: Option<Copy>,
}

impl DatabaseError {
    /// What a fault means for the database in this folder.
    pub(super) fn of(dir: &Path, fault: Fault) -> DatabaseError {
        let path = dir.join(FILE);
        let back = |known| Back {
            dir: dir.to_owned(),
            copy: Copies::newest(dir, known),
        };
        match fault {
            Fault::Corrupt(what) => {
                let back = back(None);
                DatabaseError::Corrupt { path, what, back }
            }
            Fault::Foreign => DatabaseError::Foreign { path },
            Fault::Newer { found, known } => DatabaseError::Newer {
                path,
                found,
                known,
                back: back(Some(known)),
            },
            Fault::Sqlite(source) => DatabaseError::Sqlite { path, source },
        }
    }

    /// A closure for `map_err` on the operating system's errors.
    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(io::Error) -> DatabaseError + 'a {
        move |source| DatabaseError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(copy) = &self.copy else {
            let copies = Copies::dir(&self.dir);
            return write!(f, "there is no copy in {} to go back to", copies.display());
        };
        let damaged = quoted(&self.dir.join("put-away"));
        let database = quoted(&self.dir.join(FILE));
        writeln!(
            f,
            "go back to the copy of {} UTC with these commands (in a cluster, have it stop the \
             coordinator's resource instead of the first), and start the coordinator again; \
             what was written since then is forgotten (docs/database.md):",
            copy.time_text()
        )?;
        writeln!(f, "  systemctl stop lh-control")?;
        if self.dir.join(FILE).exists() {
            writeln!(f, "  mkdir {damaged}")?;
            writeln!(f, "  mv {database}* {damaged}/")?;
        }
        write!(f, "  cp {} {database}", quoted(&copy.path))
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
