//! What is written down of a set while it is written: the index for the tape,
//! and the rows for the catalog, in one go.

use std::fs::File;
use std::io;

use longhaul_catalog::{Catalog, SetBuilder, SetRecord};
use longhaul_format::index::{Entry, Head};
use longhaul_format::label::Label;
use uuid::Uuid;

use super::volume::TapeSet;
use super::{JobError, adopt, chain, convert};
use crate::pipeline::spool::{Spool, Totals};

/// The entries of a set that is being written.
pub struct Ledger {
    spool: Spool,
    /// Trouble with the catalog never stops a backup: it can be built again
    /// from the index.
    rows: Result<SetBuilder, String>,
}

impl Ledger {
    /// An empty ledger beside the catalog.
    ///
    /// # Errors
    /// If there is no room for the spool.
    pub fn new(catalog: &Catalog, set: Uuid) -> Result<Ledger, JobError> {
        let dir = catalog.dir();
        let spool = Spool::new(dir)
            .map_err(|error| JobError::local(format!("a spool in {}", dir.display()), error))?;
        let rows = catalog.set_builder(set).map_err(|error| chain(&error));
        Ok(Ledger { spool, rows })
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// If the spool cannot be written.
    pub fn push(&mut self, entry: Entry) -> io::Result<()> {
        self.spool.push(&entry)?;
        if let Ok(rows) = &mut self.rows
            && let Err(error) = rows.push(convert::row(entry))
        {
            self.rows = Err(chain(&error));
        }
        Ok(())
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.spool.totals()
    }

    /// Ends the index, and leaves the rows to be entered.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub fn finish(self, catalog: &Catalog, head: Head) -> Result<(File, Rows), JobError> {
        let index = self
            .spool
            .finish(&head, catalog.dir())
            .map_err(|error| JobError::local("the index", error))?;
        Ok((
            index,
            Rows {
                rows: self.rows,
                head,
            },
        ))
    }
}

/// The rows of a set whose index is written.
pub struct Rows {
    rows: Result<SetBuilder, String>,
    head: Head,
}

impl Rows {
    /// Enters the set, which is done on the tape, into the catalog.
    ///
    /// # Errors
    /// Why the catalog does not know the set now.
    pub fn enter(
        self,
        catalog: &Catalog,
        label: &Label,
        set: &TapeSet,
    ) -> Result<SetRecord, String> {
        self.rows?.finish().map_err(|error| chain(&error))?;
        adopt::record(catalog, label, set, self.head).map_err(|error| error.to_string())
    }
}
