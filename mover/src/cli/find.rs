//! `lh-mover find`

use std::io::Write;

use clap::Args;
use longhaul_catalog::{Catalog, Pattern, Row, SetFilter, SetRecord};

use super::output::{self, row_json, set_labels};
use super::{CatalogArg, JsonArg};
use crate::job::{ExitStatus, JobError, adopt};
use crate::shown::Shown;

/// Find files in all sets of the catalog
///
/// A pattern without a `/` is matched against names at any depth; one with a
/// `/` against whole paths. `*` and `?` stop at a `/`, `**` does not.
#[derive(Args)]
pub struct Find {
    /// Name, path or pattern
    pattern: String,

    /// Only sets that lie on this volume
    #[arg(long, value_name = "NAME")]
    volume: Option<String>,

    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Find {
    pub(super) fn run(self) -> Result<ExitStatus, JobError> {
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let volume = self
            .volume
            .as_deref()
            .map(|name| output::volume_named(&catalog, name));
        let filter = SetFilter {
            volume: volume.transpose()?.map(|v| v.uuid),
            ..SetFilter::default()
        };
        let patterns = patterns(&self.pattern)?;
        let mut found = 0u64;
        let labels = set_labels(&catalog)?;
        let mut failed = None;
        let sets = catalog.sets(&filter)?;
        output::print(|out| {
            for set in sets {
                let searched = search(&catalog, &set, &patterns, |row| {
                    found += 1;
                    self.print(out, &set, &labels(&set), row)
                });
                match searched {
                    Ok(written) => written?,
                    Err(error) => failed = Some(error),
                }
            }
            Ok(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(if found > 0 {
            ExitStatus::Done
        } else {
            ExitStatus::Incomplete
        })
    }

    fn print(
        &self,
        out: &mut dyn Write,
        set: &SetRecord,
        volume: &str,
        row: &Row,
    ) -> std::io::Result<()> {
        let number = adopt::number(set);
        if self.json.json {
            let mut value = row_json(row);
            value["set"] = set.uuid.to_string().into();
            value["number"] = number.into();
            value["on_volume"] = volume.into();
            return writeln!(out, "{value}");
        }
        writeln!(
            out,
            "{volume} set {number}  {}  {:>9}  /{}",
            output::time(row.mtime_ns),
            output::bytes(row.size),
            Shown(&row.path)
        )
    }
}

/// Two patterns: for files, and for directories, whose paths end in `/`.
fn patterns(text: &str) -> Result<[Pattern; 2], JobError> {
    let bad = |error: longhaul_catalog::Error| JobError::Usage(error.to_string());
    let path = text.trim_matches('/');
    let whole = if text.trim_end_matches('/').contains('/') {
        path.to_owned()
    } else {
        format!("**/{path}")
    };
    let directory = format!("{whole}/");
    Ok([
        Pattern::new(whole.as_bytes()).map_err(bad)?,
        Pattern::new(directory.as_bytes()).map_err(bad)?,
    ])
}

fn search(
    catalog: &Catalog,
    set: &SetRecord,
    patterns: &[Pattern; 2],
    mut each: impl FnMut(&Row) -> std::io::Result<()>,
) -> Result<std::io::Result<()>, JobError> {
    let file = catalog.set_file(set.uuid)?;
    for (pattern, directories) in patterns.iter().zip([false, true]) {
        for row in file.glob(pattern) {
            let row = row?;
            // A `*` at a pattern's end may match nothing: then `dir/` itself.
            if row.path.ends_with(b"/") != directories {
                continue;
            }
            if let Err(error) = each(&row) {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}
